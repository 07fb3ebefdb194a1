# SPDX-License-Identifier: MIT
"""The forward pass of BitNet b1.58 in NumPy: what libbitnet's logits are held to. It shares nothing with the library.

Written from
  - "The Era of 1-bit LLMs" (arXiv 2402.17764) and the "BitNet b1.58 2B4T Technical Report" (arXiv 2504.12285);
  - Hugging Face's modeling_bitnet.py and integrations/bitnet.py (ActQuant, AutoBitLinear), for squared ReLU;
  - modeling_bitnet.py and utils_quant.py of 1bitLLM's checkpoints (a LLaMA with BitLinear, inner_attn_ln and
    ffn_layernorm), for SiLU.
From the library's documentation it takes one thing: keys and values are kept as float16 (kv_type).

dtype is the type of every operation that rounds; the ternary products are exact integers in any case.
"""
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import gguf_io
from gguf_io import Ternary


@dataclass(frozen=True)
class Layer:
    attn_norm: np.ndarray
    attn_q: Ternary
    attn_k: Ternary
    attn_v: Ternary
    attn_sub_norm: np.ndarray
    attn_output: Ternary
    ffn_norm: np.ndarray
    ffn_gate: Ternary
    ffn_up: Ternary
    ffn_sub_norm: np.ndarray
    ffn_down: Ternary


@dataclass(frozen=True)
class Model:
    heads: int
    kv_heads: int
    epsilon: float
    theta: float
    activation: str  # "relu2" or "silu"
    embedding: np.ndarray
    layers: list
    output_norm: np.ndarray
    head: np.ndarray


def load(path):
    """The model of a GGUF file of one of the architectures bitnet-b1.58, bitnet-25 and bitnet."""
    metadata, tensors = gguf_io.read(path)
    architecture = metadata["general.architecture"]

    def layer(i):
        parts = {}
        for name, kind in Layer.__annotations__.items():
            tensor = tensors[f"blk.{i}.{name}.weight"]
            parts[name] = gguf_io.ternary(tensor) if kind is Ternary and not isinstance(tensor, Ternary) else tensor
        return Layer(**parts)

    heads = metadata[f"{architecture}.attention.head_count"]
    return Model(
        heads=heads,
        kv_heads=metadata.get(f"{architecture}.attention.head_count_kv", heads),
        epsilon=metadata[f"{architecture}.attention.layer_norm_rms_epsilon"],
        theta=metadata.get(f"{architecture}.rope.freq_base", 10000.0),
        activation=metadata.get(f"{architecture}.hidden_act", {"bitnet-25": "relu2", "bitnet": "silu"}.get(architecture)),
        embedding=tensors["token_embd.weight"],
        layers=[layer(i) for i in range(metadata[f"{architecture}.block_count"])],
        output_norm=tensors["output_norm.weight"],
        head=tensors.get("output.weight", tensors["token_embd.weight"]),
    )


class Past(NamedTuple):
    """Keys and values of the tokens so far: for each layer two arrays (kv head, token, dimension)."""

    layers: list

    def length(self):
        return self.layers[0][0].shape[1]

    def select(self, tokens):
        """The past that has only these of its tokens."""
        return Past([(keys[:, tokens], values[:, tokens]) for keys, values in self.layers])


