# SPDX-License-Identifier: MIT
"""Embeddings: texts and tokens in, buffers out."""
import math

import pytest

import bitnet
from conftest import PROMPT

TEXTS = [PROMPT, "naïve — 🌍 日本", "a"]


def test_embeds_texts_and_tokens(model):
    embeddings = model.embed(TEXTS)
    assert [len(embedding) for embedding in embeddings] == 3 * [model.info.hidden]
    for embedding, text in zip(embeddings, TEXTS):
        assert embedding.format == "f"
        assert math.isclose(sum(x * x for x in embedding), 1, rel_tol=1e-5)
        tokens = model.tokenize(text, bos_eos=True)
        assert [bytes(embedding)] == [bytes(e) for e in model.embed([tokens])]
    assert [bytes(e) for e in model.embed(iter(text.encode() for text in TEXTS))] == [bytes(e) for e in embeddings]
    assert model.embed([]) == []


def test_is_an_array_for_numpy(model):
    import numpy

    array = numpy.asarray(model.embed(TEXTS))
    assert array.dtype == numpy.float32 and array.shape == (3, model.info.hidden)
    bits = numpy.asarray(model.embed(TEXTS, format="int1"))
    assert numpy.array_equal(bits, numpy.packbits(array > 0, axis=1))
    assert numpy.asarray(model.embed(TEXTS, format="int8")).dtype == numpy.int8


def test_options(model):
    raw = model.embed(TEXTS, raw=True, pooling="mean")
    assert not math.isclose(sum(x * x for x in raw[0]), 1, rel_tol=1e-2)
    assert [e.nbytes for e in model.embed(TEXTS, format="int4", dimensions=100)] == [50, 50, 50]
    with pytest.raises(bitnet.ContextError, match="text 0 has"):
        model.embed([PROMPT, "a"], max_tokens=2)
    assert len(model.embed([PROMPT, "a"], max_tokens=2, fit="cut")) == 2
    with pytest.raises(bitnet.ArgumentError, match="dimensions"):
        model.embed(TEXTS, dimensions=model.info.hidden + 1)


def test_by_an_engine(model):
    with model.engine(threads=1, batch=5) as engine:
        assert [bytes(e) for e in model.embed(TEXTS, engine=engine)] == [bytes(e) for e in model.embed(TEXTS)]


def test_is_cancelled(model):
    cancel = bitnet.Cancel()
    cancel.request()
    with pytest.raises(bitnet.CancelledError):
        model.embed(TEXTS, cancel=cancel)


@pytest.mark.parametrize("texts", ["a text", b"bytes", 5, [5], [None], {"a": 1}])
def test_what_is_no_list_of_texts_is_refused(model, texts):
    with pytest.raises(TypeError, match="texts"):
        model.embed(texts)


def test_what_is_no_token_is_refused(model):
    with pytest.raises(TypeError, match=r"tokens\[0\] must be int, not str"):
        model.embed([["a"]])
