# SPDX-License-Identifier: MIT
"""Wrong arguments: errors of Python that name the parameter, whatever is given. None is the default. Reprs."""
import inspect
import os
import pathlib
import re
import threading

import numpy
import pytest

import bitnet
from conftest import PROMPT

CHAT_MODEL = os.environ["BITNET_CHAT_MODEL"]


class Odd:
    """Nothing that anything here takes."""


WRONG = [None, True, -1, 2**31, 2**32, 2**64, 2**80, 1.5, float("nan"), float("inf"), 1e300, 1j, "", "odd", "a\0b", "\ud800",
         b"odd", b"\0\xff", bytearray(b"odd"), memoryview(b"odd"), [], [None], ["odd"], [1.5], [2**40], [[1]], (), (1, 2, 3),
         {}, {"odd": "odd"}, {1: None}, {2**40: 1.0}, {1}, range(3), iter([]), Odd, Odd(), object(), len, lambda *_: None,
         Ellipsis, numpy.float32(1), numpy.int64(-1), numpy.bool_(True), numpy.zeros(3), numpy.zeros((2, 2), numpy.int32),
         numpy.zeros(8, numpy.float32)[::2], numpy.array("odd"), numpy.array([None]), os]


@pytest.fixture(scope="module")
def uses(tmp_path_factory):
    """What can be called, with good arguments: name, function, positional arguments by name."""
    folder = tmp_path_factory.mktemp("files")
    model = bitnet.Model(CHAT_MODEL)
    session = model.engine(threads=1).session(context=64)
    state = session.save_bytes()
    session.save(folder / "state")
    sampler, decoder = bitnet.Sampler(), bitnet.Decoder(model)
    tokens, logits = [5, 6], numpy.zeros(model.info.vocabulary, numpy.float32)
    data = pathlib.Path(CHAT_MODEL).read_bytes()

    def logits_of(*arguments, **options):
        session.eval([5])
        return session.logits(*arguments, **options)

    logits_of.__signature__ = inspect.signature(session.logits)

    return [
        (bitnet.Model, {"path": CHAT_MODEL}), (bitnet.Model.from_bytes, {"data": data}),
        (bitnet.convert, {"source": CHAT_MODEL, "target": folder / "converted"}),
        (bitnet.verify, {"path": os.environ["BITNET_MODEL"]}),
        (bitnet.verify_against, {"path": os.environ["BITNET_MODEL"], "original": os.environ["BITNET_MODEL"]}),
        (model.tokenize, {"text": "a"}), (model.detokenize, {"tokens": tokens}), (model.detokenize_bytes, {"tokens": tokens}),
        (model.is_control, {"token": 5}), (model.is_end, {"token": 5}),
        (model.chat_prompt, {"messages": [("user", "a")]}), (model.chat_tokenize, {"messages": [("user", "a")]}),
        (model.session, {}), (model.session_memory, {}), (bitnet.Session, {"model": model}),
        (bitnet.Decoder, {"model": model}), (decoder.push, {"token": 5}),
        (bitnet.Sampler, {}), (sampler.reseed, {"seed": 1}), (sampler.sample_logits, {"logits": logits}),
        (sampler.sample, {"session": session}),
        (session.generate, {"prompt": "a"}), (session.chat, {"messages": [("user", "a")]}),
        (session.eval, {"tokens": tokens}), (logits_of, {}), (session.rewind, {}),
        (session.save, {"path": folder / "state"}), (session.load, {"path": folder / "state"}),
        (session.load_bytes, {"data": state}), (bitnet.eval_batch, {"items": [(session, tokens)]}),
    ], session


# What the library itself refuses it names in its own words.
SAYS = {"original": "file|directory", "path": "file|directory", "source": "file|directory", "target": "file|directory",
        "data": "file|session", "isa": "kernel set", "text": "text", "tokens": "token", "prompt": "token|prompt", "recent": "token",
        "items": "token|batch|session",
        "logits": "logits", "chat_template": "chat template", "stop": "stop"}
RAW = re.compile(r"in method|argument \d+ of type|Wrong number or type|SWIG|swig|std::|_native|codec")


def is_good_error(error, name):
    said = str(error)
    if RAW.search(said):
        return False
    if isinstance(error, bitnet.BitnetError):
        return re.search(f"{name}|{SAYS.get(name, name)}", said) is not None
    return isinstance(error, TypeError) and name in said


