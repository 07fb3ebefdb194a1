#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads a .bitnet file, written from docs/format.md alone: NumPy and Zstandard, no code of the library or its schema.

usage: read_bitnet.py FILE [FOLDER]

Prints the model and its tensors. With FOLDER, writes each tensor there as FOLDER/NAME.npy, in float32: codes times scale.
"""
import struct
import sys
from pathlib import Path

import numpy as np
import zstandard

TYPES = ["f32", "f16", "i2", "t5", "int8", "q5", "q6", "g128", "g64"]
ACTIVATIONS = ["relu2", "silu", "gelu"]


class Table:
    """A FlatBuffers table: an offset to its vtable, which says where each field lies."""

    def __init__(self, buffer, position):
        self.buffer, self.position = buffer, position
        vtable = position - struct.unpack_from("<i", buffer, position)[0]
        size = struct.unpack_from("<H", buffer, vtable)[0]
        self.offsets = struct.unpack_from(f"<{size // 2 - 2}H", buffer, vtable + 4)

    def field(self, index):
        """Where field number `index` lies; None if it has its default."""
        offset = self.offsets[index] if index < len(self.offsets) else 0
        return self.position + offset if offset else None

    def number(self, index, code, default=0):
        at = self.field(index)
        return default if at is None else struct.unpack_from("<" + code, self.buffer, at)[0]

    def target(self, index):
        at = self.field(index)
        return None if at is None else at + struct.unpack_from("<I", self.buffer, at)[0]

    def table(self, index):
        return Table(self.buffer, self.target(index))

    def vector(self, index, dtype):
        at = self.target(index)
        if at is None:
            return np.empty(0, dtype)
        count = struct.unpack_from("<I", self.buffer, at)[0]
        return np.frombuffer(self.buffer, dtype, count, at + 4)

    def string(self, index):
        return self.vector(index, "u1").tobytes().decode()

    def tables(self, index):
        at = self.target(index)
        count = struct.unpack_from("<I", self.buffer, at)[0]
        for entry in range(at + 4, at + 4 + 4 * count, 4):
            yield Table(self.buffer, entry + struct.unpack_from("<I", self.buffer, entry)[0])


def read_metadata(file):
    magic, version, header_size = struct.unpack_from("<8sII", file)
    if magic != b"BITNET\x1a\n" or version != 1 or header_size != 64:
        raise ValueError("not a .bitnet file of version 1")
    size, offset, stored, raw = struct.unpack_from("<4Q", file, 16)
    if size != len(file):
        raise ValueError("truncated")
    metadata = zstandard.ZstdDecompressor().decompress(file[offset:offset + stored], max_output_size=raw)
    if metadata[4:8] != b"BNM1":
        raise ValueError("not the metadata of a model")
    return Table(metadata, struct.unpack_from("<I", metadata)[0])


def unpack_trits(data, kind, rows, cols):
    """The matrix of -1, 0, 1 in `data`."""
    per_byte = 4 if kind == "i2" else 5
    codes = np.frombuffer(data, "u1").astype(np.int32)
    digits = []
    for j in range(per_byte):
        if kind == "i2":
            digits.append(codes >> 2 * j & 3)
        else:
            digits.append(3 * codes >> 8)
            codes = 3 * codes & 255
    weights = np.stack(digits, axis=-1) - 1
    blocks = -(-cols // (64 * per_byte))
    # group, block, row of the group, weight of the block -> group, row of the group, block, weight
    weights = weights.reshape(-1, blocks, 4, 64 * per_byte).transpose(0, 2, 1, 3)
    return weights.reshape(-1, blocks * 64 * per_byte)[:rows, :cols]


def unpack_tiles(data, kind, rows, cols):
    """Group scale times (code - middle) of every weight."""
    w, middle = (1, 16) if kind == "q5" else (2, 32)
    tiles = np.frombuffer(data, "u1").reshape(-1, -(-cols // 64), 576 + 128 * w)
    scales = tiles[:, :, :64].view("i1").reshape(*tiles.shape[:2], 4, 16)
    r, c = np.meshgrid(np.arange(16), np.arange(64), indexing="ij")
    j, b = c // 4, 4 * r + c % 4
    lower = tiles[:, :, 64 + (j // 4 * 2 + j % 2) * 64 + b] >> np.where(j % 4 < 2, 0, 4) & 15
    upper = tiles[:, :, 576 + j * w // 8 * 64 + b] >> (j * w % 8) & (1 << w) - 1
    codes = lower.astype(np.int32) + 16 * upper.astype(np.int32) - middle
    values = codes * scales[:, :, c // 16, r].astype(np.int32)
    # rows of tiles, tile, row, column -> rows of tiles, row, tile, column
    return values.transpose(0, 2, 1, 3).reshape(tiles.shape[0] * 16, -1)[:rows, :cols]


def unpack_groups(data, kind, rows, cols):
    """Group scale times -1, 0 or 1 of every weight."""
    group = int(kind[1:])
    groups = 256 // group
    tiles = np.frombuffer(data, "u1").reshape(-1, -(-cols // 256), groups * 32 + 1024)
    scales = np.ascontiguousarray(tiles[:, :, :groups * 32]).view("<f2").reshape(*tiles.shape[:2], groups, 16)
    r, c = np.meshgrid(np.arange(16), np.arange(256), indexing="ij")
    codes = tiles[:, :, groups * 32 + c // 16 * 64 + 4 * r + c % 4] >> c % 16 // 4 * 2 & 3
    values = (codes.astype(np.float32) - 1) * scales[:, :, c // group, r].astype(np.float32)
    # rows of tiles, tile, row, column -> rows of tiles, row, tile, column
    return values.transpose(0, 2, 1, 3).reshape(tiles.shape[0] * 16, -1)[:rows, :cols]


class Tensor:
    def __init__(self, table, file):
        self.name = table.string(0)
        self.type = TYPES[table.number(1, "B")]
        self.rows, self.cols, self.stride = (table.number(i, "I") for i in (2, 3, 4))
        offset, stored, raw = (table.number(i, "Q") for i in (5, 6, 7))
        self.data = file[offset:offset + stored]
        if table.number(8, "B") == 1:
            self.data = zstandard.ZstdDecompressor().decompress(self.data, max_output_size=raw)
        if len(self.data) != raw:
            raise ValueError(f"{self.name} has {len(self.data)} bytes instead of {raw}")
        self.scales = table.vector(10, "<f4")

    def values(self):
        if self.type in ("i2", "t5"):
            weights = unpack_trits(self.data, self.type, self.rows, self.cols)
        elif self.type in ("q5", "q6"):
            weights = unpack_tiles(self.data, self.type, self.rows, self.cols)
        elif self.type in ("g128", "g64"):
            weights = unpack_groups(self.data, self.type, self.rows, self.cols)
        else:
            dtype = {"f32": "<f4", "f16": "<f2", "int8": "i1"}[self.type]
            weights = np.frombuffer(self.data, dtype).reshape(self.rows, self.stride)[:, :self.cols]
        weights = weights.astype(np.float32)
        return weights * self.scales[:, None] if len(self.scales) else weights


def main():
    path = sys.argv[1]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    file = Path(path).read_bytes()
    model = read_metadata(file)
    hyper, tokenizer = model.table(3), model.table(4)
    pieces, ends = tokenizer.vector(2, "u1").tobytes(), tokenizer.vector(3, "<u4")
    names = ["layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocabulary", "context"]
    print("architecture", model.string(0))
    print("name", model.string(1))
    for i, name in enumerate(names):
        print(name, hyper.number(i, "I"))
    print("activation", ACTIVATIONS[hyper.number(10, "B")])
    print("bos", tokenizer.number(7, "i", -1), "eos", tokenizer.number(8, "i", -1))
    print("last piece", pieces[ends[-2]:ends[-1]].decode())
    for table in model.tables(7):
        tensor = Tensor(table, file)
        print(tensor.name, tensor.type, tensor.rows, tensor.cols, len(tensor.scales))
        if folder:
            np.save(folder / f"{tensor.name}.npy", tensor.values())


if __name__ == "__main__":
    main()