class Oracle:
    """One method for each step of the network, so that a test can replace one: every deliberate mistake is a subclass.

    Arrays of activations have one row for each token.
    """

    def __init__(self, model, dtype=np.float64, kv_type=np.float16):
        self.model, self.dtype, self.kv_type = model, dtype, kv_type

    def logits(self, tokens):
        return self.evaluate(tokens)[0]

    def evaluate(self, tokens, past=None, siblings=False):
        """Logits after each token, and the past with the tokens appended.

        As siblings, the tokens are alternatives for one position instead of a sequence: each sees the past and itself.
        """
        model, count = self.model, len(tokens)
        start = past.length() if past else 0
        positions = start + (np.zeros(count) if siblings else np.arange(count))
        among_new = np.eye(count, dtype=bool) if siblings else np.tri(count, dtype=bool)
        visible = np.hstack([np.ones((count, start), bool), among_new])

        x = model.embedding[np.asarray(tokens)].astype(self.dtype)
        layers = []
        for i, layer in enumerate(model.layers):
            y, cached = self.attention(layer, x, positions, visible, past.layers[i] if past else None)
            layers.append(cached)
            x = x + y
            x = x + self.feed_forward(layer, x)
        return self.head(self.norm(x, model.output_norm)), Past(layers)

    def attention(self, layer, x, positions, visible, cached):
        model = self.model
        h = self.norm(x, layer.attn_norm)
        q, k, v = self.linear(h, layer.attn_q, layer.attn_k, layer.attn_v)
        q = self.rotate(self.split(q, model.heads), positions)
        k = self.store(self.rotate(self.split(k, model.kv_heads), positions))
        v = self.store(self.split(v, model.kv_heads))
        if cached:
            k, v = np.concatenate([cached[0], k], axis=1), np.concatenate([cached[1], v], axis=1)
        y = self.attend(q, self.share(k), self.share(v), visible)
        y = self.norm(y.transpose(1, 0, 2).reshape(len(x), -1), layer.attn_sub_norm)
        return self.linear(y, layer.attn_output)[0], (k, v)

    def feed_forward(self, layer, x):
        h = self.norm(x, layer.ffn_norm)
        gate, up = self.linear(h, layer.ffn_gate, layer.ffn_up)
        return self.linear(self.norm(self.activate(gate) * up, layer.ffn_sub_norm), layer.ffn_down)[0]

    def head(self, x):
        return self.matmul(x, self.model.head.T.astype(self.dtype))

    def norm(self, x, weight):
        """RMSNorm."""
        mean = self.total(x * x) / self.dtype(x.shape[-1])
        return x / np.sqrt(mean + self.dtype(self.model.epsilon)) * weight.astype(self.dtype)

    def linear(self, x, *matrices):
        """BitLinear: the ternary matrices times the int8 activations; the product of the integers is exact."""
        codes, scale = self.quantize(x)
        products = ((codes.astype(np.float32) @ w.codes.T).astype(self.dtype) for w in matrices)
        return [product * (self.dtype(w.scale) / scale) for product, w in zip(products, matrices)]

    def quantize(self, x):
        """Absmax int8 of each token: x is about codes / scale."""
        scale = self.dtype(127) / np.maximum(np.abs(x).max(axis=-1, keepdims=True), self.dtype(1e-5))
        return np.clip(np.rint(x * scale), -128, 127), scale

    def split(self, x, heads):
        """From one row a token to (head, token, dimension)."""
        return x.reshape(len(x), heads, -1).transpose(1, 0, 2)

    def share(self, x):
        """Grouped-query attention: each key/value head serves consecutive query heads."""
        return np.repeat(x, self.model.heads // self.model.kv_heads, axis=0)

    def rotate(self, x, positions):
        """RoPE over the pairs (i, i + half).

        Frequencies and angles are float32 in every mode, as in Hugging Face's code, where they are so whatever type the
        network has: at position 300 that moves a rotation by up to 1e-5, far more than any other rounding.
        """
        size = x.shape[-1]
        half = size // 2
        exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
        frequencies = np.float32(1) / (self.model.theta ** exponents.astype(np.float64)).astype(np.float32)
        angle = (positions.astype(np.float32)[:, None] * frequencies).astype(np.float64)
        cos, sin = np.cos(angle).astype(self.dtype), np.sin(angle).astype(self.dtype)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    def store(self, x):
        return x.astype(self.kv_type)

    def attend(self, q, k, v, visible):
        """Softmax attention, every head by itself."""
        scores = self.matmul(q, k.transpose(0, 2, 1).astype(self.dtype)) / np.sqrt(self.dtype(q.shape[-1]))
        scores = np.where(visible, scores, self.dtype(-np.inf))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return self.matmul(weights, v.astype(self.dtype)) / self.total(weights)

    def activate(self, gate):
        if self.model.activation == "silu":
            return gate / (self.dtype(1) + np.exp(-gate))
        return np.square(np.maximum(gate, self.dtype(0)))

    def matmul(self, a, b):
        return a @ b

    def total(self, x):
        """The sum over the last axis, which stays."""
        return x.sum(axis=-1, keepdims=True)


class SequentialOracle(Oracle):
    """Adds every sum up from left to right, one rounding for each term: of the orders in use, the least accurate."""

    def matmul(self, a, b):
        result = np.zeros(np.broadcast_shapes(a.shape[:-1] + (1,), b.shape[:-2] + (1, b.shape[-1])), self.dtype)
        for i in range(a.shape[-1]):
            result += a[..., i, None] * b[..., i, None, :]
        return result

    def total(self, x):
        return np.add.accumulate(x, axis=-1)[..., -1:]
