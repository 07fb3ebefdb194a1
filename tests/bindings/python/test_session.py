# SPDX-License-Identifier: MIT
"""Sessions: evaluation, sampling, generation, state, threads, cancellation, wrong use."""
import os
import pathlib
import signal
import threading
import time

import numpy
import pytest

import bitnet
from conftest import PROMPT


@pytest.fixture
def long_prompt(engine, model):
    """A session, and more tokens than it computes in some seconds."""
    with engine.session(context=20000) as session:
        yield session, model.tokenize(PROMPT * 2500)[:19000]


class InAMoment:
    """Calls action in another thread, when this one is at work."""

    def __init__(self, action):
        self._action = action
        self._asked = None
        threading.Thread(target=self._run).start()

    def _run(self):
        time.sleep(0.3)
        self._asked = time.process_time()
        self._action()

    def assert_soon(self):
        """The work has ended since, and took 100 ms of processor time at most, whatever else the machine does."""
        assert self._asked is not None, "the work ended by itself"
        assert time.process_time() - self._asked < 0.1


def test_generates_what_c_does(session, golden):
    generation = session.generate(PROMPT, max_tokens=100)
    assert "".join(generation) == golden
    assert generation.finish is bitnet.Finish.MAX_TOKENS
    assert len(generation.tokens) == 100
    assert session.tokens[-100:] == generation.tokens
    assert list(generation) == []


def test_generates_from_tokens(session, model, golden):
    tokens = [model.info.bos, *model.tokenize(PROMPT)]
    assert "".join(session.generate(tokens, max_tokens=100)) == golden


def test_sampling_options_are_passed_on(engine):
    def text(**options):
        with engine.session() as session:
            return "".join(session.generate(PROMPT, max_tokens=20, **options))

    greedy = text()
    assert text(temperature=1.0, seed=1) == text(temperature=1.0, seed=1) != text(temperature=1.0, seed=2)
    assert text(temperature=1.0, seed=1, top_k=1) == greedy
    assert text(temperature=1.0, seed=1, top_p=1e-9) == greedy
    assert text(temperature=1.0, seed=1, min_p=1.0) == greedy
    for penalty in "repetition_penalty", "frequency_penalty", "presence_penalty":
        assert text(**{penalty: 1.9}) != greedy
        assert text(**{penalty: 1.9}, penalty_window=1) != text(**{penalty: 1.9})
    first = engine.session().generate(PROMPT, max_tokens=1)
    list(first)
    assert text(logit_bias={first.tokens[0]: -numpy.inf}) != greedy
    with pytest.raises(bitnet.ArgumentError, match="temperature"):
        text(temperature=-1.0)
    with pytest.raises(TypeError, match="top_q"):
        text(top_q=3)
    with pytest.raises(ValueError, match="top_k is -1"):
        text(top_k=-1)


def test_stop_strings(session, golden):
    generation = session.generate(PROMPT, max_tokens=100, stop=["\n\n", "never"])
    assert "".join(generation) == golden.split("\n\n")[0]
    assert generation.finish is bitnet.Finish.STOP
    with pytest.raises(bitnet.ArgumentError):
        session.generate("a", stop=[""])


def test_flags(session, model):
    eos = model.info.eos
    end = model.detokenize([eos], special=True)
    forced = {eos: 1000.0}
    ended = session.generate(PROMPT, max_tokens=2, logit_bias=forced)
    assert "".join(ended) == "" and ended.finish is bitnet.Finish.END_TOKEN
    position = session.position
    assert "".join(session.generate(PROMPT, max_tokens=2, logit_bias=forced, whole=True, ignore_end=True,
                                    special_output=True)) == end + end
    assert session.position == position + 1
    session.rewind()
    list(session.generate(end, max_tokens=1, special_prompt=True))
    assert eos in session.tokens


def test_eval_sample_and_logits(session, model):
    tokens = [model.info.bos, *model.tokenize(PROMPT)]
    session.eval(tokens, logits="all")
    last = session.logits(len(tokens) - 1)
    assert last.dtype == numpy.float32 and last.shape == (4096,)
    with bitnet.Sampler() as sampler:
        assert sampler.sample(session) == last.argmax() == sampler.sample_logits(last)
    session.rewind(0)
    session.eval(numpy.array(tokens, numpy.int32))
    assert (session.logits() == last).all()
    with pytest.raises(bitnet.ArgumentError):
        session.logits(1)
    assert session.position == len(tokens) and session.tokens == tokens


def test_logits_without_a_copy_hold_the_session(session):
    session.eval([1, 2, 3])
    view = session.logits(copy=False)
    assert not view.flags.writeable and not view.flags.owndata
    part = view[10:20]
    del view
    for change in (lambda: session.eval([4]), lambda: session.rewind(0), lambda: session.generate("a"),
                   lambda: session.load_bytes(b"")):
        with pytest.raises(bitnet.ArgumentError, match="arrays of its logits"):
            change()
    kept = part.copy()
    session.close()
    assert (part == kept).all()


