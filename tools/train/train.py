#!/usr/bin/env python3
"""Train the model with quantization (the default) or its twin without (--float): same data order, steps and settings.

usage: train.py DATA OUT [--float] [--steps N] [--stop STEP] [--resume] [--device cpu|cuda]

DATA is what data.py wrote. OUT receives curve.csv, best.pt (lowest held-out perplexity) and last.pt (with optimizer state).
"""
# SPDX-License-Identifier: MIT
import argparse
import csv
import json
import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from evaluate import heldout_loss, read_heldout
from model import Config, Model

SHAPE = Config(dropout=0.1)
BATCH = 4  # windows of SHAPE.context tokens: a small batch gives the small text more steps
PEAK, FLOOR, WARMUP = 1.5e-3, 0.05, 150
DECAY = 0.1  # none in the second half: the second stage of BitNet's schedule lets latent weights settle
BETAS = (0.9, 0.98)
SEED = 1811


def windows(tokens, bos, context, epoch):
    """The inputs and targets of one epoch in random order.

    The text is cut at a random phase; each chapter's opening is added, for that is where a prompt starts.
    Every window begins with the begin-of-text token, as every prompt does.
    """
    rng = np.random.default_rng((SEED, epoch))
    starts = np.arange(rng.integers(context), len(tokens) - context, context)
    openings = np.flatnonzero(tokens[:len(tokens) - context] == bos) + 1
    starts = rng.permutation(np.concatenate((starts, openings)))
    targets = tokens[starts[:, None] + np.arange(context)]
    inputs = np.concatenate((np.full((len(starts), 1), bos), targets[:, :-1]), axis=1)
    return inputs, targets


def learning_rate(step, steps):
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    progress = (step - WARMUP) / max(1, steps - WARMUP)
    return PEAK * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress)))


def save(path, state):
    torch.save(state, str(path) + ".new")
    os.replace(str(path) + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--float", action="store_true")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--eval-every", type=int, default=200)
    parser.add_argument("--save-every", type=int, default=150, help="steps between writes of last.pt")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-compile", action="store_true", help="run eagerly (torch.compile needs a C++ compiler)")
    parser.add_argument("--stop", type=int, metavar="STEP", help="stop there, as an interruption would, for --resume to go on")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/last.pt")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    tokens = np.load(args.data / "train.npy").astype(np.int64)
    heldout, bos = read_heldout(args.data / "heldout.json")
    config = replace(SHAPE, quantize=not args.float)
    torch.manual_seed(SEED)
    model = Model(config).to(args.device)
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name != "token_embd"]
    others = [p for name, p in model.named_parameters() if p.dim() == 1 or name == "token_embd"]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
                                  lr=PEAK, betas=BETAS, fused=True)
    first, best, seconds = 0, math.inf, 0.0
    if args.resume:
        state = torch.load(args.out / "last.pt", map_location=args.device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, best, seconds = state["step"], state["best"], state["seconds"]
        torch.set_rng_state(state["rng"].cpu())
        print(f"resumed at step {first}", flush=True)
    parameters = matrices + others
    print(f"{sum(p.numel() for p in parameters)} parameters, {sum(p.numel() for p in matrices)} of them in ternary "
          f"matrices" + (" (kept float)" if args.float else ""), flush=True)

    def batch_loss(x, y):
        return F.cross_entropy(model(x, torch.bfloat16), y)
    if not args.no_compile:
        batch_loss = torch.compile(batch_loss)

    curve = open(args.out / "curve.csv", "a" if args.resume else "w", newline="")
    rows = csv.writer(curve)
    if not args.resume:
        rows.writerow(["step", "tokens", "learning_rate", "train_loss", "heldout_perplexity", "seconds"])

    per_epoch = len(windows(tokens, bos, config.context, 0)[0]) // BATCH
    # Phases shift an epoch's length by at most one window, which the division above or the slice below drops.
    per_epoch -= 1
    epoch, inputs, targets = -1, None, None
    losses, started = [], time.time() - seconds
    last = min(args.stop or args.steps, args.steps)
    for step in range(first, last):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            inputs, targets = windows(tokens, bos, config.context, epoch)
        at = step % per_epoch * BATCH
        x = torch.from_numpy(inputs[at:at + BATCH]).to(args.device)
        y = torch.from_numpy(targets[at:at + BATCH]).to(args.device).flatten()

        rate = learning_rate(step, args.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.param_groups[0]["weight_decay"] = DECAY if step < args.steps // 2 else 0.0
        model.train()
        loss = batch_loss(x, y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.item())

        done = step + 1
        if done % 50 == 0:
            print(f"step {done} loss {np.mean(losses[-50:]):.4f} rate {rate:.2e} seconds {time.time() - started:.0f}", flush=True)
        if done % args.eval_every == 0 or done == args.steps:
            # bfloat16 here for speed; evaluate.py gives the figures that count in float32
            perplexity = math.exp(heldout_loss(model, heldout, bos, torch.bfloat16))
            rows.writerow([done, done * BATCH * config.context, f"{rate:.3e}", f"{np.mean(losses):.4f}",
                           f"{perplexity:.3f}", f"{time.time() - started:.0f}"])
            curve.flush()
            losses = []
            print(f"step {done} held-out perplexity {perplexity:.3f}", flush=True)
            if perplexity < best:
                best = perplexity
                save(args.out / "best.pt", {"config": asdict(config), "model": model.state_dict(), "step": done,
                                            "steps": args.steps})
        if done % args.save_every == 0 or done == last:
            save(args.out / "last.pt", {"config": asdict(config), "model": model.state_dict(), "step": done,
                                        "steps": args.steps, "optimizer": optimizer.state_dict(), "best": best,
                                        "seconds": time.time() - started, "rng": torch.get_rng_state()})
    if last < args.steps:
        return
    summary = {"float": args.float, "steps": args.steps, "tokens": args.steps * BATCH * config.context,
               "tokens_per_epoch": per_epoch * BATCH * config.context, "seconds": round(time.time() - started),
               "best_perplexity_bf16": best}
    (args.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
