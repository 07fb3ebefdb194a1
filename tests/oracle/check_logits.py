# SPDX-License-Identifier: MIT
"""The library's logits agree with the oracle's: from the GGUF file or checkpoint folder, and converted.

usage: check_logits.py PROGRAM MODEL

MODEL is a GGUF file or a folder. Models with int8 activations agree to float rounding, in each packing. The tokens are the
model's sequence of sequences.json; comparison.py states the bound. It is for keys and values in float16, as the oracle has
them. With an int8 head the logits differ by the rounding of the head, whose size is known (int8_head_error).

Models with float activations are held to an oracle that rounds nothing, over a KV cache of int16: what the library rounds
itself is to be seen; comparison.py says how much that may be (ROUNDED_BOUND).
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np

import oracle
from comparison import BOUND, ROUNDED_BOUND, any_sequence, clear_sequence, deviation, is_ternary, program_logits, run


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


def check_exact(what, logits, reference, bound=BOUND):
    error = deviation(logits, reference)
    worst = error.argmax()
    print(f"{what}: error {error.max():.1e} of the logits' size (bound {bound:.0e}), at position {worst}")
    return error.max() <= bound


def check_int8_head(what, logits, reference, expected):
    """One normal value in 1e10 lies beyond 6.5 standard deviations; there are at most 2e5 logits here."""
    ratio = (logits - reference) / expected
    typical, worst = np.sqrt(np.mean(np.square(ratio))), np.abs(ratio).max()
    print(f"{what}: error {typical:.3f} of what rounding the head causes (0.9 to 1.1), at most {worst:.2f} (bound 6.5)")
    return 0.9 <= typical <= 1.1 and worst <= 6.5


def check_int8(program, path, model, converted):
    tokens = clear_sequence(model, path.stem)
    instance = HeadOracle(model)
    reference = instance.logits(tokens)
    passed = [check_exact("as it is", program_logits(program, path, tokens, "f16"), reference)]
    for packing in ("i2", "t5"):
        packed = converted("--packing", packing, "--head", "f16")
        passed.append(check_exact(packing, program_logits(program, packed, tokens, "f16"), reference))
    expected = int8_head_error(model.head, instance.head_input)
    logits = program_logits(program, converted("--head", "int8"), tokens, "f16")
    passed.append(check_int8_head("int8 head", logits, reference, expected))
    return passed


def check_rounded(program, path, model, converted):
    tokens = any_sequence(model, path.stem)
    reference = oracle.Oracle(model, kv_type=np.float64).logits(tokens)
    models = {"as it is": path, "converted": converted("--head", "f16")}
    if not is_grouped(model):
        models["f32"] = converted("--dense", "f32")
    return [
        check_exact(name, program_logits(program, file, tokens, "int16"), reference, ROUNDED_BOUND)
        for name, file in models.items()
    ]


def is_grouped(model):
    """Whether the weights of the first matrix have few magnitudes."""
    return len(np.unique(np.abs(model.layers[0].attn_q[0]))) < 20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    args = parser.parse_args()

    model = oracle.load(args.model)
    with tempfile.TemporaryDirectory() as folder:

        def converted(*options):
            path = Path(folder) / ("-".join(options).strip("-") + ".bitnet")
            run(args.program, "convert", "--quiet", args.model, path, *options)
            return path

        check = check_int8 if is_ternary(model) else check_rounded
        passed = check(args.program, args.model, model, converted)
    raise SystemExit(not all(passed))


if __name__ == "__main__":
    main()
