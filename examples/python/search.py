# SPDX-License-Identifier: MIT
"""Searches a folder of texts by meaning. Each paragraph is embedded once and kept in an SQLite database; a question is
embedded as well, and the paragraphs that are nearest to it are shown.

    python search.py model.bitnet notes.db add FOLDER
    python search.py model.bitnet notes.db find "Which wine goes with fish?"
"""

from __future__ import annotations

import array
import pathlib
import re
import sqlite3
import sys

import bitnet

SHOWN = 3
# How BitNet's embedding models want questions: paragraphs stand for themselves.
INSTRUCTION = "Instruct: Given a question, retrieve passages that answer it\nQuery: "


def paragraphs(file: pathlib.Path) -> list[str]:
    return [text.strip() for text in re.split(r"\n\s*\n", file.read_text(errors="replace")) if text.strip()]


def add(model: bitnet.Model, database: sqlite3.Connection, folder: str) -> None:
    for file in sorted(pathlib.Path(folder).rglob("*.txt")):
        texts = paragraphs(file)
        embeddings = model.embed(texts, fit="cut")
        database.executemany("INSERT INTO paragraphs VALUES (?, ?, ?)",
                             [(str(file), text, bytes(embedding)) for text, embedding in zip(texts, embeddings)])


def find(model: bitnet.Model, database: sqlite3.Connection, question: str) -> None:
    (wanted,) = model.embed([INSTRUCTION + question], fit="cut")

    def nearness(embedding: bytes) -> float:
        """The cosine: both have length 1."""
        return sum(a * b for a, b in zip(wanted, array.array("f", embedding)))

    database.create_function("nearness", 1, nearness)
    rows = database.execute("SELECT nearness(embedding) AS near, file, text FROM paragraphs WHERE length(embedding) = ? "
                            "ORDER BY near DESC LIMIT ?", (wanted.nbytes, SHOWN))
    for near, file, text in rows:
        print(f"{near:.3f}  {file}\n{text}\n")


def main() -> None:
    actions = {"add": add, "find": find}
    if len(sys.argv) != 5 or sys.argv[3] not in actions:
        sys.exit(f"usage: {sys.argv[0]} MODEL DATABASE add FOLDER\n       {sys.argv[0]} MODEL DATABASE find QUESTION")
    with bitnet.Model(sys.argv[1]) as model, sqlite3.connect(sys.argv[2]) as database:
        database.execute("CREATE TABLE IF NOT EXISTS paragraphs (file TEXT, text TEXT, embedding BLOB)")
        actions[sys.argv[3]](model, database, sys.argv[4])


if __name__ == "__main__":
    try:
        main()
    except bitnet.BitnetError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
