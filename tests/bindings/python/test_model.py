# SPDX-License-Identifier: MIT
"""Opening models, what they tell, and text."""
import gc
import inspect
import os
import re
import shutil

import pytest

import bitnet
from conftest import PROMPT


def test_opens_from_memory(model_path, golden):
    data = model_path.read_bytes()
    with bitnet.Model.from_bytes(data) as model:
        del data
        assert "".join(model.session().generate(PROMPT, max_tokens=100)) == golden


def test_opens_a_path_with_other_letters(model_path, tmp_path):
    path = tmp_path / "Modèle 模型 🌍.bitnet"
    shutil.copy(model_path, path)
    for name in path, str(path), os.fsencode(path):
        with bitnet.Model(name) as model:
            assert model.info.name == "austen"


def test_info(model, model_path):
    info = model.info
    assert (info.name, info.architecture, info.packing, info.head) == ("austen", "bitnet-b1.58", "i2", "f16")
    assert (info.vocabulary, info.layers, info.bos, info.eos) == (4096, 6, 0, 1)
    assert info.has_chat_template is False
    assert info.file_bytes == model_path.stat().st_size
    assert info.isa in bitnet.isa_names()
    assert model.metadata["general.license"] == "MIT"


def test_options_of_opening(model_path):
    with bitnet.Model(model_path, isa="scalar", verify=True) as model:
        assert model.info.isa == "scalar"
    with bitnet.Model(os.environ["BITNET_CHAT_MODEL"], packing="t5", head="int8") as model:
        assert (model.info.packing, model.info.head) == ("t5", "int8")
    with pytest.raises(bitnet.UnsupportedError, match="nonsense"):
        bitnet.Model(model_path, isa="nonsense")
    with pytest.raises(ValueError, match="'t5'"):
        bitnet.Model(model_path, packing="t6")


def test_progress_and_log(model_path):
    steps, lines = [], []
    bitnet.Model(model_path, verify=True, progress=lambda *step: steps.append(step),
                 log=lambda level, text: lines.append((level, text))).close()
    assert steps and all(done <= total for done, total in steps)
    assert any(level == "info" and "kernels" in text for level, text in lines)


def test_progress_can_cancel(model_path):
    with pytest.raises(bitnet.CancelledError):
        bitnet.Model(model_path, verify=True, progress=lambda done, total: False)


@pytest.mark.parametrize("callback", ["progress", "log"])
def test_what_a_callback_raises_comes_out(model_path, callback):
    class Mine(Exception):
        pass

    def fail(*_):
        raise Mine

    with pytest.raises(Mine):
        bitnet.Model(model_path, **{callback: fail})
    bitnet.Model(model_path).close()


@pytest.mark.parametrize("text", [b"", b"GGUF", b"no model" * 100])
def test_damaged_files_are_errors(tmp_path, text):
    path = tmp_path / "bad.bitnet"
    path.write_bytes(text)
    with pytest.raises(bitnet.FormatError, match="bad.bitnet"):
        bitnet.Model(path)
    with pytest.raises(bitnet.FormatError):
        bitnet.Model.from_bytes(text)


def test_missing_files_are_os_errors(tmp_path):
    missing = tmp_path / "nicht da ä"
    with pytest.raises(FileNotFoundError, match="nicht da ä") as error:
        bitnet.Model(missing)
    assert isinstance(error.value, bitnet.NotFoundError)
    for use in (lambda: bitnet.verify(missing), lambda: bitnet.convert(missing, tmp_path / "new")):
        with pytest.raises(FileNotFoundError):
            use()
    with pytest.raises(bitnet.FormatError, match="no config.json"):
        bitnet.Model(tmp_path)


@pytest.mark.parametrize("path", ["a\0b", b"a\0b"])
def test_zero_bytes_in_a_path_are_refused(path):
    with pytest.raises(ValueError, match="zero byte"):
        bitnet.Model(path)


def test_tokenizes_both_ways(model):
    for text in "", PROMPT, "naïve — 🌍 日本":
        tokens = model.tokenize(text)
        assert model.detokenize(tokens) == text
        assert model.detokenize_bytes(tokens) == text.encode()
    assert model.tokenize(b"\xff\xfe") != []
    assert model.tokenize("a", bos_eos=True)[0] == model.info.bos
    assert model.is_control(model.info.eos) and model.is_end(model.info.eos)
    assert not model.is_control(model.tokenize("a")[0])


