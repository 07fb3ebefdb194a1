# SPDX-License-Identifier: MIT
"""Token sequences on which BitNet is continuous, so that float rounding alone can part two correct implementations.

usage: sequences.py FOLDER_OF_MODELS SEQUENCES.json [--models NAME...] [--seed N]   (takes minutes)

Rounding to int8 and to float16 is discontinuous. Where an activation lies within float error of a rounding boundary,
correct implementations may round it to different sides; the network then amplifies the difference, within a layer or
two, to the size of the quantization noise: some hundredths of the size of the logits instead of some millionths. In the
random models here that happens about once in ten to fifty tokens, and from then on to every later token.

The sequences of sequences.json avoid it. Each token was chosen among many, by the oracle alone, as the one whose forward
pass keeps farthest from all boundaries. That distance is measured in the size that float32 errors have: its smallest
value over a pass is the pass's clearance.
"""
import argparse
import json
from pathlib import Path

import numpy as np

import oracle

LENGTH = 300
CANDIDATES = 128

# The units of clearance. In float32 over these sequences one activation in 240 or fewer errs by more than twice its unit;
# of keys and values, one in 200 with NumPy's order of summation, one in 17 with sums from left to right.
QUANTIZED_ERROR = 4e-5  # of an activation, in units of its int8
CACHED_ERROR = 1.5e-7  # of a key or value, relative to its size (a key's: that of the pair that RoPE rotates)

SCORE_ERROR = 2e-2  # of a router's score, of which the library's activations of 13 or 16 bits move few as far

# What a sequence must keep. Of a token's thousands of elements only the nearest few lie at its clearance, most tokens'
# is well above this, and an error must also have the right sign: so a correct implementation gets through 300 tokens,
# but nothing guarantees it. Should one fail by an abrupt 1e-2 at some token and all that follow, compare the roundings
# of that token before blaming its arithmetic.
CLEARANCE = 2.0


class ClearanceOracle(oracle.Oracle):
    """After evaluate(), clearance holds that of each token."""

    def evaluate(self, tokens, past=None, siblings=False):
        self.clearance = np.full(len(tokens), np.inf)
        return super().evaluate(tokens, past, siblings)

    def observe(self, clearance):
        self.clearance = np.minimum(self.clearance, clearance)

    def quantize(self, x):
        codes, scale = super().quantize(x)
        self.observe(np.abs(np.abs(x * scale - np.rint(x * scale)) - 0.5).min(axis=-1) / QUANTIZED_ERROR)
        return codes, scale

    def rotate(self, x, positions):
        half = x.shape[-1] // 2
        self.pair_sizes = np.tile(np.hypot(x[..., :half], x[..., half:]), 2)
        return super().rotate(x, positions)

    def store(self, x):
        """Is called with the keys, just rotated, then with the values."""
        sizes, self.pair_sizes = np.abs(x) if self.pair_sizes is None else self.pair_sizes, None
        stored = super().store(x)
        away = np.where(x > stored, np.inf, -np.inf).astype(stored.dtype)
        boundary = (stored.astype(self.dtype) + np.nextafter(stored, away)) / 2
        self.observe((np.abs(boundary - x) / (CACHED_ERROR * sizes + 1e-30)).min(axis=(0, 2)))
        return stored


class RouterOracle(oracle.Oracle):
    """Likewise of models with float activations, whose only discontinuity is which experts a router chooses."""

    def __init__(self, model):
        super().__init__(model, kv_type=np.float64)

    def evaluate(self, tokens, past=None, siblings=False):
        self.clearance = np.full(len(tokens), np.inf)
        return super().evaluate(tokens, past, siblings)

    def weigh(self, scores, chosen):
        ordered = -np.sort(-scores, axis=-1)
        used = chosen.shape[-1]
        self.clearance = np.minimum(self.clearance, (ordered[:, used - 1] - ordered[:, used]) / SCORE_ERROR)
        return super().weigh(scores, chosen)


def instance_of(model):
    return RouterOracle(model) if model.experts_used else ClearanceOracle(model)


def clearance(model, tokens):
    """The least over the whole sequence."""
    instance = instance_of(model)
    instance.evaluate(tokens)
    return instance.clearance.min()


def find(instance, count, seed=0):
    """A sequence that is clear of the boundaries, for the model of this oracle."""
    past, tokens = None, []
    random = np.random.default_rng(seed)
    for length in range(count):
        candidates = random.permutation(len(instance.model.embedding))[:CANDIDATES]
        _, alternatives = instance.evaluate(candidates, past, siblings=True)
        best = instance.clearance.argmax()
        past = alternatives.select([*range(length), length + best])
        tokens.append(int(candidates[best]))
    return tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sequences", type=Path)
    parser.add_argument("--models", nargs="*", metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sequences = json.loads(args.sequences.read_text()) if args.sequences.exists() else {}
    for path in sorted(args.folder.iterdir()):
        name = path.stem
        if args.models and name not in args.models:
            continue
        model = oracle.load(path)
        sequences[name] = find(instance_of(model), LENGTH, args.seed)
        print(f"{name}: clearance {clearance(model, sequences[name]):.2f}", flush=True)
        lines = (f'  "{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in sorted(sequences.items()))
        args.sequences.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
