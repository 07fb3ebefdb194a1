#!/usr/bin/env python3
"""Held-out perplexity of a checkpoint, and text sampled from it.

usage: evaluate.py DATA CHECKPOINT [--f16-embedding] [--dtype float32|bfloat16] [--prompt TEXT ...] [--json FILE]

The protocol: each held-out chapter, end-of-text token included, is cut into pieces of 512 tokens (the last may be
shorter). A piece is scored on its own: begin-of-text is put before it, and every token of the piece is predicted from
begin-of-text and the tokens before it in the piece. Perplexity is exp(total negative log likelihood / tokens scored).
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from model import Config, Model


def read_heldout(path):
    """The chapters' token ids without the begin-of-text token each starts with, and that token."""
    chapters = json.loads(Path(path).read_text())
    return [chapter[1:] for chapter in chapters], chapters[0][0]


def pieces(chapters, context):
    return [chapter[at:at + context] for chapter in chapters for at in range(0, len(chapter), context)]


@torch.no_grad()
def heldout_loss(model, chapters, bos, dtype=torch.float32, batch=4):
    """Mean negative log likelihood of a held-out token."""
    model.eval()
    context, device = model.config.context, model.token_embd.device
    todo = sorted(pieces(chapters, context), key=len, reverse=True)
    total, count = 0.0, 0
    for at in range(0, len(todo), batch):
        group = todo[at:at + batch]
        width = len(group[0])
        x = torch.zeros(len(group), width, dtype=torch.long)
        y = torch.full((len(group), width), -100)
        for i, piece in enumerate(group):
            x[i, :len(piece)] = torch.tensor([bos] + piece[:-1])
            y[i, :len(piece)] = torch.tensor(piece)
        logits = model(x.to(device), dtype)
        total += F.cross_entropy(logits, y.to(device).flatten(), reduction="sum").item()
        count += sum(map(len, group))
    return total / count


def load(path, device="cpu", f16_embedding=False):
    state = torch.load(path, map_location=device)
    config = Config(**state["config"])
    model = Model(config).to(device)
    model.load_state_dict(state["model"])
    if f16_embedding:  # what the exported file holds
        model.token_embd.data = model.token_embd.data.half().float()
    return model.eval(), state


@torch.no_grad()
def sample(model, ids, eos, tokens=200, temperature=0.8, top_p=0.95, seed=0):
    """Continue ids; recomputes the whole context for each token, which is fast enough at this size."""
    generator = torch.Generator().manual_seed(seed)
    ids = list(ids)
    for _ in range(min(tokens, model.config.context - len(ids))):
        x = torch.tensor([ids], device=model.token_embd.device)
        p, order = torch.softmax(model(x)[-1].cpu() / temperature, -1).sort(descending=True)
        p[p.cumsum(0) - p > top_p] = 0
        ids.append(order[torch.multinomial(p, 1, generator=generator)].item())
        if ids[-1] == eos:
            break
    return ids


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--f16-embedding", action="store_true", help="round the embedding to float16, as export.py does")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="type of the matmuls")
    parser.add_argument("--prompt", action="append", default=[])
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    model, state = load(args.checkpoint, args.device, args.f16_embedding)
    chapters, bos = read_heldout(args.data / "heldout.json")
    loss = heldout_loss(model, chapters, bos, getattr(torch, args.dtype))
    result = {"perplexity": math.exp(loss), "loss": loss, "tokens": sum(map(len, chapters)), "context": model.config.context,
              "step": state["step"], "quantized": model.config.quantize, "f16_embedding": args.f16_embedding,
              "dtype": args.dtype}
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.prompt:
        from tokenizers import Tokenizer
        tokenizer = Tokenizer.from_file(str(args.data / "tokenizer.json"))
        for prompt in args.prompt:
            ids = sample(model, [bos] + tokenizer.encode(prompt).ids, chapters[0][-1], args.tokens, args.temperature,
                         args.top_p, args.seed)
            print("\n---\n" + tokenizer.decode(ids))


if __name__ == "__main__":
    main()
