# SPDX-License-Identifier: MIT
"""Generates what the languages know of bitnet.h: options, enums, what is told of models and sessions, and the comments.

    python3 bindings/generate LANGUAGE FOLDER    writes a language's files into a folder
    python3 bindings/generate --update           writes those that are part of the repository: Go's and Swift's
    python3 bindings/generate --check            says whether these are as they would be written
"""

from __future__ import annotations

import pathlib
import sys

import api
import header
from check import Check
from csharp import CSharp
from go import Go
from java import Java
from language import Language
from python import Python
from swift import Swift
from swig import Swig

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LANGUAGES: dict[str, type[Language]] = {
    language.name: language for language in (Check, CSharp, Go, Java, Python, Swift, Swig)}

# Those that their own tools build from the repository, with no step before.
COMMITTED = {"go": "bindings/go", "swift": "bindings/swift/Sources/Bitnet"}


def write(files: dict[str, str], folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def differing(files: dict[str, str], folder: pathlib.Path) -> list[pathlib.Path]:
    paths = {folder / name: text for name, text in files.items()}
    return [path for path, text in paths.items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main(arguments: list[str]) -> int:
    description = api.read(ROOT / "include/bitnet.h")
    committed = {ROOT / folder: LANGUAGES[name](description).files() for name, folder in COMMITTED.items()}
    if arguments == ["--update"]:
        for folder, files in committed.items():
            write(files, folder)
        return 0
    if arguments == ["--check"]:
        old = [path for folder, files in committed.items() for path in differing(files, folder)]
        for path in old:
            print(f"{path.relative_to(ROOT)} is not what bitnet.h says: run python3 bindings/generate --update")
        return 1 if old else 0
    if len(arguments) == 2 and arguments[0] in LANGUAGES:
        write(LANGUAGES[arguments[0]](description).files(), pathlib.Path(arguments[1]))
        return 0
    print(__doc__, file=sys.stderr)
    print("languages:", *LANGUAGES, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except header.Mistake as mistake:
        sys.exit(f"generate: {mistake}")
