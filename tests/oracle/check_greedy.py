# SPDX-License-Identifier: MIT
"""The library picks the oracle's tokens in 200 steps of greedy decoding, wherever the oracle's choice is decisive.

usage: check_greedy.py PROGRAM MODEL.gguf [--prompt TOKENS]

The oracle decodes; the library is then given the same tokens, and its greatest logit after each is compared.

Greedy decoding cannot keep clear of rounding boundaries as sequences.py does, so the library may round an activation to
the other side, and the logits then differ by quantization noise. How much is found from the oracle itself: its float64
logits over the same tokens, for embeddings disturbed by a few 2^-20, which sets off the same avalanche. The bound on the
difference of two logits is five standard deviations of that (of the difference: sqrt 2 times a logit's). At each step the
library's token must be one whose logit the oracle has within the bound of its greatest. A step is decisive if that
leaves one token only, and most steps must be. The logits as a whole must differ by no more than the noise.

With a KV cache of float16 the oracle rounds keys and values alike. The default, int16, is held to the oracle that does not
round them, whose disturbed likenesses do, to float16: int16 may cost no more than that.
"""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from comparison import clear_sequence, program_logits, size
from oracle import Oracle, load

STEPS = 200
PROMPT = 8
DISTURBED = 4
DEVIATIONS = 5
DECISIVE = 0.8


def decode(model, prompt, kv_type):
    """The prompt with the tokens that follow it, and the logits that chose them."""
    instance, tokens = Oracle(model, kv_type=kv_type), list(prompt)
    logits, past = instance.evaluate(tokens)
    chosen_from = []
    for _ in range(STEPS):
        chosen_from.append(logits[-1])
        tokens.append(int(logits[-1].argmax()))
        logits, past = instance.evaluate(tokens[-1:], past)
    return tokens, np.array(chosen_from)


def noise(model, tokens, logits):
    """The standard deviation of a logit at each step when roundings go the other way, those to float16 included.

    Whether an early step is hit is luck, so none counts as quieter than the middle one.
    """
    differences = []
    for seed in range(DISTURBED):
        disturbance = 2.0**-20 * np.random.default_rng(seed).standard_normal(model.embedding.shape)
        disturbed = Oracle(replace(model, embedding=model.embedding * (1 + disturbance)))
        differences.append(disturbed.logits(tokens)[-STEPS:] - logits)
    deviation = np.std(differences, axis=(0, 2))
    return np.maximum(deviation, np.median(deviation))


def check(program, path, prompt, kv, kv_type):
    model = load(path)
    tokens, expected = decode(model, prompt or clear_sequence(model, path.stem)[:PROMPT], kv_type)
    sigma = noise(model, tokens[:-1], expected)
    actual = program_logits(program, path, tokens[:-1], kv)[-STEPS:]

    possible = expected >= expected.max(axis=1, keepdims=True) - DEVIATIONS * np.sqrt(2) * sigma[:, None]
    decisive = possible.sum(axis=1) == 1
    steps = np.arange(STEPS)
    wrong = steps[~possible[steps, actual.argmax(axis=1)]]
    ratio = np.sqrt(np.mean(np.square(actual - expected), axis=1)) / sigma
    print(f"{kv}: noise {np.median(sigma) / size(expected):.1e} of the logits' size; the library's error {ratio.max():.2f} times "
          f"that; decisive {decisive.mean():.1%}, same token {(actual.argmax(1) == expected.argmax(1)).mean():.1%}")
    if wrong.size:
        print(f"{kv}: wrong token at steps {wrong.tolist()}")
    return wrong.size == 0 and decisive.mean() >= DECISIVE and ratio.max() <= DEVIATIONS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    parser.add_argument("--prompt", type=lambda text: list(map(int, text.split())))
    args = parser.parse_args()

    kinds = (("f16", np.float16), ("int16", np.float64))
    raise SystemExit(not all([check(args.program, args.model, args.prompt, *kind) for kind in kinds]))


if __name__ == "__main__":
    main()
