# SPDX-License-Identifier: MIT
"""Engines and the pools whose threads compute for them."""
import threading

import pytest

import bitnet
from conftest import PROMPT


def test_engines_share_a_pool(model, chat_model, golden):
    with bitnet.Pool(threads=2) as pool, model.engine(pool=pool, batch=7) as one, chat_model.engine(pool=pool) as other:
        texts = []

        def write():
            with one.session() as session:
                texts.append("".join(session.generate(PROMPT, max_tokens=100)))

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        with other.session(context=64) as session:
            assert session.model is chat_model
            session.eval([1, 2, 3])
        for thread in threads:
            thread.join()
    assert texts == [golden] * 3


def test_sessions_outlive_their_engine_and_engines_their_pool(model_path, golden):
    pool = bitnet.Pool(threads=1)
    model = bitnet.Model(model_path)
    engine = model.engine(pool=pool)
    pool.close()
    session = engine.session()
    engine.close()
    model.close()
    assert "".join(session.generate(PROMPT, max_tokens=100)) == golden
    for thing in pool, engine:
        thing.close()
    with pytest.raises(bitnet.ArgumentError, match="the pool is closed"):
        bitnet.Model(model_path).engine(pool=pool)
    with pytest.raises(bitnet.ArgumentError, match="closed"):
        engine.session()
    assert repr(pool) == "<bitnet.Pool closed>" and repr(engine) == "<bitnet.Engine closed>"


def test_an_engine_of_another_model_is_refused(model, chat_model):
    with chat_model.engine(threads=1) as engine:
        with pytest.raises(bitnet.ArgumentError, match="another model"):
            model.session(engine=engine)
        with model.engine(threads=1) as own, model.session(engine=own, context=8, priority="background") as session:
            session.eval([1])


def test_options(model):
    assert model.engine_memory(batch=512) > model.engine_memory(batch=8) > 0
    for option in "threads", "generation_threads", "batch", "pass_ms":
        with pytest.raises(ValueError, match=f"{option} is -1"):
            model.engine(**{option: -1})
    with pytest.raises(ValueError, match="threads is -1"):
        bitnet.Pool(threads=-1)
    with pytest.raises(bitnet.ArgumentError, match="threads"):
        bitnet.Pool(threads=513)
    with bitnet.Pool(threads=1) as pool, pytest.raises(bitnet.ArgumentError, match="pool"):
        model.engine(pool=pool, threads=1)
    with pytest.raises(ValueError, match="'urgent'"):
        model.session(priority="urgent")
    for wrong in (lambda: model.session(engine=model), lambda: model.engine(pool=model), lambda: bitnet.Engine(None)):
        with pytest.raises(TypeError):
            wrong()


def test_a_budget_refuses_whom_it_has_no_room_for(model, golden):
    page = 2 * (model.session_memory(context=128) - model.session_memory(context=64))  # at least
    with model.engine(threads=1, kv_bytes=2 * page) as engine:
        sessions = [engine.session(context=64)]
        with pytest.raises(bitnet.OutOfMemoryError, match="kv_bytes"):
            for _ in range(8):
                sessions.append(sessions[0].fork())
        for session in sessions:
            session.close()
    with model.engine(threads=1, kv_bytes=8 * page, overcommit=True, queue_ms=5) as engine:
        with engine.session(context=512) as one, engine.session(context=512) as two:
            assert "".join(one.generate(PROMPT, max_tokens=100)) == golden
            assert "".join(two.generate(PROMPT, max_tokens=100)) == golden
    for wrong in {"kv_bytes": 1}, {"overcommit": True}, {"queue_ms": 5}:
        with pytest.raises(bitnet.ArgumentError):
            model.engine(threads=1, **wrong)


def test_trimming_gives_back_what_is_kept_of_prompts(model):
    with model.engine(threads=1) as engine:
        assert engine.trim() == 0
        with engine.session(context=128, prefix_scope=5) as session:
            session.eval([1] * 70)
        assert engine.trim() > 0
        assert engine.trim() == 0
    with pytest.raises(bitnet.ArgumentError, match="closed"):
        engine.trim()
    assert model.trim() >= 0


def test_a_session_is_busy_while_text_is_generated(session):
    generation = session.generate(PROMPT, max_tokens=10)
    next(generation)
    with pytest.raises(bitnet.BusyError):
        session.fork()
    assert session.position > 0
    generation.close()
    session.fork().close()
