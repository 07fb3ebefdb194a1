# SPDX-License-Identifier: MIT
"""What `bitnet bench -o json` wrote, as the report reads it: docs/benchmarks.md of libbitnet describes the format."""
from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

SCHEMA, VERSION = "bitnet-bench", 1

Document = dict[str, Any]
Run = dict[str, Any]
Key = TypeVar("Key", bound=Hashable)


class ReportError(Exception):
    """What is wrong with a file, and what to do."""


def load(paths: Sequence[str | os.PathLike[str]]) -> Document:
    """The documents of the files as one: all their results, with the machine of the first."""
    documents = [_read(path) for path in paths]
    whole = dict(documents[0])
    whole["results"] = [run for document in documents for run in document["results"]]
    whole["warnings"] = _once(line for document in documents for line in document.get("warnings", []))
    whole["notes"] = _once(line for document in documents for line in document.get("notes", []))
    whole["advice"] = _once(line for document in documents for line in document.get("advice", []))
    whole["comparisons"] = [document["comparison"] for document in documents if document.get("comparison")]
    whole["against_16_bits"] = [row for document in documents for row in document.get("against_16_bits", [])]
    machines = {document["machine"].get("cpu") for document in documents}
    if len(machines) > 1:
        whole["warnings"].append("these results are of different machines: " + ", ".join(sorted(map(str, machines))))
    return whole


def _read(path: str | os.PathLike[str]) -> Document:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ReportError(f"{path} is no JSON ({error}); write it with `bitnet bench -o json`") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ReportError(f"{path} is not what `bitnet bench -o json` writes")
    if not isinstance(document.get("schema_version"), int) or document["schema_version"] > VERSION:
        raise ReportError(f"{path} has version {document.get('schema_version')} of the format, and this package knows "
                          f"{VERSION}; use a newer one")
    if not isinstance(document.get("results"), list) or not isinstance(document.get("machine"), dict):
        raise ReportError(f"{path} lacks results or machine")
    return document


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def of_kind(document: Document, *kinds: str) -> list[Run]:
    return [run for run in document["results"] if run["kind"] in kinds]


def median(run: Run, metric: str) -> float:
    return float(run[metric]["median"])


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def subject(run: Run) -> str:
    """What distinguishes the model of a run from others: a name for a legend."""
    return run.get("part") or f"{run['model']}, {run['packing']}, {run['head']}"


def grouped(runs: Iterable[Run], key: Callable[[Run], Key]) -> dict[Key, list[Run]]:
    """Runs by their key, in the order in which keys first come."""
    groups: dict[Key, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def first_tokens(document: Document) -> dict[tuple[str, int], list[tuple[int, float]]]:
    """(tokens of the prompt, seconds to the first token), by model and threads."""
    points: dict[tuple[str, int], dict[int, float]] = {}
    for run in of_kind(document, "scenario", "prompt"):
        if run["depth"]:
            continue
        seconds = median(run, "first_token_seconds") if run["kind"] == "scenario" else \
            run["tokens"] / median(run, "tokens_per_second")
        points.setdefault((subject(run), run["threads"]), {})[run["tokens"]] = seconds
    return {name: sorted(each.items()) for name, each in points.items()}


def steps(run: Run) -> list[float]:
    """Tokens a second at each step of an answer: the median over the repetitions."""
    return [1 / statistics.median(step) for step in zip(*run["token_seconds"]["all"])]
