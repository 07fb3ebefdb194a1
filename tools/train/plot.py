#!/usr/bin/env python3
"""Draw the curves of both runs.

usage: plot.py QAT.csv FLOAT.csv OUT.svg
"""
# SPDX-License-Identifier: MIT
import argparse
import csv
import math

import matplotlib
matplotlib.use("svg")
import matplotlib.pyplot as plt


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("qat")
    parser.add_argument("float")
    parser.add_argument("out")
    args = parser.parse_args()
    matplotlib.rcParams["svg.hashsalt"] = "curves"  # the same file from the same figures
    figure, axes = plt.subplots(figsize=(7.5, 4.5))
    for path, label, colour in ((args.float, "without quantization", "#777777"), (args.qat, "ternary, int8 activations", "#b03060")):
        rows = read(path)
        steps = [int(row["step"]) for row in rows]
        heldout = [float(row["heldout_perplexity"]) for row in rows]
        # The mean over the steps since the row before, with dropout: drawn at the middle of that stretch.
        middles = [(a + b) / 2 for a, b in zip([0] + steps, steps)]
        train = [math.exp(float(row["train_loss"])) for row in rows]
        axes.plot(steps, heldout, color=colour, marker="o", markersize=3, label=f"held out, {label}")
        axes.plot(middles, train, color=colour, linestyle=":", label=f"training, {label}")
    axes.set_yscale("log")
    ticks = [40, 50, 60, 80, 100, 150, 200, 300, 500]
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(left=0)
    axes.set_xlabel("steps")
    axes.set_ylabel("perplexity")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(args.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
