# SPDX-License-Identifier: MIT
"""Reads and writes the part of GGUF that the oracle's models need, knowing nothing of libbitnet.

GGUF (versions 2 and 3): "GGUF", u32 version, u64 tensors, u64 key-values; the key-values; for each tensor its name, u32
rank, u64 dimensions (fastest first), u32 type, u64 offset; then the tensors on 32-byte boundaries.

I2_S is bitnet.cpp's ternary type as it writes it on x86: blocks of 128 weights in 32 bytes, weight j of a block as w + 1
in byte j % 32 at bit 6 - 2 (j / 32); after the last block one float32 scale and 28 bytes of filling.

Q4_1 and Q8_0 are read, not written: blocks of 32 weights after one or two float16 numbers. Q4_1: d, m, then weight j and
weight j + 16 as the lower and the upper half of byte j, d q + m. Q8_0: d, then a signed byte a weight, d q.
"""
import struct
from dataclasses import dataclass

import numpy as np

ALIGNMENT = 32
F32, F16, Q4_1, Q8_0, I2_S = 0, 1, 3, 8, 36
STRING, ARRAY = 8, 9
SCALARS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "<?", 10: "<u8", 11: "<i8", 12: "<f8"}


@dataclass(frozen=True)
class Ternary:
    """The matrix scale * codes. The codes are float32 so that a product of two of them is a BLAS call (and exact)."""

    codes: np.ndarray
    scale: np.float32


def ternary(matrix):
    """A float matrix that holds -s, 0 and s only, as codes and s."""
    scale = np.abs(matrix).max()
    codes = np.sign(matrix).astype(np.float32)
    if not np.array_equal(codes * scale, matrix):
        raise ValueError("the matrix is not ternary")
    return Ternary(codes, np.float32(scale))


def pack_i2_s(matrix):
    fields = (matrix.codes + 1).astype(np.uint8).reshape(-1, 4, 32)
    packed = fields[:, 0] << 6 | fields[:, 1] << 4 | fields[:, 2] << 2 | fields[:, 3]
    return packed.tobytes() + struct.pack("<f", matrix.scale) + bytes(28)


def unpack_i2_s(data, shape):
    packed = np.frombuffer(data, np.uint8, count=np.prod(shape) // 4).reshape(-1, 1, 32)
    codes = (packed >> np.array([6, 4, 2, 0], np.uint8)[:, None] & 3).astype(np.float32) - 1
    return Ternary(codes.reshape(shape), np.frombuffer(data, "<f4", count=1, offset=packed.size)[0])


def unpack_q4_1(data, shape):
    blocks = np.frombuffer(data, np.uint8, count=np.prod(shape) // 32 * 20).reshape(-1, 20)
    d, m = (blocks[:, at : at + 2].copy().view("<f2").astype(np.float32) for at in (0, 2))
    codes = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    return (d * codes + m).reshape(shape)


def unpack_q8_0(data, shape):
    blocks = np.frombuffer(data, np.uint8, count=np.prod(shape) // 32 * 34).reshape(-1, 34)
    return (blocks[:, :2].copy().view("<f2").astype(np.float32) * blocks[:, 2:].view(np.int8)).reshape(shape)


UNPACK = {Q4_1: unpack_q4_1, Q8_0: unpack_q8_0, I2_S: unpack_i2_s}


class Cursor:
    """The bytes of a file, read front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise ValueError("the file ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def scalars(self, dtype, count):
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * count), dtype)

    def u32(self):
        return int(self.scalars("<u4", 1)[0])

    def u64(self):
        return int(self.scalars("<u8", 1)[0])

    def string(self):
        return bytes(self.take(self.u64())).decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            item, count = self.u32(), self.u64()
            return [self.string() for _ in range(count)] if item == STRING else self.scalars(SCALARS[item], count)
        return self.scalars(SCALARS[kind], 1)[0].item()


def read(path):
    """The metadata and the tensors of a file, both by name; an I2_S tensor as a Ternary, the others as arrays."""
    with open(path, "rb") as file:
        cursor = Cursor(memoryview(file.read()))
    if bytes(cursor.take(4)) != b"GGUF" or cursor.u32() not in (2, 3):
        raise ValueError(f"{path}: not a GGUF file of version 2 or 3")
    tensor_count, key_count = cursor.u64(), cursor.u64()
    metadata = {}
    for _ in range(key_count):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.u32())
    infos = []
    for _ in range(tensor_count):
        name = cursor.string()
        shape = tuple(int(d) for d in reversed(cursor.scalars("<u8", cursor.u32())))
        infos.append((name, shape, cursor.u32(), cursor.u64()))
    alignment = metadata.get("general.alignment", ALIGNMENT)
    base = -(-cursor.at // alignment) * alignment
    tensors = {}
    for name, shape, kind, offset in infos:
        data = cursor.data[base + offset :]
        if kind in UNPACK:
            tensors[name] = UNPACK[kind](data, shape)
        else:
            tensors[name] = np.frombuffer(data, {F32: "<f4", F16: "<f2"}[kind], count=np.prod(shape)).reshape(shape)
    return metadata, tensors


def string_bytes(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value_bytes(value):
    """A metadata value with its type: str, bool, int (u32), float (f32), or a list or array of one of them."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + string_bytes(value)
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, np.ndarray):
        item = {np.dtype("i4"): 5, np.dtype("f4"): 6}[value.dtype]
        return struct.pack("<IIQ", ARRAY, item, value.size) + value.tobytes()
    return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(string_bytes, value))


def tensor_bytes(tensor):
    """A tensor's GGUF type, shape and data. A Ternary becomes I2_S, or float32 if its shape does not suit I2_S."""
    if isinstance(tensor, Ternary):
        if tensor.codes.shape[1] % 128 == 0:
            return I2_S, tensor.codes.shape, pack_i2_s(tensor)
        tensor = tensor.codes * tensor.scale
    return {np.dtype("f4"): F32, np.dtype("f2"): F16}[tensor.dtype], tensor.shape, tensor.tobytes()


def write(path, metadata, tensors):
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        header += string_bytes(key) + value_bytes(value)
    body = b""
    for name, tensor in tensors.items():
        kind, shape, data = tensor_bytes(tensor)
        dimensions = b"".join(struct.pack("<Q", d) for d in reversed(shape))
        header += string_bytes(name) + struct.pack("<I", len(shape)) + dimensions + struct.pack("<IQ", kind, len(body))
        body += data + bytes(-len(data) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(header + bytes(-len(header) % ALIGNMENT) + body)
