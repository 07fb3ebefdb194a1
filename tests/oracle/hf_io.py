# SPDX-License-Identifier: MIT
"""Reads and writes the part of a Hugging Face checkpoint that the oracle needs, knowing nothing of libbitnet.

A checkpoint is a folder with config.json and model.safetensors, or shards that model.safetensors.index.json names. A
safetensors file is a u64, the length of its header; the header, JSON with the type, shape and place of each tensor; and the
tensors' data.
"""
import json
import struct
from dataclasses import dataclass

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I8": "<i1", "U8": "<u1"}


@dataclass(frozen=True)
class BFloat16:
    """An array of bfloat16, which NumPy does not have, as its bits."""

    bits: np.ndarray

    @staticmethod
    def rounded(values):
        """The nearest, ties to even. Not for infinities."""
        bits = np.asarray(values, np.float32).view(np.uint32)
        return BFloat16(((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype(np.uint16))

    def floats(self):
        return (self.bits.astype(np.uint32) << 16).view(np.float32)


def tensor_bytes(tensor):
    if isinstance(tensor, BFloat16):
        return "BF16", tensor.bits.shape, tensor.bits.tobytes()
    name = next(name for name, dtype in TYPES.items() if np.dtype(dtype) == tensor.dtype)
    return name, tensor.shape, tensor.tobytes()


def write_file(path, tensors):
    entries, body = {}, b""
    for name, tensor in tensors.items():
        kind, shape, data = tensor_bytes(tensor)
        entries[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    header = json.dumps({"__metadata__": {"format": "pt"}} | entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)


def read_file(path):
    """The tensors by name, those of bfloat16 as float32."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        part = data[8 + length + begin : 8 + length + end]
        if entry["dtype"] == "BF16":
            values = BFloat16(np.frombuffer(part, "<u2")).floats()
        else:
            values = np.frombuffer(part, TYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def write(folder, config, tensors, shards=1):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    if shards == 1:
        return write_file(folder / "model.safetensors", tensors)
    names = list(tensors)
    weight_map = {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = names[i * len(names) // shards : (i + 1) * len(names) // shards]
        weight_map |= dict.fromkeys(part, file)
        write_file(folder / file, {name: tensors[name] for name in part})
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def read(folder):
    """config.json, and the tensors of all files by name."""
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= read_file(file)
    return json.loads((folder / "config.json").read_text()), tensors
