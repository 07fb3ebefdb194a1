# SPDX-License-Identifier: MIT
"""The library's embeddings are those of the oracle: from the checkpoint folder or the GGUF file, and converted.

usage: check_embeddings.py PROGRAM MODEL

The oracle is in float64. Over texts that are clear, on which the oracle itself does not depend on the type of its floats or on
the order of its sums, the cosine of each embedding with the oracle's is within 1e-4 of 1 (measured: within 1e-12). Others have some activation that lies within float error of a boundary of its rounding to int8, as README.md
explains; all that follows is then quantization noise apart, which here comes to 3e-4: these networks are made to amplify it.
What a mistake would cost is shown by oracles that make one. Numbers of fewer bits are held to a second way to make them.
"""
import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import oracle
from comparison import run

BOUND, NOISE_BOUND = 1e-4, 1e-3
SHORT = (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4)
LEAST_CLEAR = 4  # of the short ones
LENGTHS = (*SHORT, 20, 64, 129, 300)  # in one call: passes are shared, and the last takes two


BLOCK = 64  # positions whose weights share a step


class StateOracle(oracle.Oracle):
    """Hidden states in place of logits. Attention rounds as kernels/kernels.h says of int16 caches, nothing else does: an error
    of 1e-4 in keys or values already moves roundings to int8, and with them all that follows."""

    def head(self, x):
        return x

    def attention(self, layer, x, positions, visible, cached):
        self.steps = []
        return super().attention(layer, x, positions, visible, cached)

    def codes(self, x):
        """int16 codes of each row and their step."""
        largest = np.maximum(np.abs(x).max(axis=-1, keepdims=True), 1e-15) / 32767
        step = np.maximum(np.sqrt(np.square(x).sum(axis=-1, keepdims=True)) / 46000, largest)
        return np.rint(x / step), step

    def store(self, x):
        codes, step = self.codes(x)
        self.steps.append(step)
        return codes * step

    def attend(self, q, k, v, visible):
        scale = np.sqrt(self.model.query_scalar or q.shape[-1])
        codes, step = self.codes(q / scale)
        scores = np.where(visible, codes * step @ k.transpose(0, 2, 1), -np.inf)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        value_steps = self.share(self.steps[1]).transpose(0, 2, 1)
        result = np.zeros_like(q)
        for begin in range(0, scores.shape[-1], BLOCK):
            block = slice(begin, begin + BLOCK)
            scaled = weights[..., block] * value_steps[..., block]
            total, largest = scaled.sum(axis=-1, keepdims=True), scaled.max(axis=-1, keepdims=True)
            step = np.maximum(total / 65000, np.maximum(largest, 1e-300) / 32767)
            result += np.rint(scaled / step) @ (v[:, block] / value_steps.transpose(0, 2, 1)[:, block]) * step
        return result / weights.sum(axis=-1, keepdims=True)


class SequentialStateOracle(StateOracle, oracle.SequentialOracle):
    pass


def is_clear(model, line, states):
    others = [kind(model, np.float32, np.float64).logits(line)[-1] for kind in (StateOracle, SequentialStateOracle)]
    return all(distances(other[None], states[-1:])[0] < 1e-9 for other in others)


class NormsWithoutInputs(StateOracle):
    def project(self, layer, x, *parts):
        return self.linear(x, *(getattr(layer, part) for part in parts))


class OtherGelu(StateOracle):
    """SiLU for GELU and the reverse."""

    def activate(self, gate):
        other = "silu" if self.model.activation != "silu" else "gelu_pytorch_tanh"
        return StateOracle(replace(self.model, activation=other)).activate(gate)


def texts(model):
    tokens = np.random.PCG64(7).random_raw(sum(LENGTHS)) % np.uint64(len(model.embedding))
    return [part.tolist() for part in np.split(tokens, np.cumsum(LENGTHS)[:-1])]


