#!/usr/bin/env python3
"""Turn the R data base of the package janeaustenr into chapters, and train the tokenizer on them.

usage: data.py DIR_OF_RDATA OUT [--vocab 4096]

DIR_OF_RDATA holds Rdata.rdx and Rdata.rdb (R's lazy-load format: an index, and zlib blocks of serialized vectors).
OUT receives
  tokenizer.json  byte-level BPE trained on the training chapters
  train.npy       token ids of the training chapters, one after another, each from begin-of-text to end-of-text
  train.txt, heldout.txt  the chapters' text, a form feed between one and the next
  heldout.json    token ids of each held-out chapter, begin-of-text and end-of-text included
"""
# SPDX-License-Identifier: MIT
import argparse
import json
import re
import warnings
import zlib
from pathlib import Path

import numpy as np
import rdata
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TITLES = {
    "sensesensibility": "Sense and Sensibility",
    "prideprejudice": "Pride and Prejudice",
    "mansfieldpark": "Mansfield Park",
    "emma": "Emma",
    "northangerabbey": "Northanger Abbey",
    "persuasion": "Persuasion",
}
BOS, EOS = "<|begin_of_text|>", "<|end_of_text|>"
HEADING = re.compile(r"\s*chapter\s+([0-9]+|[ivxl]+)\.?\s*", re.I)
NOT_TEXT = re.compile(r"\s*(volume\s+[ivx]+|finis|the end|[* ]+)\.?\s*", re.I)
HELD_OUT_EVERY = 25  # one chapter in 25 of each novel


def unserialize(block):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rdata notes that a bare stream has no file header
        return rdata.conversion.convert(rdata.parser.parse_data(block))


def read_novels(folder):
    """The lines of each novel, by the name of its R variable."""
    index = unserialize((folder / "Rdata.rdx").read_bytes())["variables"]
    base = (folder / "Rdata.rdb").read_bytes()
    novels = {}
    for name, (offset, length) in index.items():
        block = base[offset:offset + length]  # 4 bytes of big-endian length, then a zlib stream
        novels[str(name)] = [str(line) for line in unserialize(zlib.decompress(block[4:]))]
    return novels


def paragraphs(lines):
    """Join hard-wrapped lines; a block that is indented throughout (verse, signatures) keeps its lines."""
    block = []
    for line in lines + [""]:
        if line.strip() and not NOT_TEXT.fullmatch(line):
            block.append(line)
        elif block:
            verse = all(part.startswith(" ") for part in block)
            text = ("\n" if verse else " ").join(" ".join(part.split()) for part in block)
            yield re.sub(r"_([^_]*)_", r"\1", text).replace("_", "")  # _emphasis_ of plain-text editions
            block = []


def chapters(title, lines):
    """The chapters of one novel, numbered through its volumes; what stands before the first is left out."""
    found = []
    for line in lines:
        if HEADING.fullmatch(line):
            found.append([])
        elif line.startswith("A NOTE ON THE TEXT"):  # a modern editor's, after the end of Northanger Abbey
            break
        elif found:
            found[-1].append(line)
    return [{"title": title, "chapter": number, "text": "\n\n".join([f"{title}, Chapter {number}", *paragraphs(body)])}
            for number, body in enumerate(found, 1)]


def train_tokenizer(texts, vocab):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # GPT-2's pattern
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=[BOS, EOS], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    assert tokenizer.get_vocab_size() == vocab
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rdata", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocab", type=int, default=4096)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    novels = read_novels(args.rdata)
    split = {"train": [], "heldout": []}
    for name, title in TITLES.items():
        for chapter in chapters(title, novels[name]):
            held = chapter["chapter"] % HELD_OUT_EVERY == HELD_OUT_EVERY // 2
            split["heldout" if held else "train"].append(chapter)
    for part, documents in split.items():
        text = "\f".join(document["text"] for document in documents)
        (args.out / f"{part}.txt").write_text(text, encoding="utf-8", newline="")

    tokenizer = train_tokenizer([document["text"] for document in split["train"]], args.vocab)
    tokenizer.save(str(args.out / "tokenizer.json"))
    bos, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
    ids = {part: [[bos, *tokenizer.encode(document["text"]).ids, eos] for document in documents]
           for part, documents in split.items()}
    np.save(args.out / "train.npy", np.concatenate([np.array(document, np.uint16) for document in ids["train"]]))
    (args.out / "heldout.json").write_text(json.dumps(ids["heldout"], separators=(",", ":")) + "\n")

    for part, documents in split.items():
        text = sum(len(document["text"].encode()) for document in documents)
        print(f"{part}: {len(documents)} chapters, {text} bytes, {sum(map(len, ids[part]))} tokens")
        if part == "heldout":
            print("held out:", "; ".join(f"{document['title']} {document['chapter']}" for document in documents))


if __name__ == "__main__":
    main()
