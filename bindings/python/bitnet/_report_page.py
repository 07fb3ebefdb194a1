# SPDX-License-Identifier: MIT
"""The page of a report: one file of HTML that needs no network, for desktops and phones, light and dark."""
from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from . import _report_data as data
from ._report_charts import Chart

Section = tuple[str, Sequence[str], Sequence[Sequence[Any]]]  # heading, columns, rows

STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #202428; --quiet: #5c646c; --grid: #d4d8dc; --card: #f4f6f8;
  --alarm: #a81e1e; --alarm-back: #fdeceb; --good: #0a6b3d; --series-0: #0072b2; --series-1: #d55e00; --series-2: #009e73;
  --series-3: #aa5c95; --series-4: #8a6d00; --series-5: #4d4d4d }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --ink: #e6e9ec; --quiet: #a0a8b0; --grid: #3a4046;
  --card: #1e2327; --alarm: #ff9d94; --alarm-back: #3a1a18; --good: #6fd6a0; --series-0: #5db4e8; --series-1: #f0944a;
  --series-2: #3fcf9f; --series-3: #d795c4; --series-4: #d8b84a; --series-5: #b4bac0 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
.quiet, figcaption { color: var(--quiet); font-size: .9rem }
.warning { border-left: .3rem solid var(--alarm); background: var(--alarm-back); color: var(--alarm); padding: .5rem .8rem;
  margin: .5rem 0; font-weight: 600; overflow-wrap: anywhere }
.advice { border-left: .3rem solid var(--series-0); background: var(--card); padding: .5rem .8rem; margin: .5rem 0 }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; margin: 1rem 0; padding: 0 }
.card { background: var(--card); border-radius: .4rem; padding: .6rem .8rem; overflow-wrap: anywhere }
.card b { display: block; font-size: 1.4rem }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.5rem }
figure { margin: 0; min-width: 0 }
figure h3 { font-size: 1rem; margin: 0 0 .3rem }
figure svg { width: 100%; height: auto; display: block; font-family: inherit }
.table { overflow-x: auto }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 100% }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap }
th:first-child, td:first-child { text-align: left }
th { color: var(--quiet); font-weight: 600 }
.faster { color: var(--good); font-weight: 600 } .slower { color: var(--alarm); font-weight: 600 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem }
dt { color: var(--quiet) } dd { margin: 0; overflow-wrap: anywhere }
"""


def _text(value: object) -> str:
    return html.escape(str(value))


def _table(heading: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Cells are text, or (class, text)."""
    def cell(value: Any) -> str:
        kind, text = value if isinstance(value, tuple) else ("", value)
        return f'<td class="{kind}">{_text(text)}</td>' if kind else f"<td>{_text(text)}</td>"

    head = "".join(f"<th>{_text(name)}</th>" for name in heading)
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>\n" for row in rows)
    return f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n'


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.4g} {unit}"
        count /= 1024
    return ""


def _spread(metric: dict[str, Any]) -> tuple[str, str, str]:
    return f"{metric['median']:.2f}", f"{metric['min']:.2f} … {metric['max']:.2f}", f"{metric['stdev']:.2f}"


def _peak(run: data.Run) -> str:
    return _bytes(run["process"]["peak_bytes"]) if run.get("process") else "–"


def _speeds(document: data.Document) -> Section:
    rows = [(data.subject(run), run["isa"], run["threads"], run["test"], *_spread(run["tokens_per_second"]), _peak(run))
            for run in data.of_kind(document, "prompt", "generation")]
    return "Prompts and generation", ("model", "kernels", "threads", "test", "tokens/s", "slowest … fastest", "σ",
                                      "peak memory"), rows


def _scenarios(document: data.Document) -> Section:
    rows = []
    for run in data.of_kind(document, "scenario"):
        first, gap = run["first_token_seconds"], run["token_seconds"]
        rows.append((data.subject(run), run["threads"], run["test"], f"{run['tokens']} + {run['generate']}",
                     f"{1e3 * first['median']:.1f}", f"{1e3 * first['p95']:.1f}",
                     f"{run['prompt_tokens_per_second']['median']:.1f}", f"{run['tokens_per_second']['median']:.1f}",
                     f"{1e3 * gap['median']:.2f}", f"{1e3 * gap['p95']:.2f}", f"{1e3 * gap['p99']:.2f}",
                     f"{100 * run['computing_share']['median']:.1f} %", _peak(run)))
    return "Scenarios", ("model", "threads", "scenario", "tokens", "first token, ms", "p95", "prompt/s", "answer/s",
                         "a token, ms", "p95", "p99", "computing", "peak memory"), rows


def _forward(document: data.Document) -> Section:
    rows = [(data.subject(run), run["threads"], run["batch"], run["tokens"], f"{run['samples_per_second']['median']:.2f}",
             *_spread(run["tokens_per_second"]), _peak(run)) for run in data.of_kind(document, "forward")]
    return "Forward pass alone", ("model", "threads", "batch", "length", "samples/s", "tokens/s", "slowest … fastest", "σ",
                                  "peak memory"), rows


def _sessions(document: data.Document) -> Section:
    rows = [(data.subject(run), run["threads"], run["sessions"], *_spread(run["tokens_per_second"]),
             f"{1e3 * run['gap_seconds']['median']:.1f}", f"{1e3 * run['gap_seconds']['p99']:.1f}",
             f"{run['sessions_in_a_pass']:.2f}") for run in data.of_kind(document, "sessions")]
    return "Sessions", ("model", "threads", "sessions", "tokens/s", "slowest … fastest", "σ", "gap, ms", "p99",
                        "in a pass"), rows