def test_tokens_come_from_any_integers(model):
    import numpy

    tokens = model.tokenize(PROMPT)
    for same in tuple(tokens), iter(tokens), numpy.array(tokens, numpy.int32), numpy.array(tokens, numpy.int64):
        assert model.detokenize(same) == PROMPT


@pytest.mark.parametrize("tokens, error", [([4096], ValueError), ([-1], ValueError), ([2**40], ValueError),
                                           ([2**80], ValueError), (["a"], TypeError), ([1.5], TypeError),
                                           (b"abc", TypeError), ({1: 2}, TypeError), (None, TypeError),
                                           (3, TypeError)])
def test_wrong_tokens_are_errors(model, tokens, error):
    with pytest.raises(error):
        model.detokenize(tokens)


def test_a_table_of_tokens_is_refused(model):
    import numpy

    with pytest.raises(TypeError, match=r"tokens\[0\] must be int, not ndarray"):
        model.detokenize(numpy.array([[1, 2], [3, 4]], numpy.int32))


def test_decoder_never_splits_a_character(model):
    text = "naïve — 🌍"
    with bitnet.Decoder(model) as decoder:
        pieces = [decoder.push(token) for token in model.tokenize(text)]
        assert "".join(pieces) + decoder.finish() == text
    with pytest.raises(bitnet.ArgumentError, match="closed"):
        decoder.push(5)


def test_using_a_closed_model_is_an_error(model_path):
    model = bitnet.Model(model_path)
    session = model.session()
    model.close()
    model.close()
    for use in (lambda: model.info, lambda: model.tokenize("a"), lambda: model.session(), lambda: model.metadata,
                lambda: bitnet.Decoder(model), lambda: model.is_end(1)):
        with pytest.raises(bitnet.ArgumentError, match="the model is closed"):
            use()
    assert len(list(session.generate("a", max_tokens=3))) > 0


def test_convert_and_verify(chat_model, tmp_path):
    target = tmp_path / "neu.bitnet"
    steps = []
    bitnet.convert(os.environ["BITNET_CHAT_MODEL"], target, packing="t5", progress=lambda *step: steps.append(step))
    bitnet.verify(target)
    with bitnet.Model(target) as model:
        assert model.info.packing == "t5"
    assert steps
    bitnet.verify_against(target, os.environ["BITNET_CHAT_MODEL"])
    with pytest.raises(bitnet.FormatError, match="not lossless"):
        bitnet.verify_against(target, os.environ["BITNET_MODEL"])
    target.write_bytes(target.read_bytes()[:-1])
    with pytest.raises(bitnet.FormatError):
        bitnet.verify(target)


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_opening_thousands_of_times_does_not_grow(model_path):
    def cycle():
        with bitnet.Model(model_path) as model, model.engine(threads=1).session(context=64) as session:
            list(session.generate("It", max_tokens=1))

    def growth(cycles):
        before = resident_bytes()
        for _ in range(cycles):
            cycle()
        gc.collect()
        return resident_bytes() - before

    # A leak grows in each round, for ever. What malloc and the interpreter keep for themselves grows ever less.
    growth(100)
    assert any(growth(500) < 2 << 20 for _ in range(16))


def test_each_status_has_an_exception():
    from bitnet import _errors, _native

    statuses = {getattr(_native, name) for name in dir(_native) if name.startswith("BITNET_ERROR_")}
    assert set(_errors._CLASSES) == statuses - {_native.BITNET_ERROR_BUFFER}  # the layer below sizes buffers
    assert all(issubclass(error, bitnet.BitnetError) and error.__name__ in bitnet.__all__
               for error in _errors._CLASSES.values())


@pytest.mark.parametrize("explained", [bitnet.Model, bitnet.Model.session, bitnet.Model.engine, bitnet.Session.generate,
                                       bitnet.convert])
def test_each_option_is_explained(explained):
    parameters = inspect.signature(explained).parameters.values()
    sampling = bitnet.SamplerOptions.__annotations__
    options = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in sampling]
    assert len(options) >= 4
    for name in options:
        assert re.search(rf"^ +{name}(\(.*\))? +\w", explained.__doc__, re.MULTILINE), name