def normed(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def pooled(states, pooling):
    return {"last": states[-1], "mean": states.mean(axis=0), "cls": states[0]}[pooling]


def embeddings(program, model, lines, *options):
    """What `bitnet embed` writes."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "texts", Path(folder) / "out.npy"
        file.write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
        run(program, "embed", "-m", model, "--ids", "-f", file, "--format", "npy", "-o", out, *options)
        return np.load(out, allow_pickle=False)


def distances(a, b):
    """One less the cosine of each pair; NaN counts as infinite."""
    found = 1 - (normed(a.astype(np.float64)) * normed(b)).sum(axis=-1)
    return np.where(np.isnan(found), np.inf, found)


def check_codes(program, model, lines, exact):
    """Numbers of 8, 4, 2 and 1 bits, from the float embeddings."""
    int8 = embeddings(program, model, lines, "--type", "int8")
    expected = np.rint(exact.astype(np.float64) * 127 / np.abs(exact).max(axis=1, keepdims=True))
    # A quotient may lie on a boundary, and floats of the embedding have been rounded once.
    passed = [int8.dtype == np.int8 and np.abs(int8 - expected).max() <= 1 and (int8 != expected).mean() < 1e-3]
    for bits, width in ((4, 0.3352), (2, 0.9957)):
        packed = embeddings(program, model, lines, "--type", f"int{bits}")
        shifts = np.arange(8 - bits, -1, -bits)
        codes = (packed[:, :, None] >> shifts & (1 << bits) - 1).reshape(len(packed), -1)[:, : exact.shape[1]]
        step = width * np.sqrt(np.mean(np.square(exact, dtype=np.float64), axis=1, keepdims=True))
        half = 1 << bits - 1
        expected = np.clip(np.floor(exact / step), -half, half - 1) + half
        passed.append(packed.dtype == np.uint8 and (codes != expected).mean() < 1e-3)
        values = 2.0 * codes - (2 * half - 1)
        print(f"{bits} bits: cosines with the floats at least {1 - distances(values, exact).max():.3f}")
    one = embeddings(program, model, lines, "--type", "int1")
    passed.append(np.array_equal(one, np.packbits(exact > 0, axis=1)))
    print("numbers of fewer bits:", passed)
    return all(passed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    args = parser.parse_args()

    model = oracle.load(args.model)
    lines = texts(model)
    states = [StateOracle(model, kv_type=np.float64).logits(line) for line in lines]
    clear = np.array([i < len(SHORT) and is_clear(model, line, states[i]) for i, line in enumerate(lines)])
    print(f"{clear.sum()} texts of {len(SHORT)} are clear")
    passed = [clear.sum() >= LEAST_CLEAR]
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "model.bitnet"
        run(args.program, "convert", "--quiet", args.model, converted)
        for name, path in {"as it is": args.model, "converted": converted}.items():
            for pooling in ("last", "mean", "cls"):
                found = distances(embeddings(args.program, path, lines, "--pooling", pooling),
                                  np.stack([pooled(s, pooling) for s in states]))
                exact, others = found[clear].max(), found[~clear].max()
                print(f"{name}, {pooling}: {exact:.1e} from 1 (bound {BOUND:.0e}), {others:.1e} (bound {NOISE_BOUND:.0e})")
                passed.append(exact <= BOUND and others <= NOISE_BOUND)
        exact = embeddings(args.program, converted, lines)
        passed.append(np.array_equal(exact, embeddings(args.program, args.model, lines, "--pooling", "last")))
        passed.append(np.abs(np.linalg.norm(exact, axis=1) - 1).max() < 1e-6)
        # Alone, the bits are the same.
        passed.append(all(np.array_equal(embeddings(args.program, converted, [line])[0], row)
                          for line, row in zip(lines[-3:], exact[-3:])))
        short = embeddings(args.program, converted, lines, "--dimensions", "100")
        passed.append(np.abs(short - normed(exact[:, :100])).max() < 1e-6)
        passed.append(check_codes(args.program, converted, lines, exact))

    reference = np.stack([s[-1] for s in states])
    for mistaken in mistakes(model):
        found = distances(np.stack([mistaken.logits(line)[-1] for line in lines[:7]]), reference[:7]).max()
        print(f"{type(mistaken).__name__}: {found:.1e} from 1, to be rejected")
        passed.append(found > NOISE_BOUND)
    print(json.dumps([bool(p) for p in passed]))
    raise SystemExit(not all(passed))


def mistakes(model):
    yield NormsWithoutInputs(model, kv_type=np.float64)
    yield OtherGelu(model, kv_type=np.float64)
    yield StateOracle(replace(model, scaled_embedding=not model.scaled_embedding), kv_type=np.float64)
    if model.layers[0].post_attention_norm is not None:
        layers = [replace(layer, post_attention_norm=None) for layer in model.layers]
        yield StateOracle(replace(model, layers=layers), kv_type=np.float64)


if __name__ == "__main__":
    main()