def test_logits_wherever_they_lie(engine):
    tokens = [5] * 300
    sessions = [engine.session(context=300) for _ in range(4)]  # too much for what malloc has below 4 GiB
    for session in sessions:
        session.eval(tokens, logits="all")
    with bitnet.Sampler() as sampler:
        for session in sessions:
            assert session.logits(299, copy=False).argmax() == sampler.sample(session)


def test_batch(engine):
    sessions = [engine.session() for _ in range(3)]
    bitnet.eval_batch([(session, [5, 6, 7 + i]) for i, session in enumerate(sessions)])
    for i, session in enumerate(sessions):
        with engine.session() as alone:
            alone.eval([5, 6, 7 + i])
            assert (alone.logits() == session.logits()).all()
    with pytest.raises(bitnet.ArgumentError, match="twice"):
        bitnet.eval_batch([(sessions[0], [1]), (sessions[0], [1])])


def test_state(engine, session, tmp_path):
    list(session.generate(PROMPT, max_tokens=10))
    path = tmp_path / "état 🌍.state"
    session.save(path)
    with engine.session() as other, engine.session() as third, session.fork() as fork:
        other.load(path)
        third.load_bytes(session.save_bytes())
        assert other.tokens == third.tokens == fork.tokens == session.tokens
        rest = ["".join(s.generate(" and", max_tokens=20)) for s in (session, other, third, fork)]
        assert len(set(rest)) == 1
    with pytest.raises(bitnet.FormatError):
        session.load_bytes(b"no state")
    with pytest.raises(FileNotFoundError):
        session.load(tmp_path / "missing")
    with pytest.raises(bitnet.FileError):
        session.save(tmp_path / "missing" / "state")


def test_a_state_of_another_model_is_refused(session, chat_model):
    with chat_model.session() as other:
        other.eval([1])
        with pytest.raises(bitnet.MismatchError):
            session.load_bytes(other.save_bytes())


def test_a_fork_outlives_its_origin(engine):
    origin = engine.session()
    origin.eval([1, 2, 3])
    fork = origin.fork()
    origin.close()
    del origin
    fork.eval([4])
    assert fork.position == 4


def test_perf(session):
    list(session.generate(PROMPT, max_tokens=5))
    assert session.perf.sampled_tokens == 5 and session.perf.prompt_ns > 0
    session.reset_perf()
    assert session.perf.sampled_tokens == 0


def test_too_long_a_prompt(model):
    with model.session(context=8) as session:
        with pytest.raises(bitnet.ContextError):
            next(session.generate(PROMPT * 3))
        assert session.context == 8
    assert model.session_memory(context=512) > model.session_memory(context=8) > 0
    with pytest.raises(ValueError, match="context is -1"):
        model.session(context=-1)


@pytest.mark.parametrize("kv", ["f16", "int8"])
def test_another_kind_of_cache(engine, session, kv):
    with engine.session(kv=kv) as other:
        session.eval([1, 2, 3])
        other.eval([1, 2, 3])
        assert not (other.logits() == session.logits()).all()
        with pytest.raises(bitnet.MismatchError, match=kv):
            session.load_bytes(other.save_bytes())


def test_memory_of_the_kinds_of_cache(model):
    default, f16, int8, int16 = (model.session_memory(context=20000, kv=kv)
                                 for kv in (None, "f16", "int8", "int16"))
    assert f16 > int8 / 0.6
    assert f16 < default == int16 < 1.1 * f16
    with pytest.raises(ValueError, match="'int4'"):
        model.session(kv="int4")


def processor_times():
    """The nanoseconds that each thread of this process has computed."""
    return {task.name: int((task / "schedstat").read_text().split()[0])
            for task in pathlib.Path("/proc/self/task").iterdir()}


def test_one_thread_generates(model):
    others = processor_times().keys()
    with model.engine(threads=2, generation_threads=1).session(context=600) as session:
        workers = processor_times().keys() - others
        if not workers:
            pytest.skip("there is one CPU")
        session.eval([1, 2, 3])
        before = processor_times()
        for _ in range(500):
            session.eval([3])
        took = {task: time - before[task] for task, time in processor_times().items()}
    assert max(took[task] for task in workers) < max(took.values()) / 2


