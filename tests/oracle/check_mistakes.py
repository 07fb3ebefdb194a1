# SPDX-License-Identifier: MIT
"""The comparison of check_logits.py accepts correct arithmetic and rejects each of many deliberate mistakes.

usage: check_mistakes.py MODEL

Correct is the oracle in float32, in two orders of summation. A mistake is a subclass of the oracle that differs in one
step. Rejected means: above BOUND. Mistakes that a model cannot show are left out for it (where_visible).
"""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import oracle
from comparison import BOUND, ROUNDED_BOUND, any_sequence, clear_sequence, deviation, is_ternary
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


class NoQueryNorm(Oracle):
    def norm_if_there(self, x, weight):
        return x if any(weight is layer.attn_q_norm for layer in self.model.layers) else super().norm_if_there(x, weight)


class NormBehindRope(Oracle):
    """The norms of queries and keys after they are turned."""

    def norm_if_there(self, x, weight):
        norms = [norm for layer in self.model.layers for norm in (layer.attn_q_norm, layer.attn_k_norm)]
        if not any(weight is norm for norm in norms):
            return super().norm_if_there(x, weight)
        self.late = weight
        return x

    def rotate(self, x, positions):
        return self.norm(super().rotate(x, positions), self.late)


class NoInputNorms(Oracle):
    def norm_in(self, x, weight):
        return x


class WorstExperts(Oracle):
    def weigh(self, scores, chosen):
        return super().weigh(scores, chosen)[:, ::-1]


def without(model, part):
    return replace(model, layers=[replace(layer, **{part: None}) for layer in model.layers])


def mistakes(model, kv_type):
    """Name and oracle of each mistake that this model can show."""

    def made(mistaken, kind=Oracle):
        return kind(mistaken, kv_type=kv_type)

    ternary, layer = is_ternary(model), model.layers[0]
    classes = [
        NormWithMean, QueryOneLate, AdjacentPairs, ScaledByHidden, SeesTheFuture, NotItself, OtherActivation, ReluUnsquared,
        GateAndUpExchanged]  # fmt: skip
    if layer.router is not None:
        classes.append(WorstExperts)
    if ternary:
        classes += [Scale128, OneScaleForAllTokens, Truncated, ScaleOfAnotherMatrix]
    if layer.attn_sub_norm is not None:
        classes += [NoAttentionSubNorm, NoFeedForwardSubNorm]
    if layer.attn_q_norm is not None:
        classes += [NoQueryNorm, NormBehindRope]
    if layer.attn_q_norm_in is not None:
        classes.append(NoInputNorms)
    if 1 < model.kv_heads < model.heads:
        classes.append(HeadsInterleaved)
    for mistake in classes:
        yield mistake.__name__, made(model, mistake)
    for part in ("attn_q_bias", "attn_k_bias", "attn_v_bias"):
        if getattr(layer, part) is not None:
            yield f"no {part}", made(without(model, part))
    if model.frequencies is None:
        other = 10000.0 if model.theta != 10000.0 else 500000.0
        if model.window_theta == model.theta:
            yield "another theta", made(replace(model, theta=other, window_theta=other))
        else:
            yield "another theta", made(replace(model, theta=other))
    else:
        yield "rotary embedding not scaled", made(replace(model, frequencies=None))
    if model.window is not None:
        yield "no windows", made(replace(model, window=None))
        yield "windows of one token more", made(replace(model, window=model.window + 1))
    if model.window is not None and model.window_theta != model.theta:
        yield "the same theta with windows", made(replace(model, window_theta=model.theta))
    if model.query_scalar is not None:
        yield "scores by the length of a head", made(replace(model, query_scalar=None))
    if model.scaled_embedding:
        yield "embedding not scaled", made(replace(model, scaled_embedding=False))
    if layer.post_attention_norm is not None:
        yield "no norm behind attention", made(without(model, "post_attention_norm"))
        yield "no norm behind the feed-forward network", made(without(model, "post_ffw_norm"))
    if model.magnitude != 1:
        yield "rotary embedding without its magnitude", made(replace(model, magnitude=1.0))
    if model.experts_used:
        yield "an expert more", made(replace(model, experts_used=model.experts_used + 1))
        yield "weights normalised or not", made(replace(model, normalised=not model.normalised))
    if model.limit is not None:
        yield "no limit", made(replace(model, limit=None))
        yield "a limit of 6", made(replace(model, limit=6.0))
    if model.turned is not None:
        yield "all of a head turned", made(replace(model, turned=2 * model.turned))
    for scale in ("embedding_scale", "residual_scale", "logit_scale"):
        if getattr(model, scale) != 1:
            yield f"no {scale}", made(replace(model, **{scale: 1.0}))
    if ternary and layer.attn_q_norm_in is None:  # which makes up for it
        yield "epsilon 1e-6 for 1e-5 or the reverse", made(replace(model, epsilon=1e-11 / model.epsilon))
    if ternary:
        yield "keys and values not rounded", Oracle(model, kv_type=np.float64)
    if model.head is not model.embedding:
        yield "embedding used as head", made(replace(model, head=model.embedding))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model

    model = oracle.load(path)
    ternary = is_ternary(model)
    tokens = clear_sequence(model, path.stem) if ternary else any_sequence(model, path.stem)
    bound, kv_type = (BOUND, np.float16) if ternary else (ROUNDED_BOUND, np.float64)
    reference = Oracle(model, kv_type=kv_type).logits(tokens)
    passed = []
    for correct in (Oracle, SequentialOracle):
        logits = correct(model, np.float32, kv_type if ternary else np.float32).logits(tokens)
        error = deviation(logits, reference).max()
        print(f"{correct.__name__} in float32: {error:.1e}, to be accepted")
        passed.append(error <= bound / 2)
    for name, mistaken in mistakes(model, kv_type):
        error = deviation(mistaken.logits(tokens[:LENGTH]), reference[:LENGTH]).max()
        print(f"{name}: {error:.1e}, to be rejected")
        passed.append(error > bound)
    raise SystemExit(not all(passed))


if __name__ == "__main__":
    main()