def test_whatever_is_given(uses, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where good names of files may be made
    functions, session = uses
    refused, bad = 0, []
    for function, good in functions:
        for name in inspect.signature(function).parameters:
            for value in WRONG:
                if name in ("progress", "log") and callable(value):
                    continue  # what it raises comes out
                session.rewind(0)
                session.eval([5])
                try:
                    result = function(**{**good, name: value})
                    if isinstance(result, bitnet.Generation):
                        next(result, None)
                except Exception as error:
                    refused += 1
                    if not is_good_error(error, name):
                        bad.append(f"{function.__qualname__}({name}={value!r}): {error!r}")
    assert not bad, "\n".join(bad)
    assert refused > 2000


def test_none_is_the_default(uses):
    """Of every parameter that has one."""
    functions, session = uses
    for function, good in functions:
        names = [name for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty]
        session.rewind(0)
        session.eval([5])
        function(**good, **dict.fromkeys(names))


def test_a_misspelt_keyword(uses):
    functions, _ = uses
    for function, good in functions:
        with pytest.raises(TypeError, match="max_token'"):
            function(**good, max_token=1)


def test_options_of_drawing_are_the_same_everywhere():
    names = set(bitnet.SamplerOptions.__annotations__)
    sampler = inspect.signature(bitnet.Sampler).parameters
    assert set(sampler) == names
    for function in bitnet.Session.generate, bitnet.Session.chat:
        given = inspect.signature(function).parameters
        assert {name: given[name] for name in names} == dict(sampler)
    assert (inspect.signature(bitnet.Model.session).parameters.keys()
            == inspect.signature(bitnet.Session).parameters.keys() - {"model"} | {"self"})


@pytest.mark.parametrize("use, text", [
    (lambda m, s: m.tokenize(3), "text must be str or bytes, not int"),
    (lambda m, s: s.generate(3), "prompt must be str, bytes or a sequence of int, not int"),
    (lambda m, s: s.generate([1, "a"]), r"prompt\[1\] must be int, not str"),
    (lambda m, s: s.generate("a", max_tokens="3"), "max_tokens must be int, not str"),
    (lambda m, s: s.generate("a", max_tokens=1.0), "max_tokens must be int, not float"),
    (lambda m, s: s.generate("a", temperature="0.5"), "temperature must be float, not str"),
    (lambda m, s: s.generate("a", whole="no"), "whole must be bool, not str"),
    (lambda m, s: s.generate("a", stop=[b"a"]), r"stop\[0\] must be str, not bytes"),
    (lambda m, s: s.generate("a", logit_bias=[1]), "logit_bias must be a dict of token to float, not list"),
    (lambda m, s: s.generate("a", logit_bias={"5": 1.0}), "a token of logit_bias must be int, not str"),
    (lambda m, s: s.eval("abc"), "tokens must be a sequence of int, not str"),
    (lambda m, s: s.eval([5], cancel=True), "cancel must be bitnet.Cancel, not bool"),
    (lambda m, s: bitnet.Session(None), "model must be bitnet.Model, not NoneType"),
    (lambda m, s: bitnet.Sampler().sample(m), "session must be bitnet.Session, not Model"),
    (lambda m, s: bitnet.Sampler().sample_logits([0.5]), "logits must be an array of 32-bit floats, not list"),
    (lambda m, s: bitnet.Model(3), "path must be str, bytes or os.PathLike, not int"),
    (lambda m, s: bitnet.Model.from_bytes("a"), "data must be bytes or another contiguous buffer, not str"),
    (lambda m, s: bitnet.Model(CHAT_MODEL, progress=3), "progress must be callable, not int"),
    (lambda m, s: bitnet.Model(CHAT_MODEL, packing=2), "packing must be 'i2' or 't5', not int"),
    (lambda m, s: bitnet.Model(CHAT_MODEL, chat_template=b"chatml"), "chat_template must be str or os.PathLike, not bytes"),
    (lambda m, s: bitnet.eval_batch([s]), r"items\[0\] must be \(session, tokens\), not Session"),
    (lambda m, s: bitnet.eval_batch([(s, "a")]), r"items\[0\]\[1\] must be a sequence of int, not str"),
])
def test_wrong_types_in_words(model, session, use, text):
    with pytest.raises(TypeError, match="^" + text + "$"):
        use(model, session)


@pytest.mark.parametrize("use, text", [
    (lambda m, s: s.generate("a", seed=-1), "seed is -1; it must be from 0 to 18446744073709551615"),
    (lambda m, s: s.generate("a", temperature=1e300), "temperature does not fit a 32-bit float"),
    (lambda m, s: s.generate("\udc80"), "prompt is no Unicode text: it has half a surrogate pair at 0"),
    (lambda m, s: s.generate([2**31]), r"prompt\[0\] is no token"),
    (lambda m, s: bitnet.Model(CHAT_MODEL, isa="scalar\0"), "zero byte"),
    (lambda m, s: bitnet.Model(CHAT_MODEL, i2s="arms"), "i2s is 'arms'; it may be 'auto' or 'x86' or 'arm' or 'rows'"),
    (lambda m, s: bitnet.Model(CHAT_MODEL, activation="gelu"), "activation is 'gelu'; it may be 'relu2' or 'silu'"),
    (lambda m, s: bitnet.convert(CHAT_MODEL, "a", zstd_level=20), "zstd_level is 20; it must be from 0 to 19"),
])
def test_wrong_values_in_words(model, session, use, text):
    with pytest.raises(bitnet.ArgumentError, match=text):
        use(model, session)


@pytest.mark.parametrize("buffer", [bytearray, memoryview])
def test_text_as_any_bytes(model, session, buffer):
    assert model.tokenize(buffer(PROMPT.encode())) == model.tokenize(PROMPT)
    list(session.generate(buffer(PROMPT.encode()), max_tokens=1))
    assert session.tokens[1:-1] == model.tokenize(PROMPT)


def test_activation_and_order_of_weights_as_options():
    for activation in "relu2", "silu":
        with bitnet.Model(CHAT_MODEL, activation=activation) as model:
            assert model.info.activation == activation
    for order in "auto", "x86", "arm", "rows":
        bitnet.Model(CHAT_MODEL, i2s=order).close()


def test_reprs(chat_model, model_path):
    with bitnet.Model(model_path) as model, model.engine(threads=1).session(context=64) as session:
        assert repr(model) == f"<bitnet.Model 'austen', bitnet-b1.58, {model.info.parameters} weights>"
        assert repr(session) == "<bitnet.Session of 'austen', 0 of 64 tokens>"
        generation = session.generate(PROMPT, max_tokens=3)
        assert repr(generation) == "<bitnet.Generation 0 tokens, not finished>"
        list(generation)
        assert repr(generation) == "<bitnet.Generation 3 tokens, MAX_TOKENS>"
        assert repr(session) == f"<bitnet.Session of 'austen', {session.position} of 64 tokens>"
        sampler, decoder = bitnet.Sampler(temperature=0.5, top_k=3), bitnet.Decoder(model)
        assert repr(sampler) == "<bitnet.Sampler temperature=0.5 top_k=3>"
        assert repr(bitnet.Sampler()) == "<bitnet.Sampler of the most likely token>"
        assert repr(decoder) == "<bitnet.Decoder of 'austen'>"
        cancel = bitnet.Cancel()
        assert repr(cancel) == "<bitnet.Cancel not requested>"
        cancel.request()
        assert repr(cancel) == "<bitnet.Cancel requested>"
    for thing in generation, sampler, decoder:
        thing.close()
    for thing in model, session, generation, sampler, decoder:
        assert thing.closed and repr(thing) == f"<bitnet.{type(thing).__name__} closed>"
    assert repr(bitnet.Model.__new__(bitnet.Model)) == "<bitnet.Model closed>"
    info = repr(chat_model.info)
    assert "name='test of the program'" in info and "activation=" in info and "{%" not in info


def test_a_repr_does_not_wait(model):
    with model.engine(threads=1).session(context=20000) as session:
        cancel = bitnet.Cancel()
        tokens = model.tokenize(PROMPT * 2500)[:19000]

        def work():
            with pytest.raises(bitnet.CancelledError):
                session.eval(tokens, cancel=cancel)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            while thread.is_alive() and "in a call" not in repr(session):
                pass
            assert thread.is_alive() and repr(session) == "<bitnet.Session of 'austen', in a call>"
        finally:
            cancel.request()
            thread.join()
        assert repr(session) == "<bitnet.Session of 'austen', 0 of 20000 tokens>"
