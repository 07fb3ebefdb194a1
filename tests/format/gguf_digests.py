#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Computes the digests of gguf_types_test.cpp with the decoders of llama.cpp's Python package (`pip install gguf`).

usage: gguf_digests.py

The test decodes the same bytes with the library. What the package does not decode is decoded here, from the comments in
ggml-common.h: Q8_K, ik_llama.cpp's Q6_0, Q1_0, Q2_0 and PrismML's types.
"""
import numpy as np
from gguf import GGMLQuantizationType, quants

BLOCKS = 8
# number, name, values and bytes of a block, where its F16 scales lie
TYPES = [
    (2, "Q4_0", 32, 18, [0]),
    (3, "Q4_1", 32, 20, [0, 2]),
    (6, "Q5_0", 32, 22, [0]),
    (7, "Q5_1", 32, 24, [0, 2]),
    (8, "Q8_0", 32, 34, [0]),
    (10, "Q2_K", 256, 84, [80, 82]),
    (11, "Q3_K", 256, 110, [108]),
    (12, "Q4_K", 256, 144, [0, 2]),
    (13, "Q5_K", 256, 176, [0, 2]),
    (14, "Q6_K", 256, 210, [208]),
    (15, "Q8_K", 256, 292, [0, 2]),  # an F32 scale, which two finite F16 numbers make a finite one
    (20, "IQ4_NL", 32, 18, [0]),
    (23, "IQ4_XS", 256, 136, [0]),
    (34, "TQ1_0", 256, 54, [52]),
    (35, "TQ2_0", 256, 66, [64]),
    (41, "Q1_0", 128, 18, [0]),
    (42, "Q2_0", 64, 18, [0]),
    (42, "Q2_0 in blocks of 128", 128, 34, [0]),
    (133, "Q6_0", 32, 26, [0]),
    (142, "PQ2_0", 128, 34, [0]),
    (143, "PTQ1_0", 128, 28, [26]),
]


def random_blocks(count, size, scales):
    """Any bytes, but scales between 2^-14 and 2 in magnitude: a generator that C++ can repeat."""
    state, out = 1, np.zeros((count, size), np.uint8)
    for block in out:
        for i in range(size):
            state = state * 1103515245 + 12345 & 0xFFFFFFFF
            block[i] = state >> 16 & 0xFF
        for at in scales:
            block[at + 1] = block[at + 1] & 0x83 | 4 * (1 + block[at + 1] // 4 % 15)  # the exponent
    return out


def decode_q8_k(blocks):
    return blocks[:, :4].copy().view("<f4") * blocks[:, 4:260].view("i1").astype(np.float32)


def decode_q6_0(blocks):
    low = np.concatenate([blocks[:, 10:] & 15, blocks[:, 10:] >> 4], axis=1)
    top = np.concatenate([blocks[:, 2:10] >> shift & 3 for shift in (0, 4, 2, 6)], axis=1)
    return blocks[:, :2].copy().view("<f2").astype(np.float32) * ((low | top << 4).astype(np.float32) - 32)


def half(blocks, at):
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float32)


def decode_q1_0(blocks):
    bits = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little")
    return half(blocks, 0) * np.where(bits == 1, np.float32(1), np.float32(-1))


def decode_q2_0(blocks):
    codes = np.stack([blocks[:, 2:] >> shift & 3 for shift in (0, 2, 4, 6)], axis=2)
    return half(blocks, 0) * (codes.reshape(len(blocks), -1).astype(np.float32) - 1)


def decode_ptq1_0(blocks):
    parts = []
    for begin, end, digits in ((0, 16, 5), (16, 24, 5), (24, 26, 4)):
        for digit in range(digits):
            fraction = blocks[:, begin:end].astype(np.uint16) * 3**digit & 255
            parts.append((fraction * 3 >> 8).astype(np.float32) - 1)
    return half(blocks, 26) * np.concatenate(parts, axis=1)


HERE = {
    "Q8_K": decode_q8_k,
    "Q6_0": decode_q6_0,
    "Q1_0": decode_q1_0,
    "Q2_0": decode_q2_0,
    "Q2_0 in blocks of 128": decode_q2_0,
    "PQ2_0": decode_q2_0,
    "PTQ1_0": decode_ptq1_0,
}


def digest(values):
    """FNV-1a of the values' bytes."""
    result = 0xCBF29CE484222325
    for byte in values.astype("<f4").tobytes():
        result = (result ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return result


def main():
    for number, name, values, size, scales in TYPES:
        blocks = random_blocks(BLOCKS, size, scales)
        if name in HERE:
            decoded = HERE[name](blocks)
        else:
            decoded = quants.dequantize(blocks, GGMLQuantizationType(number))
        assert decoded.size == BLOCKS * values and np.isfinite(decoded).all(), name
        places = ", ".join(map(str, scales))
        print(f'    {{{number}, "{name}", {values}, {size}, {{{places}}}, 0x{digest(decoded.reshape(-1)):016x}}},')


if __name__ == "__main__":
    main()