def test_threads_share_a_model(engine, golden):
    texts = []

    def work():
        with engine.session() as session:
            texts.append("".join(session.generate(PROMPT, max_tokens=100)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [golden] * 4


def test_threads_share_a_session(session):
    threads = [threading.Thread(target=lambda: [session.eval([3]) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.position == 80


def test_other_threads_run_meanwhile(long_prompt):
    session, tokens = long_prompt
    cancel = bitnet.Cancel()
    ticks = []

    def tick():
        for _ in range(20):
            ticks.append(time.monotonic())
            time.sleep(0.01)
        cancel.request()

    thread = threading.Thread(target=tick)
    thread.start()
    with pytest.raises(bitnet.CancelledError):
        session.eval(tokens, cancel=cancel)
    assert len(ticks) == 20
    thread.join()


def test_cancelling_a_long_prompt(long_prompt):
    session, tokens = long_prompt
    cancel = bitnet.Cancel()
    request = InAMoment(cancel.request)
    with pytest.raises(bitnet.CancelledError):
        session.eval(tokens, cancel=cancel)
    request.assert_soon()
    assert cancel.requested and session.position == 0
    with pytest.raises(bitnet.CancelledError):
        session.eval([1], cancel=cancel)
    session.eval([1, 2, 3])


def test_cancelling_a_generation(long_prompt):
    session, tokens = long_prompt
    generation = session.generate(tokens)
    request = InAMoment(generation.cancel)
    with pytest.raises(bitnet.CancelledError):
        next(generation)
    request.assert_soon()
    with pytest.raises(bitnet.CancelledError):
        next(generation)
    session.eval([1, 2, 3])


def test_closing_a_session_that_is_at_work(long_prompt):
    session, tokens = long_prompt
    request = InAMoment(session.close)
    with pytest.raises(bitnet.CancelledError):
        session.eval(tokens)
    request.assert_soon()
    with pytest.raises(bitnet.ArgumentError, match="closed"):
        session.eval([1])


def test_calls_that_wait_find_the_session_closed(long_prompt):
    session, tokens = long_prompt
    errors = []

    def wait():
        try:
            session.eval([1])
        except bitnet.BitnetError as error:
            errors.append(error)

    waiting = [threading.Thread(target=wait) for _ in range(8)]

    def close():
        for thread in waiting:
            thread.start()
        time.sleep(0.1)
        session.close()

    InAMoment(close)
    with pytest.raises(bitnet.CancelledError):
        session.eval(tokens)
    for thread in waiting:
        thread.join()
    assert [str(error) for error in errors] == ["the session is closed"] * 8


def test_ctrl_c_stops_a_long_prompt(long_prompt):
    session, tokens = long_prompt
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs are without
    try:
        request = InAMoment(lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            session.eval(tokens)
        request.assert_soon()
    finally:
        signal.signal(signal.SIGINT, before)
    session.eval([1, 2, 3])


@pytest.mark.parametrize("use", [bitnet.Session.rewind, bitnet.Session.close])
def test_a_signal_handler_that_uses_the_session_gets_an_error(long_prompt, use):
    session, tokens = long_prompt

    def handler(*_):
        use(session)

    before = signal.signal(signal.SIGINT, handler)
    try:
        InAMoment(lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(bitnet.ArgumentError, match="midst"):
            session.eval(tokens)
    finally:
        signal.signal(signal.SIGINT, before)
    session.eval([1, 2, 3])


def test_an_exception_in_the_loop_leaves_the_session_usable(session, golden):
    with pytest.raises(KeyError):
        for _ in session.generate(PROMPT, max_tokens=50):
            raise KeyError
    session.rewind(0)
    assert "".join(session.generate(PROMPT, max_tokens=100)) == golden


def test_changing_the_session_ends_its_generation(session):
    generation = session.generate(PROMPT)
    next(generation)
    session.rewind(0)
    with pytest.raises(bitnet.ArgumentError, match="over"):
        next(generation)
    first, second = session.generate(PROMPT), session.generate(PROMPT)
    next(second)
    with pytest.raises(bitnet.ArgumentError, match="over"):
        next(first)
    first.close()
    next(second)


def test_a_generation_outlives_the_names_of_what_it_came_from(model_path):
    generation = bitnet.Model(model_path).session().generate(PROMPT, max_tokens=10)
    assert len("".join(generation)) > 0


def test_using_what_is_closed_is_an_error(model):
    session = model.session()
    generation = session.generate(PROMPT)
    sampler = bitnet.Sampler()
    session.eval([1])
    for thing in generation, session, sampler:
        thing.close()
        thing.close()
    uses = [lambda: next(generation), lambda: session.eval([1]), lambda: session.tokens, lambda: session.position,
            lambda: session.fork(), lambda: session.generate("a"), lambda: session.logits(), lambda: session.perf,
            lambda: session.save_bytes(), lambda: sampler.reseed(1), lambda: sampler.sample(session),
            lambda: bitnet.eval_batch([(session, [1])])]
    for use in uses:
        with pytest.raises(bitnet.ArgumentError):
            use()
    generation.cancel()


def test_none_is_an_error(session):
    for use in (lambda: bitnet.Model(None), lambda: bitnet.Session(None), lambda: session.eval(None),
                lambda: session.generate(None), lambda: bitnet.Decoder(None), lambda: session.load_bytes(None),
                lambda: bitnet.Sampler().sample_logits(None), lambda: session.chat(None)):
        with pytest.raises((TypeError, AttributeError, ValueError)):
            use()
