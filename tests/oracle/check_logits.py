# SPDX-License-Identifier: MIT
"""The library's logits agree with the oracle's to float rounding: from the GGUF file, and converted to each packing.

usage: check_logits.py PROGRAM MODEL.gguf

The tokens are the model's sequence of sequences.json; comparison.py states the bound. It is for keys and values in float16,
as the oracle has them. With an int8 head the logits differ by the rounding of the head, whose size is known
(int8_head_error).
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np

import oracle
from comparison import BOUND, clear_sequence, deviation, program_logits, run


class HeadOracle(oracle.Oracle):
    """Keeps what enters the head."""

    def head(self, x):
        self.head_input = x
        return super().head(x)


def int8_head_error(head, x):
    """The standard deviation of each logit's error when the rows of the head are rounded to 1/127 of their greatest value.

    An error of rounding is even over one unit, so its variance is unit^2 / 12, and the errors of a row are independent.
    """
    unit = np.abs(head.astype(np.float64)).max(axis=1) / 127
    return np.sqrt(np.square(x).sum(axis=1)[:, None] / 12) * unit


def check_exact(what, logits, reference):
    error = deviation(logits, reference)
    worst = error.argmax()
    print(f"{what}: error {error.max():.1e} of the logits' size (bound {BOUND:.0e}), at position {worst}")
    return error.max() <= BOUND


def check_int8_head(what, logits, reference, expected):
    """One normal value in 1e10 lies beyond 6.5 standard deviations; there are at most 2e5 logits here."""
    ratio = (logits - reference) / expected
    typical, worst = np.sqrt(np.mean(np.square(ratio))), np.abs(ratio).max()
    print(f"{what}: error {typical:.3f} of what rounding the head causes (0.9 to 1.1), at most {worst:.2f} (bound 6.5)")
    return 0.9 <= typical <= 1.1 and worst <= 6.5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    args = parser.parse_args()

    model = oracle.load(args.model)
    tokens = clear_sequence(model, args.model.stem)
    instance = HeadOracle(model)
    reference = instance.logits(tokens)
    with tempfile.TemporaryDirectory() as folder:

        def converted(*options):
            path = Path(folder) / ("-".join(options).strip("-") + ".bitnet")
            run(args.program, "convert", "--quiet", args.model, path, *options)
            return program_logits(args.program, path, tokens, "f16")

        passed = [check_exact("GGUF", program_logits(args.program, args.model, tokens, "f16"), reference)]
        for packing in ("i2", "t5"):
            passed.append(check_exact(packing, converted("--packing", packing, "--head", "f16"), reference))
        expected = int8_head_error(model.head, instance.head_input)
        passed.append(check_int8_head("int8 head", converted("--head", "int8"), reference, expected))
    raise SystemExit(not all(passed))


if __name__ == "__main__":
    main()
