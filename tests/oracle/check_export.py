# SPDX-License-Identifier: MIT
"""A model leaves as a Hugging Face folder, and is the same to the oracle, which shares nothing with the library, and to the library.

usage: check_export.py PROGRAM MODEL

MODEL is a GGUF file or a folder. It is converted to .bitnet, and that to a folder. To the oracle in float64 the folder's logits
(embedding models: hidden states) are those of the original up to the last bit of scales that are computed in another order, which
may round an activation to the other side. What the folder is converted to gives the library the logits of the first .bitnet
file, bit for bit. A second folder, written straight from MODEL, has the same weights.
"""
import argparse
import tempfile
from pathlib import Path

import numpy as np

import hf_io
import oracle
from comparison import any_sequence, clear_sequence, is_ternary, program_logits, run, size

BOUND = 1e-4
LENGTH = 12  # tokens of embedding models, whose texts are short where they are clear


class StateOracle(oracle.Oracle):
    def head(self, x):
        return x


def tokens_of(model, path):
    if model.head is None or "embedding" in path.stem:
        return any_sequence(model, path.stem, 1)
    return clear_sequence(model, path.stem) if is_ternary(model) else any_sequence(model, path.stem, 64)


def check_oracle(original, exported, tokens, embeds):
    computed = [(StateOracle if embeds else oracle.Oracle)(model).logits(tokens) for model in (original, exported)]
    error = np.abs(computed[0] - computed[1]).max() / size(computed[0])
    print(f"the oracle: {error:.1e} apart (bound {BOUND:.0e})")
    return error <= BOUND


def check_program(program, file, back, tokens):
    same = np.array_equal(*(program_logits(program, model, tokens, "int16") for model in (file, back)))
    print(f"the library: {'the same bits' if same else 'other bits'}")
    return same


def check_straight(straight, folder):
    """Numbers of one may have a narrower type than those of the other, which went through F16."""
    ours, theirs = (hf_io.read(place)[1] for place in (straight, folder))
    same = ours.keys() == theirs.keys() and all(
        ours[name].shape == tensor.shape and np.array_equal(ours[name].astype(np.float32), tensor.astype(np.float32))
        for name, tensor in theirs.items())  # fmt: skip
    print(f"straight from the original: {'the same' if same else 'other'} weights")
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        file, folder, straight, back = (Path(temporary) / name for name in ("model.bitnet", "folder", "straight", "back.bitnet"))
        run(args.program, "convert", "--quiet", "--dense", "f32", args.model, file)
        run(args.program, "convert", "--quiet", file, f"{folder}/")
        run(args.program, "convert", "--quiet", args.model, f"{straight}/")
        run(args.program, "convert", "--quiet", "--dense", "f32", folder, back)
        original, exported = oracle.load(args.model), oracle.load(folder)
        tokens, embeds = tokens_of(original, args.model), "embedding" in args.model.stem
        passed = [check_oracle(original, exported, tokens, embeds), check_straight(straight, folder)]
        if not embeds:
            passed.append(check_program(args.program, file, back, tokens))
    raise SystemExit(not all(passed))


if __name__ == "__main__":
    main()