def _comparisons(document: data.Document) -> Section:
    rows = [(part["name"], each["config"]["baseline"], test["test"], f"{test['ratio']:.3f}",
             f"{test['low']:.3f} … {test['high']:.3f}", (test["verdict"].replace(" ", "-"), test["verdict"]))
            for each in document["comparisons"] for part in each["parts"] for test in part["tests"]]
    return "Comparison", ("compared", "with", "test", "ratio", "99 % interval", "verdict"), rows


def _against_16_bits(document: data.Document) -> Section:
    def number(value: float | None, form: str) -> str:
        return form.format(value) if value is not None else "–"

    rows = [(row["shape"], row["packing"], row["threads"], row["test"], row["program"] or "–",
             number(row["tokens_per_second_16_bits"], "{:.2f}"), number(row["tokens_per_second"], "{:.2f}"),
             number(row["speedup"], "{:.2f}"), f"{row['low']:.2f} … {row['high']:.2f}" if row["low"] else "–",
             number(row["joules_per_token_16_bits"], "{:.3f}"), number(row["joules_per_token"], "{:.3f}"),
             number(row["energy_reduction_percent"], "{:.0f} %")) for row in document["against_16_bits"]]
    columns = ("shape", "packing", "threads", "test", "16 bits by", "16 bits, tokens/s", "ternary", "ratio", "99 % interval",
               "16 bits, J/token", "ternary", "saved")
    energy = any(row["joules_per_token"] is not None for row in document["against_16_bits"])
    kept = len(columns) if energy else len(columns) - 3
    return "Against weights of 16 bits", columns[:kept], [row[:kept] for row in rows]


def _models(document: data.Document) -> Section:
    models = data.grouped(document["results"], lambda run: (run["path"], run["packing"], run["head"], run["kv"], run["isa"]))
    rows = [(runs[0]["model"], runs[0]["architecture"], f"{runs[0]['parameters'] / 1e6:,.1f} M",
             _bytes(runs[0]["file_bytes"]), runs[0]["packing"], runs[0]["head"], runs[0]["kv"],
             f"{1e3 * runs[0]['load_seconds']:.0f} ms", runs[0]["checksum"]) for runs in models.values()]
    return "Models", ("model", "architecture", "parameters", "file", "packing", "head", "KV cache", "opened in",
                      "checksum"), rows


def _cards(document: data.Document) -> str:
    cards = []
    for kind, metric, scale, unit, name in (
            ("prompt", "tokens_per_second", 1, "tokens/s", "prompt"),
            ("generation", "tokens_per_second", 1, "tokens/s", "generation"),
            ("scenario", "first_token_seconds", 1e3, "ms", "first token"),
            ("scenario", "tokens_per_second", 1, "tokens/s", "answer"),
            ("sessions", "tokens_per_second", 1, "tokens/s", "sessions together")):
        runs = [run for run in data.of_kind(document, kind) if not run.get("part")]
        if not runs:
            continue
        ranked = sorted(runs, key=lambda run: data.median(run, metric))
        best = ranked[0] if metric == "first_token_seconds" else ranked[-1]
        cards.append(f'<div class="card"><b>{scale * data.median(best, metric):,.1f}</b>{unit}'
                     f'<div class="quiet">{name}: {_text(best["test"])}, {data.counted(best["threads"], "thread")}</div></div>')
    return f'<div class="cards">{"".join(cards)}</div>\n' if cards else ""


def _facts(document: data.Document) -> str:
    machine, build = document["machine"], document.get("build", {})
    memory = machine.get("memory_bytes")
    facts = (("CPU", machine.get("cpu")), ("features", machine.get("features")), ("system", machine.get("system")),
             ("cores", f"{machine.get('cores')} cores, {machine.get('cpus')} CPUs"),
             ("memory", _bytes(memory) if memory else None), ("huge pages", machine.get("huge_pages")),
             ("frequency", machine.get("governor")),
             ("build", f"libbitnet {document['version']}, {build.get('compiler', '')}"),
             ("energy", (document.get("energy") or {}).get("source")))
    rows = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts if value)
    return f"<h2>Machine</h2>\n<dl>{rows}</dl>\n"


def page(document: data.Document, charts: Sequence[Chart], title: str) -> str:
    names = list(dict.fromkeys(run["model"] for run in document["results"]))
    parts = [f"<h1>{_text(title)}</h1>\n"
             f'<p class="quiet">{_text(", ".join(names))} · {_text(document["machine"].get("cpu") or "unknown CPU")} · '
             f'{_text(document["timestamp"][:16].replace("T", " "))} UTC</p>\n']
    parts += [f'<div class="warning" role="alert">{_text(line)}</div>\n' for line in document["warnings"]]
    parts += [f'<p class="quiet">{_text(line)}</p>\n' for line in document["notes"]]
    parts.append(_cards(document))
    parts += [f'<div class="advice">{_text(line)}</div>\n' for line in document["advice"]]
    if charts:
        figures = [f"<figure><h3>{_text(chart.title)}</h3>\n{chart.svg()}\n<figcaption>{_text(chart.caption)}</figcaption>"
                   "</figure>\n" for chart in charts]
        parts.append(f'<h2>Charts</h2>\n<div class="charts">\n{"".join(figures)}</div>\n')
    for heading, columns, rows in (section(document) for section in (_against_16_bits, _comparisons, _speeds, _scenarios, _forward, _sessions,
                                                                    _models)):
        if rows:
            parts.append(f"<h2>{heading}</h2>\n{_table(columns, rows)}")
    parts.append(_facts(document))
    return ("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "".join(parts) + "</body>\n</html>\n")
