# SPDX-License-Identifier: MIT
"""The comparison of check_logits.py accepts correct arithmetic and rejects each of many deliberate mistakes.

usage: check_mistakes.py MODEL.gguf

Correct is the oracle in float32, in two orders of summation. A mistake is a subclass of the oracle that differs in one
step. Rejected means: above BOUND. Mistakes that a model cannot show are left out for it (where_visible).
"""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import oracle
from comparison import BOUND, clear_sequence, deviation
from oracle import Oracle, SequentialOracle

LENGTH = 32  # enough for every mistake to show


class NoAttentionSubNorm(Oracle):
    def norm(self, x, weight):
        return x if any(weight is layer.attn_sub_norm for layer in self.model.layers) else super().norm(x, weight)


class NoFeedForwardSubNorm(Oracle):
    def norm(self, x, weight):
        return x if any(weight is layer.ffn_sub_norm for layer in self.model.layers) else super().norm(x, weight)


class NormWithMean(Oracle):
    """LayerNorm instead of RMSNorm."""

    def norm(self, x, weight):
        return super().norm(x - x.mean(axis=-1, keepdims=True), weight)


class QueryOneLate(Oracle):
    """Queries and keys rotated for different positions (both one late would be the same network)."""

    def attention(self, layer, x, positions, visible, cached):
        self.late = True
        return super().attention(layer, x, positions, visible, cached)

    def rotate(self, x, positions):
        late, self.late = self.late, False
        return super().rotate(x, positions + late)


class AdjacentPairs(Oracle):
    """RoPE over (2 i, 2 i + 1)."""

    def rotate(self, x, positions):
        order = np.r_[0 : x.shape[-1] : 2, 1 : x.shape[-1] : 2]
        result = np.empty_like(x)
        result[..., order] = super().rotate(x[..., order], positions)
        return result


class HeadsInterleaved(Oracle):
    """Query head h uses key/value head h mod count."""

    def share(self, x):
        return np.concatenate([x] * (self.model.heads // self.model.kv_heads))


class ScaledByHidden(Oracle):
    """Attention scores divided by the root of the hidden size instead of the head's."""

    def attend(self, q, k, v, visible):
        return super().attend(q / np.sqrt(self.model.heads), k, v, visible)


class SeesTheFuture(Oracle):
    def attend(self, q, k, v, visible):
        return super().attend(q, k, v, np.ones_like(visible))


class NotItself(Oracle):
    """A token sees only those before it (the first sees itself)."""

    def attend(self, q, k, v, visible):
        return super().attend(q, k, v, visible & ~np.eye(len(visible), dtype=bool) | (np.arange(len(visible)) == 0))


class Scale128(Oracle):
    def quantize(self, x):
        scale = 128 / np.maximum(np.abs(x).max(axis=-1, keepdims=True), 1e-5)
        return np.clip(np.rint(x * scale), -128, 127), scale


class OneScaleForAllTokens(Oracle):
    def quantize(self, x):
        scale = 127 / np.abs(x).max()
        return np.rint(x * scale), np.full((len(x), 1), scale)


class Truncated(Oracle):
    def quantize(self, x):
        _, scale = super().quantize(x)
        return np.trunc(x * scale), scale


class OtherActivation(Oracle):
    def activate(self, gate):
        return np.square(np.maximum(gate, 0)) if self.model.activation == "silu" else gate / (1 + np.exp(-gate))


class ReluUnsquared(Oracle):
    def activate(self, gate):
        return np.maximum(gate, 0)


class GateAndUpExchanged(Oracle):
    def feed_forward(self, layer, x):
        return super().feed_forward(replace(layer, ffn_gate=layer.ffn_up, ffn_up=layer.ffn_gate), x)


class ScaleOfAnotherMatrix(Oracle):
    def attention(self, layer, x, positions, visible, cached):
        wrong = oracle.Ternary(layer.attn_output.codes, layer.ffn_down.scale)
        return super().attention(replace(layer, attn_output=wrong), x, positions, visible, cached)


def mistakes(model):
    """Name and oracle of each mistake that this model can show."""
    classes = [
        NoAttentionSubNorm, NoFeedForwardSubNorm, NormWithMean, QueryOneLate, AdjacentPairs, ScaledByHidden, SeesTheFuture,
        NotItself, Scale128, OneScaleForAllTokens, Truncated, OtherActivation, ReluUnsquared, GateAndUpExchanged,
        ScaleOfAnotherMatrix]  # fmt: skip
    if 1 < model.kv_heads < model.heads:
        classes.append(HeadsInterleaved)
    for mistake in classes:
        yield mistake.__name__, mistake(model)
    yield "epsilon 1e-6 for 1e-5 or the reverse", Oracle(replace(model, epsilon=1e-11 / model.epsilon))
    yield "another theta", Oracle(replace(model, theta=10000.0 if model.theta != 10000.0 else 500000.0))
    yield "keys and values not rounded", Oracle(model, kv_type=np.float64)
    if model.head is not model.embedding:
        yield "embedding used as head", Oracle(replace(model, head=model.embedding))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model

    model = oracle.load(path)
    tokens = clear_sequence(model, path.stem)
    reference = Oracle(model).logits(tokens)
    passed = []
    for correct in (Oracle, SequentialOracle):
        error = deviation(correct(model, np.float32).logits(tokens), reference).max()
        print(f"{correct.__name__} in float32: {error:.1e}, to be accepted")
        passed.append(error <= BOUND / 2)
    for name, mistaken in mistakes(model):
        error = deviation(mistaken.logits(tokens[:LENGTH]), reference[:LENGTH]).max()
        print(f"{name}: {error:.1e}, to be rejected")
        passed.append(error > BOUND)
    raise SystemExit(not all(passed))


if __name__ == "__main__":
    main()
