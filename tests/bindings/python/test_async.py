# SPDX-License-Identifier: MIT
"""Generations as asynchronous iterators: many of one event loop, and of several loops."""
import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import bitnet
from conftest import PROMPT


async def read(session, prompt=PROMPT, **options):
    return "".join([text async for text in session.generate(prompt, **options)])


def test_writes_what_the_blocking_form_does(session, golden):
    async def write():
        generation = session.generate(PROMPT, max_tokens=100)
        first = await generation.__anext__()
        rest = "".join([text async for text in generation])
        assert generation.finish is bitnet.Finish.MAX_TOKENS and len(generation.tokens) == 100
        with pytest.raises(StopAsyncIteration):
            await generation.__anext__()
        return first + rest

    assert asyncio.run(write()) == golden
    assert session.position > 100


def test_forms_may_alternate(session, golden):
    async def write():
        generation = session.generate(PROMPT, max_tokens=100)
        parts = [next(generation), await generation.__anext__(), next(generation), await generation.__anext__()]
        return "".join([*parts, *generation])

    assert asyncio.run(write()) == golden


def test_many_at_once_from_one_loop(engine):
    prompts = [f"It was the {number}th morning, and" for number in range(24)]
    options = [dict(max_tokens=10 + number, temperature=0.8, seed=number) for number in range(24)]
    expected = []
    for prompt, option in zip(prompts, options):
        with engine.session(context=128) as session:
            expected.append("".join(session.generate(prompt, **option)))

    async def all_of_them():
        before = threading.active_count()
        sessions = [engine.session(context=128) for _ in prompts]
        texts = await asyncio.gather(*(read(*what, **option) for *what, option in zip(sessions, prompts, options)))
        assert threading.active_count() <= before + 1
        return texts

    assert asyncio.run(all_of_them()) == expected


def test_several_loops_in_several_threads(engine, golden):
    texts = []

    async def some():
        sessions = [engine.session() for _ in range(3)]
        texts.extend(await asyncio.gather(*(read(session, max_tokens=100) for session in sessions)))

    threads = [threading.Thread(target=lambda: asyncio.run(some())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [golden] * 9


def test_the_loop_runs_meanwhile(engine, model):
    tokens = model.tokenize(PROMPT * 2500)[:19000]

    async def write():
        with engine.session(context=20000) as session:
            task = asyncio.ensure_future(read(session, tokens, max_tokens=1))
            for _ in range(20):
                await asyncio.sleep(0.01)
            assert not task.done()
            started = time.process_time()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            session.rewind()  # waits until the computation has been left
            assert time.process_time() - started < 0.1
            session.eval([1, 2, 3])
            assert session.position == 3

    asyncio.run(write())


def test_cancelling_the_task_cancels_the_generation(engine, model):
    tokens = model.tokenize(PROMPT * 2500)[:19000]

    async def write():
        with engine.session(context=20000) as session:
            generation = session.generate(tokens)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(generation.__anext__(), 0.1)
            with pytest.raises(bitnet.CancelledError):
                await generation.__anext__()
            with pytest.raises(bitnet.CancelledError):
                next(generation)

    asyncio.run(write())


def test_cancelling_by_other_means(engine, model):
    tokens = model.tokenize(PROMPT * 2500)[:19000]

    async def interrupted(action, error, match):
        session = engine.session(context=20000)
        generation = session.generate(tokens)
        asyncio.get_running_loop().call_later(0.1, action, session, generation)
        with pytest.raises(error, match=match):
            await generation.__anext__()
        session.close()

    asyncio.run(interrupted(lambda session, generation: generation.cancel(), bitnet.CancelledError, "cancelled"))
    asyncio.run(interrupted(lambda session, generation: generation.close(), bitnet.CancelledError, "cancelled"))
    asyncio.run(interrupted(lambda session, generation: session.close(), bitnet.CancelledError, "closed"))
    asyncio.run(interrupted(lambda session, generation: session.rewind(), bitnet.ArgumentError, "over"))


def test_errors(engine):
    async def fail():
        with engine.session(context=8) as session:
            with pytest.raises(bitnet.ContextError):
                await read(session, PROMPT * 3)
            generation = session.generate("It")
            await generation.__anext__()
            session.close()
            with pytest.raises(bitnet.ArgumentError, match="closed"):
                await generation.__anext__()

    asyncio.run(fail())


def test_one_step_at_a_time(engine, model):
    tokens = model.tokenize(PROMPT * 2500)[:19000]

    async def twice():
        with engine.session(context=20000) as session:
            generation = session.generate(tokens)
            first = asyncio.ensure_future(generation.__anext__())
            await asyncio.sleep(0)
            with pytest.raises(bitnet.BusyError):
                await generation.__anext__()
            generation.cancel()
            with pytest.raises(bitnet.CancelledError):
                await first

    asyncio.run(twice())


def test_a_loop_that_is_closed_is_no_harm(session, golden):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # of what is lost with it
    task = loop.create_task(read(session))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop._ready.clear()
    loop.close()
    del task
    gc.collect()
    session.rewind()
    assert asyncio.run(read(session, max_tokens=100)) == golden


def test_the_process_ends_whatever_is_under_way(model_path):
    program = f"""
        import asyncio, bitnet
        model = bitnet.Model({str(model_path)!r})
        session = model.session()
        async def write():
            generation = session.generate("It", max_tokens=1000)
            task = asyncio.ensure_future(generation.__anext__())
            await asyncio.sleep(0)
        asyncio.run(write())
        print("over")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")
