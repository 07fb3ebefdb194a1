# SPDX-License-Identifier: MIT
"""How near the library's logits must come to the oracle's, and why; and the means to get them from the program.

The bound. On a sequence that sequences.py has made clear of the rounding boundaries, float32 arithmetic in any sensible
order takes the same integer activations and the same float16 keys and values as the oracle's float64. What is left is
float rounding. In one layer an output's error is that of the token's scales (RMSNorm and absmax: a sum of squares, a
root, divisions), of attention (dot products, exp, a sum), of the gate and of the addition to the residual stream: tens of
roundings of 2^-24 = 6e-8 each, of which BitLinear passes on only the part that scales the whole vector, for the integers
do not change. The head then sums some hundred products, with a random walk of 2^-24 sqrt(n), about 1e-6 of the logits'
size. Together some 1e-6 of the root mean square of the logits: measured, the greatest error over all positions of all
models is 8e-6 when every sum is done in float32 from left to right, the worst order (README.md). BOUND is 2.5 times that.

It is a sharp bound: a mistake that moves one activation by one unit moves logits by 1e-2 (see check_mistakes.py).

ROUNDED_BOUND is for models with float activations, against an oracle that rounds nothing, over any tokens. The library keeps
13 or 16 bits of an activation, and 16 of keys and values: errors of at most 2^-14 of an element, independent of each other,
which attention amplifies. Measured, the greatest error of all positions and models is 3.3e-3 of the logits' size (README.md);
with keys and values in float16 it would be more. The bound is three times that; the mildest mistake is at 0.8.
"""
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import sequences
from gguf_io import Ternary

BOUND = 2e-5
ROUNDED_BOUND = 1e-2


def is_ternary(model):
    """Whether its linear layers round their inputs to int8."""
    return isinstance(model.layers[0].attn_q, Ternary)


def any_sequence(model, name, length=300):
    """Tokens for a model with float activations, which has no boundaries to keep clear of but between experts."""
    if model.experts_used:
        return clear_sequence(model, name)
    return (np.random.PCG64(0).random_raw(length) % np.uint64(len(model.embedding))).tolist()


def size(logits):
    """The root mean square over all positions and tokens: the unit of all bounds."""
    return np.sqrt(np.mean(np.square(logits, dtype=np.float64)))


def deviation(logits, reference):
    """For each position the greatest error of a logit, relative to the size of the logits; NaN counts as infinite."""
    if logits.shape != reference.shape:
        raise ValueError(f"the logits have shape {logits.shape}, expected {reference.shape}")
    error = np.abs(logits - reference).max(axis=-1) / size(reference)
    return np.where(np.isnan(error), np.inf, error)


def clear_sequence(model, name):
    """The committed sequence for a model, after making sure that it still is what sequences.py promises."""
    tokens = json.loads(Path(__file__).with_name("sequences.json").read_text())[name]
    clearance = sequences.clearance(model, tokens)
    if clearance < sequences.CLEARANCE:
        raise SystemExit(f"{name}: clearance {clearance:.2f}; the model has changed, run sequences.py")
    return tokens


def run(program, *arguments):
    """Runs the program, whose errors go where ours go."""
    subprocess.run([program, *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def program_logits(program, model, tokens, kv):
    """What `bitnet logits` writes with a KV cache of this kind: float32, one row for each token."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "logits.npy"
        run(program, "logits", "-m", model, "--tokens", " ".join(map(str, tokens)), "--kv", kv, "-o", out)
        logits = np.load(out, allow_pickle=False)
    if logits.dtype != np.float32:
        raise ValueError(f"the logits are {logits.dtype}, expected float32")
    return logits
