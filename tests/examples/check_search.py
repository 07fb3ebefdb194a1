# SPDX-License-Identifier: MIT
"""The examples that search by meaning show what is nearest, in its order, by the embeddings that `bitnet embed` writes.

usage: check_search.py BITNET MODEL -- SEARCH... [-- SEARCH...]

Each SEARCH is the words of a command. All give the same answers, of their own databases and of each other's.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

INSTRUCTION = "Instruct: Given a question, retrieve passages that answer it\nQuery: "
QUESTION = "Who came to the ball?"
PARAGRAPHS = {
    "a.txt": ["It was a fine morning, and the carriage stood at the door.", "She had danced with him at the ball.",
              "Two lines,\nwhich are one paragraph."],
    "b.txt": ["Mr. Bennet was among the earliest.", "The letter lay on the table, unopened."],
}  # fmt: skip


def run(*command, stdin=None):
    return subprocess.run([*map(str, command)], input=stdin, check=True, capture_output=True, text=True).stdout


def embedding(bitnet, model, text):
    """Of a text that may have more than one line."""
    tokens = run(bitnet, "tokenize", "-m", model, "--bos", "--ids", text)
    return json.loads(run(bitnet, "embed", "-m", model, "--ids", "-q", tokens))["embedding"]


def expected(bitnet, model):
    """The three nearest, each as (cosine, text)."""
    question = embedding(bitnet, model, INSTRUCTION + QUESTION)
    found = []
    for text in sum(PARAGRAPHS.values(), []):
        found.append((sum(a * b for a, b in zip(question, embedding(bitnet, model, text))), text))
    return sorted(found, reverse=True)[:3]


def answers(output):
    """(cosine, text) of what a program printed."""
    found = []
    for block in output.strip().split("\n\n"):
        head, text = block.split("\n", 1)
        found.append((float(head.split()[0]), text))
    return found


def same(a, b):
    return len(a) == len(b) and all(abs(x - y) < 1.1e-3 and s == t for (x, s), (y, t) in zip(a, b))


def main():
    words = " ".join(sys.argv[1:]).split(" -- ")
    bitnet, model = words[0].split(" ")
    programs = [program.split(" ") for program in words[1:]]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "texts").mkdir()
        for file, paragraphs in PARAGRAPHS.items():
            (folder / "texts" / file).write_text("\n\n".join(paragraphs) + "\n")
        (folder / "texts" / "no-text.jpg").write_bytes(b"\xff\xd8")
        nearest = expected(bitnet, model)
        for i, program in enumerate(programs):
            run(*program, model, folder / f"{i}.db", "add", folder / "texts")
        for program in programs:
            for i in range(len(programs)):
                found = answers(run(*program, model, folder / f"{i}.db", "find", QUESTION))
                if not same(found, nearest):
                    raise SystemExit(f"{program} says {found}, expected {nearest}")
            missing = subprocess.run([*program, folder / "absent", folder / "x.db", "find", "x"], capture_output=True, text=True)
            if missing.returncode != 1 or "absent" not in missing.stderr:
                raise SystemExit(f"{program} does not report a missing model: {missing}")


if __name__ == "__main__":
    main()
