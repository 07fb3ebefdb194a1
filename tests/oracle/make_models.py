# SPDX-License-Identifier: MIT
"""Writes the random models that the oracle's tests run: small, but every variant and odd shape is there. Some as GGUF, some
as Hugging Face checkpoints (hf_models.py).

usage: make_models.py FOLDER

The scales are chosen so that a network behaves like a trained one: attention that prefers some tokens, blocks that
outweigh the embedding they are added to, and logits a few units apart.
"""
import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import embedding_gguf
import gguf_io
import hf_models
from gguf_io import Ternary


@dataclass(frozen=True)
class Shape:
    architecture: str
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool
    theta: float
    epsilon: float


MODELS = {
    "b158": Shape("bitnet-b1.58", 256, 640, 2, 4, 2, 320, True, 500000.0, 1e-5),
    "b158_head": Shape("bitnet-b1.58", 384, 1024, 2, 6, 1, 512, False, 10000.0, 1e-6),
    "b25": Shape("bitnet-25", 128, 384, 3, 8, 8, 300, False, 500000.0, 1e-5),
    "silu_odd": Shape("bitnet", 200, 500, 2, 2, 2, 600, True, 10000.0, 1e-5),  # heads of 100, as the 3B has; not I2_S
    "silu": Shape("bitnet", 256, 512, 3, 2, 1, 333, False, 10000.0, 1e-6),
}
CONTEXT = 512


def metadata(name, shape):
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    words = [f"t{i}" for i in range(shape.vocabulary - 259)]
    architecture = shape.architecture
    # With a SentencePiece vocabulary it could also be one of 1bitLLM's, which have SiLU.
    activation = {"bitnet-b1.58.hidden_act": "relu2"} if architecture == "bitnet-b1.58" else {}
    return activation | {
        "general.architecture": architecture,
        "general.name": f"oracle-{name}",
        f"{architecture}.vocab_size": shape.vocabulary,
        f"{architecture}.context_length": CONTEXT,
        f"{architecture}.embedding_length": shape.hidden,
        f"{architecture}.block_count": shape.layers,
        f"{architecture}.feed_forward_length": shape.ffn,
        f"{architecture}.rope.dimension_count": shape.hidden // shape.heads,
        f"{architecture}.rope.freq_base": shape.theta,
        f"{architecture}.attention.head_count": shape.heads,
        f"{architecture}.attention.head_count_kv": shape.kv_heads,
        f"{architecture}.attention.layer_norm_rms_epsilon": shape.epsilon,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>"] + byte_tokens + words,
        "tokenizer.ggml.scores": np.zeros(shape.vocabulary, "f4"),
        "tokenizer.ggml.token_type": np.array([2, 3, 3] + [6] * 256 + [1] * len(words), "i4"),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


class Random:
    """The same numbers with every NumPy and on every machine: PCG64's bits are guaranteed, and the rest is exact."""

    def __init__(self, seed):
        self.bits = np.random.PCG64(seed)

    def uniform(self, *shape):
        return (self.bits.random_raw(np.prod(shape)) >> np.uint64(32)).reshape(shape)  # whole, below 2^32

    def normal(self, *shape):
        """Nearly normal, of mean 0 and variance 1: the sum of twelve uniform numbers."""
        return self.uniform(12, *shape).sum(axis=0) * 2.0**-32 - 6

    def ternary(self, rows, cols):
        """Six in ten are not zero."""
        uniform = self.uniform(rows, cols)
        return (uniform > 0.7 * 2**32).astype(np.float32) - (uniform < 0.3 * 2**32).astype(np.float32)


def tensors(shape, random):
    def norm(size):
        return (1 + 0.2 * random.normal(size)).astype(np.float32)

    def plain(rows):
        return random.normal(rows, shape.hidden) * (3 / np.sqrt(shape.hidden))

    def ternary(rows, cols, gain):
        """An input of unit size comes out with size gain, give or take a fifth."""
        gain *= 0.8 + 0.4 * 2.0**-32 * int(random.uniform(1)[0])
        return Ternary(random.ternary(rows, cols), np.float32(gain / np.sqrt(0.6 * cols)))

    hidden, ffn, kv = shape.hidden, shape.ffn, shape.hidden // shape.heads * shape.kv_heads
    # With its own head a model can follow each token with a certain other one, as a language does, whereas a tied one that
    # leans on the embedding repeats itself.
    embedding = plain(shape.vocabulary) * (1 if shape.tied else 2)
    block_gain = 0.7 if shape.tied else 0.4
    yield "token_embd.weight", embedding.astype(np.float16)
    for i in range(shape.layers):
        block = {
            "attn_norm": norm(hidden),
            "attn_q": ternary(hidden, hidden, 1.5),
            "attn_k": ternary(kv, hidden, 1.5),
            "attn_v": ternary(kv, hidden, 1),
            "attn_sub_norm": norm(hidden),
            "attn_output": ternary(hidden, hidden, block_gain),
            "ffn_norm": norm(hidden),
            "ffn_gate": ternary(ffn, hidden, 1),
            "ffn_up": ternary(ffn, hidden, 1),
            "ffn_sub_norm": norm(ffn),
            "ffn_down": ternary(hidden, ffn, block_gain),
        }
        for name, tensor in block.items():
            yield f"blk.{i}.{name}.weight", tensor
    yield "output_norm.weight", norm(hidden)
    if not shape.tied:
        successor = np.argsort(random.uniform(shape.vocabulary), kind="stable")
        yield "output.weight", (0.5 * embedding[successor] + 0.5 * plain(shape.vocabulary)).astype(np.float16)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, shape) in enumerate(MODELS.items()):
        gguf_io.write(folder / f"{name}.gguf", metadata(name, shape), dict(tensors(shape, Random(seed))))
    for seed, (name, checkpoint) in enumerate(hf_models.MODELS.items(), len(MODELS)):
        hf_models.write(folder / name, checkpoint, Random(seed))
        if checkpoint.headless:
            embedding_gguf.write(folder / f"{name}.gguf", folder / name)


if __name__ == "__main__":
    main()
