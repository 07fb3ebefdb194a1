# SPDX-License-Identifier: MIT
"""What the tests of the program share: running it, and small models for it."""
import atexit
import functools
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import zlib

PROGRAM = os.environ["BITNET_PROGRAM"]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="bitnet-program-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

SUCCESS, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130


def environment(**changes):
    """The tests' environment without what steers the program, and with changes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BITNET_")}
    return {**kept, **changes}


def bitnet(*arguments, stdin=b"", env=None, **others):
    """Runs the program; stdout and stderr are bytes."""
    command = [PROGRAM, *map(str, arguments)]
    if "stdout" not in others:
        others["stdout"] = subprocess.PIPE
    return subprocess.run(command, input=stdin, stderr=subprocess.PIPE, env=env or environment(), timeout=240, **others)


@functools.lru_cache(maxsize=None)
def tiny(*options):
    """A model of random weights, made with these options of `bitnet dummy`."""
    path = FOLDER / ("tiny" + "".join(options) + ".bitnet")
    done = bitnet("dummy", path, "--size", "tiny", *options)
    assert done.returncode == 0, done.stderr
    return path


TEMPLATE = ("{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")


@functools.lru_cache(maxsize=None)
def gguf(template=None, context=512, begin=True):
    """A GGUF file of a random model whose vocabulary is the bytes, with a chat template or without, whose texts begin with
    the begin token or not."""
    path = FOLDER / f"model{zlib.crc32((template or '').encode())}-{context}-{begin}.gguf"
    hidden, ffn, heads = 256, 512, 4
    alphabet = byte_alphabet()
    tokens = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"] + alphabet
    types = [3] * 5 + [1] * len(alphabet)
    arch = "bitnet-b1.58"
    pairs = [
        text("general.architecture", arch), text("general.name", "test of the program"),
        number(f"{arch}.context_length", context), number(f"{arch}.embedding_length", hidden),
        number(f"{arch}.block_count", 2), number(f"{arch}.feed_forward_length", ffn),
        number(f"{arch}.attention.head_count", heads), number(f"{arch}.attention.head_count_kv", heads),
        number(f"{arch}.vocab_size", len(tokens)), number(f"{arch}.rope.dimension_count", hidden // heads),
        text(f"{arch}.hidden_act", "relu2"), real(f"{arch}.attention.layer_norm_rms_epsilon", 1e-5), real(f"{arch}.rope.freq_base", 10000.0),
        text("tokenizer.ggml.model", "gpt2"), text("tokenizer.ggml.pre", "gpt-2"),
        array("tokenizer.ggml.tokens", 8, tokens), array("tokenizer.ggml.token_type", 5, types),
        array("tokenizer.ggml.merges", 8, []),
        number("tokenizer.ggml.bos_token_id", 0), number("tokenizer.ggml.eos_token_id", 1),
        flag("tokenizer.ggml.add_bos_token", begin),
    ]
    if template:
        pairs.append(text("tokenizer.chat_template", template))
    shapes = [("token_embd.weight", (len(tokens), hidden))]
    for i in range(2):
        shapes += [(f"blk.{i}.{name}.weight", shape) for name, shape in (
            ("attn_norm", (hidden,)), ("attn_q", (hidden, hidden)), ("attn_k", (hidden, hidden)),
            ("attn_v", (hidden, hidden)), ("attn_sub_norm", (hidden,)), ("attn_output", (hidden, hidden)),
            ("ffn_norm", (hidden,)), ("ffn_gate", (ffn, hidden)), ("ffn_up", (ffn, hidden)),
            ("ffn_sub_norm", (ffn,)), ("ffn_down", (hidden, ffn)))]
    shapes += [("output_norm.weight", (hidden,)), ("output.weight", (len(tokens), hidden))]
    infos, data, state = [], [], 1
    offset = 0
    for name, shape in shapes:
        count = functools.reduce(lambda a, b: a * b, shape)
        matrix = len(shape) == 2
        infos.append(string(name) + struct.pack("<I", len(shape)) +
                     b"".join(struct.pack("<Q", n) for n in reversed(shape)) +
                     struct.pack("<IQ", 1 if matrix else 0, offset))
        if matrix:
            spread = {"token_embd.weight": range(-64, 65), "output.weight": range(-8, 9)}.get(name, (-4, 0, 4))
            values = random_halves(count, spread, seed=len(data))
        else:
            values = struct.pack("<f", 1.0) * count
        values += bytes(-len(values) % 32)
        data.append(values)
        offset += len(values)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(pairs)) + b"".join(pairs) + b"".join(infos)
    path.write_bytes(header + bytes(-len(header) % 32) + b"".join(data))
    return path


HF_LAYER = {"self_attn.q_proj": (256, 256), "self_attn.k_proj": (128, 256), "self_attn.v_proj": (128, 256),
            "self_attn.o_proj": (256, 256), "mlp.gate_proj": (512, 256), "mlp.up_proj": (512, 256),
            "mlp.down_proj": (256, 512)}


def hf_folder(name, shards=1, seed=1):
    """A Hugging Face folder of a random model in BitNet b1.58 2B-4T's layout, packed, whose vocabulary is the bytes. The
    same seed is the same model."""
    folder = FOLDER / name
    folder.mkdir()
    alphabet, hidden, ffn, layers = byte_alphabet(), 256, 512, 2
    draw = random.Random(seed)
    no_code = {byte for byte in range(256) if any(byte >> shift & 3 == 3 for shift in (0, 2, 4, 6))}
    bytes_of_weights = bytes(sorted(set(range(256)) - no_code))
    norm = ("F32", (hidden,), struct.pack("<f", 1) * hidden)
    tensors = {"model.embed_tokens.weight": ("F16", (256, hidden), random_halves(256 * hidden, range(-64, 65), seed)),
               "model.norm.weight": norm}
    for i in range(layers):
        layer = f"model.layers.{i}."
        for part in ("input_layernorm", "post_attention_layernorm", "self_attn.attn_sub_norm"):
            tensors[f"{layer}{part}.weight"] = norm
        tensors[layer + "mlp.ffn_sub_norm.weight"] = ("F32", (ffn,), struct.pack("<f", 1) * ffn)
        for part, (rows, columns) in HF_LAYER.items():
            packed = bytes(draw.choices(bytes_of_weights, k=rows // 4 * columns))
            tensors[f"{layer}{part}.weight"] = ("U8", (rows // 4, columns), packed)
            tensors[f"{layer}{part}.weight_scale"] = ("F32", (1,), struct.pack("<f", 0.0625))
    config = {"architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_act": "relu2", "hidden_size": hidden,
              "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
              "vocab_size": 256, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
              "quantization_config": {"quant_method": "bitnet", "linear_class": "autobitlinear",
                                      "quantization_mode": "offline"}}
    tokenizer = {"added_tokens": [], "normalizer": None,
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
                 "model": {"type": "BPE", "vocab": {piece: i for i, piece in enumerate(alphabet)}, "merges": []}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors)
        return folder
    names, places = list(tensors), {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[i::shards]}
        write_safetensors(folder / file, part)
        places |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def write_safetensors(path, tensors):
    """Tensors as (type, shape, bytes), by name."""
    entries, data = {}, b""
    for name, (kind, shape, values) in tensors.items():
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def random_halves(count, spread, seed):
    """float16 values as bytes, each one of the spread's numbers of 64ths."""
    return b"".join(random.Random(seed).choices([struct.pack("<e", n / 64) for n in spread], k=count))


def byte_alphabet():
    """The printable characters in which GPT-2 writes the 256 bytes, in the order of the bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def string(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def text(key, value):
    return string(key) + struct.pack("<I", 8) + string(value)


def number(key, value):
    return string(key) + struct.pack("<II", 4, value)


def real(key, value):
    return string(key) + struct.pack("<If", 6, value)


def flag(key, value):
    return string(key) + struct.pack("<IB", 7, value)


def array(key, kind, values):
    items = b"".join(string(v) if kind == 8 else struct.pack("<i", v) for v in values)
    return string(key) + struct.pack("<IIQ", 9, kind, len(values)) + items
