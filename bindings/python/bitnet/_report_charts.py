# SPDX-License-Identifier: MIT
"""The charts of a report. Each is a function that takes the document and gives a Chart, or None where its data lacks."""
from __future__ import annotations

import dataclasses
import importlib
import io
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import _report_data as data

# Not all its versions have types, which is a mistake to a type checker.
matplotlib: Any = importlib.import_module("matplotlib")
ticker: Any = importlib.import_module("matplotlib.ticker")
Figure: Any = importlib.import_module("matplotlib.figure").Figure

# Colours that tell apart for those who see colours differently, too (Okabe and Ito), dark enough for white.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#aa5c95", "#8a6d00", "#4d4d4d")
INK, GRID = "#202428", "#d4d8dc"
STYLE: dict[str, Any] = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.edgecolor": INK, "text.color": INK,
         "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "grid.color": GRID, "axes.grid": True,
         "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
         "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.fontsize": 9}
SIZE = (4.8, 3.3)  # inches: text that can be read on a phone


@dataclasses.dataclass
class Chart:
    name: str
    title: str
    caption: str
    figure: Any

    def svg(self) -> str:
        """For a page: in the page's own colours, light or dark."""
        text = self._saved("svg").decode()
        text = text[text.index("<svg"):]
        for i, colour in enumerate(SERIES):
            text = text.replace(colour, f"var(--series-{i})")
        text = text.replace(INK, "currentColor").replace(GRID, "var(--grid)")
        # Names are the page's: two charts may not share them.
        text = re.sub(r'\bid="', f'id="{self.name}-', text)
        text = re.sub(r'(url\(#|href="#)', rf"\g<1>{self.name}-", text)
        text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
                      rf'<svg viewBox="\1" role="img" aria-label="{self.title}">', text, count=1)
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
        return text.replace("xlink:href", "href")

    def write(self, folder: pathlib.Path) -> None:
        """As files of their own: name.svg and name.png."""
        for kind in ("svg", "png"):
            (folder / f"{self.name}.{kind}").write_bytes(self._saved(kind, "white"))

    def _saved(self, kind: str, background: str = "none") -> bytes:
        out = io.BytesIO()
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": self.name}):  # the same chart is the same file
            self.figure.savefig(out, format=kind, dpi=200, facecolor=background,
                                metadata={"Date": None} if kind == "svg" else None)
        return out.getvalue()


def _axes(height: float = SIZE[1], **settings: Any) -> tuple[Any, Any]:
    figure = Figure(figsize=(SIZE[0], height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(**settings)
    return figure, axes


def _legend(axes: Any, count: int) -> None:
    """Above the axes, where it covers nothing."""
    if count > 1:
        short = all(len(text) < 24 for text in axes.get_legend_handles_labels()[1])
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=2 if short else 1, borderaxespad=0.2, columnspacing=1.2)


def _named(name: str, threads: int, names: Iterable[str]) -> str:
    """A label for a legend, with the name only where there are several."""
    count = data.counted(threads, "thread")
    return f"{_short(name)}, {count}" if len(set(names)) > 1 else count


def first_token(document: data.Document) -> Chart | None:
    lines = {name: points for name, points in data.first_tokens(document).items() if len(points) > 1}
    if not lines:
        return None
    figure, axes = _axes(xlabel="tokens of the prompt", ylabel="ms to the first token")
    for i, ((name, threads), points) in enumerate(lines.items()):
        axes.plot([n for n, _ in points], [1e3 * s for _, s in points], "o-", color=SERIES[i % len(SERIES)],
                  label=_named(name, threads, (each for each, _ in lines)))
    axes.set_ylim(bottom=0)
    _legend(axes, len(lines))
    return Chart("first-token", "Time to the first token", "How long a reader waits for the first word, by the length of "
                 "the prompt. A straight line means that each token of a prompt costs the same.", figure)


def answer_steps(document: data.Document) -> Chart | None:
    runs = [run for run in data.of_kind(document, "scenario", "generation") if "token_seconds" in run]
    run = max(runs, key=lambda r: (int(r["generate"]), int(r["depth"])), default=None)
    if run is None or run["generate"] < 8:
        return None
    speeds = data.steps(run)
    figure, axes = _axes(xlabel="token of the answer", ylabel="tokens/s")
    axes.plot(range(1, len(speeds) + 1), speeds, ".", markersize=3, color=SERIES[5], alpha=0.5)
    width = max(1, len(speeds) // 24)
    smooth = [sorted(speeds[max(0, i - width):i + width + 1]) for i in range(len(speeds))]
    axes.plot(range(1, len(speeds) + 1), [each[len(each) // 2] for each in smooth], color=SERIES[0], linewidth=2)
    axes.set_ylim(bottom=0)
    count = len(run["token_seconds"]["all"])
    return Chart("answer-steps", f"Speed over an answer ({run['test']})", "A dot for each token, the median of "
                 f"{count} repetition{'s' if count > 1 else ''}, with a running median. What falls is the cost of a longer "
                 "context.", figure)


def scenarios(document: data.Document) -> Chart | None:
    runs = data.of_kind(document, "scenario")
    groups = data.grouped(runs, lambda r: (data.subject(r), r["threads"]))
    if len(runs) < 2:
        return None
    figure = Figure(figsize=(SIZE[0], 4.6), layout="constrained")
    names = list(dict.fromkeys(run["test"] for run in runs))
    for place, (metric, label) in enumerate((("prompt_tokens_per_second", "prompt, tokens/s"),
                                             ("tokens_per_second", "answer, tokens/s"))):
        axes = figure.add_subplot(2, 1, place + 1)
        _bars(axes, groups, names, metric)
        axes.set_ylabel(label)
    figure.axes[-1].set_xlabel("scenario")
    _legend(figure.axes[0], len(groups))
    return Chart("scenarios", "Throughput by scenario", "Medians, with a line from the slowest to the fastest. "
                 + "; ".join(f"{r['test']}: {r['tokens']} tokens of prompt, {r['generate']} of answer"
                             for r in next(iter(groups.values()))) + ".", figure)


def _bars(axes: Any, groups: dict[tuple[str, int], list[data.Run]], names: list[str], metric: str) -> None:
    width = 0.8 / len(groups)
    for i, ((name, threads), runs) in enumerate(groups.items()):
        places = [names.index(run["test"]) + (i + 0.5) * width - 0.4 for run in runs]
        middle = [run[metric]["median"] for run in runs]
        spread = [[m - run[metric]["min"] for m, run in zip(middle, runs)],
                  [run[metric]["max"] - m for m, run in zip(middle, runs)]]
        axes.bar(places, middle, 0.9 * width, color=SERIES[i % len(SERIES)],
                 label=_named(name, threads, (each for each, _ in groups)))
        axes.errorbar(places, middle, spread, fmt="none", ecolor=INK, elinewidth=1)
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="x", visible=False)


def sizes(document: data.Document) -> Chart | None:
    runs = [run for run in data.of_kind(document, "prompt", "generation") if not run["depth"] and not run.get("part")]
    groups = data.grouped(runs, lambda r: (r["kind"], r["test"], r["threads"]))
    groups = {key: each for key, each in groups.items() if len({r["parameters"] for r in each}) > 1}
    if not groups:
        return None
    figure, axes = _axes(xlabel="parameters", ylabel="tokens/s", xscale="log", yscale="log")
    for i, ((_, test, threads), each) in enumerate(groups.items()):
        each.sort(key=lambda r: r["parameters"])
        axes.plot([r["parameters"] for r in each], [data.median(r, "tokens_per_second") for r in each], "o-",
                  color=SERIES[i % len(SERIES)], label=f"{test}, {data.counted(threads, 'thread')}")
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    axes.yaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    _legend(axes, len(groups))
    return Chart("sizes", "Speed by model size", "Both axes are logarithmic: a straight line down means that twice the "
                 "parameters take twice the time.", figure)


def against_16_bits(document: data.Document) -> Chart | None:
    rows = [row for row in document["against_16_bits"] if row["speedup"] and row["threads"].isdecimal()]
    if not rows:
        return None
    groups = data.grouped(rows, lambda row: (row["test"], int(row["threads"])))
    figure, axes = _axes(xlabel="parameters", ylabel="times the speed of 16 bits", xscale="log")
    for i, ((test, threads), each) in enumerate(groups.items()):
        each.sort(key=lambda row: row["parameters"])
        ratios = [row["speedup"] for row in each]
        spread = [[row["speedup"] - row["low"] for row in each], [row["high"] - row["speedup"] for row in each]]
        axes.errorbar([row["parameters"] for row in each], ratios, [[max(0, end) for end in ends] for ends in spread], fmt="o-",
                      color=SERIES[i % len(SERIES)], label=f"{test}, {data.counted(threads, 'thread')}")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    _legend(axes, len(groups))
    return Chart("against-16-bits", "Ternary weights against 16 bits", "The same shapes with random weights, measured in turn. "
                 "Lines show 99 % intervals.", figure)


def threads(document: data.Document) -> Chart | None:
    runs = [run for run in data.of_kind(document, "prompt", "generation") if not run["depth"] and not run.get("part")]
    groups = data.grouped(runs, lambda r: (data.subject(r), r["test"]))
    groups = {key: each for key, each in groups.items() if len({r["threads"] for r in each}) > 1}
    if not groups:
        return None
    figure, axes = _axes(xlabel="threads", ylabel="times the speed of the fewest")
    several = len({name for name, _ in groups}) > 1
    for i, ((name, test), each) in enumerate(groups.items()):
        each.sort(key=lambda r: r["threads"])
        one = data.median(each[0], "tokens_per_second")
        axes.plot([r["threads"] for r in each], [data.median(r, "tokens_per_second") / one for r in each], "o-",
                  color=SERIES[i % len(SERIES)], label=f"{_short(name)}, {test}" if several else test)
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    _legend(axes, len(groups) + 1)
    return Chart("threads", "Speed by threads", "Prompts (pp) are bound by arithmetic and take all cores; generation (tg) "
                 "is bound by memory, and flattens once that is busy.", figure)


def sessions(document: data.Document) -> Chart | None:
    groups = data.grouped(data.of_kind(document, "sessions"), lambda r: (data.subject(r), r["threads"]))
    groups = {key: each for key, each in groups.items() if len(each) > 1}
    if not groups:
        return None
    figure = Figure(figsize=(SIZE[0], 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for i, ((name, count), each) in enumerate(groups.items()):
        at = [r["sessions"] for r in each]
        colour = SERIES[i % len(SERIES)]
        above.plot(at, [data.median(r, "tokens_per_second") for r in each], "o-", color=colour,
                   label=_named(name, count, (each for each, _ in groups)))
        below.plot(at, [1e3 * r["gap_seconds"]["median"] for r in each], "o-", color=colour)
        below.plot(at, [1e3 * r["gap_seconds"]["p99"] for r in each], "o:", color=colour)
    above.set(ylabel="tokens/s together", ylim=(0, None))
    below.set(xlabel="sessions at once", ylabel="ms between tokens", ylim=(0, None))
    _legend(above, len(groups))
    return Chart("sessions", "Many sessions at once", "Above, what all get together; below, the time from one token of a "
                 "session to its next: median, and dotted the 99th percentile.", figure)


def roofline(document: data.Document) -> Chart | None:
    runs = [run for run in data.of_kind(document, "prompt", "generation") if not run["depth"] and not run.get("part")]
    read = [run for run in runs if "reading_bytes_per_second" in run]
    if not read:
        return None
    best = max(read, key=lambda r: data.median(r, "reading_bytes_per_second"))
    runs = [run for run in runs if run["path"] == best["path"] and run["threads"] == best["threads"]]
    rate, weights = data.median(best, "reading_bytes_per_second"), best["token_bytes"]
    points = [(run["parameters"] * (run["tokens"] if run["kind"] == "prompt" else 1) / weights,
               run["parameters"] * data.median(run, "tokens_per_second"), run["test"]) for run in runs]
    most = max(y for _, y, _ in points)
    figure, axes = _axes(xscale="log", yscale="log", xlabel="multiply-adds for each byte of weights",
                         ylabel="multiply-adds a second")
    edge = max(max(x for x, _, _ in points), most / rate) * 2
    start = min(min(x for x, _, _ in points), most / rate) / 2
    axes.plot([start, most / rate], [rate * start, most], color=INK, linewidth=1.5)
    axes.plot([most / rate, edge], [most, most], color=INK, linewidth=1, linestyle="--")
    for x, y, name in points:
        axes.plot([x], [y], "o", color=SERIES[0 if name.startswith("pp") else 1])
        axes.annotate(name, (x, y), (4, -12), textcoords="offset points", fontsize=9)
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    axes.set_ylim(min(y for _, y, _ in points) / 1.6, 1.6 * most)
    return Chart("roofline", "Against the limit of memory", f"The slope is what memory gives, {rate / 1e9:.1f} GB/s with "
                 f"{data.counted(best['threads'], 'thread')}; the dashed line is the fastest product measured. Generation (tg) sits "
                 "under the slope, prompts (pp) reach the arithmetic.", figure)


def comparison(document: data.Document) -> Chart | None:
    rows = [(part["name"], test) for each in document["comparisons"] for part in each["parts"] for test in part["tests"]]
    if not rows:
        return None
    figure, axes = _axes(height=0.42 * len(rows) + 1.3, xlabel="ratio to the baseline; more is faster")
    for i, (name, test) in enumerate(rows):
        colour = {"faster": SERIES[2], "slower": SERIES[1]}.get(test["verdict"], SERIES[5])
        axes.plot([test["low"], test["high"]], [i, i], color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot([test["ratio"]], [i], "o", color=colour)
    several = len({name for name, _ in rows}) > 1
    axes.set_yticks(range(len(rows)), [f"{_short(name)} {test['test']}" if several else test["test"] for name, test in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(1, color=INK, linewidth=1)
    baselines = ", ".join(dict.fromkeys(each["config"]["baseline"] for each in document["comparisons"]))
    return Chart("comparison", "Comparison", f"Baseline: {baselines}. Dots are ratios, bars where they lie with 99 % "
                 "confidence. A bar that holds 1 shows no difference.", figure)


def _short(name: str) -> str:
    return name if len(name) < 28 else name[:26] + "…"


def energy(document: data.Document) -> Chart | None:
    runs = [run for run in document["results"] if "joules_per_token" in run]
    if not runs:
        return None
    figure, axes = _axes(height=0.36 * len(runs) + 1.2, xlabel="joules a token")
    axes.barh(range(len(runs)), [data.median(run, "joules_per_token") for run in runs], 0.7, color=SERIES[0])
    axes.set_yticks(range(len(runs)), [f"{_short(run['model'])} {run['test']}, {run['threads']} t" for run in runs])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    return Chart("energy", "Energy", f"Of {document['energy']['source']}, idle subtracted.", figure)


ALL: Sequence[Callable[[data.Document], "Chart | None"]] = (against_16_bits, comparison, first_token, answer_steps, scenarios,
                                                                       threads, sizes, sessions, roofline, energy)


def charts(document: data.Document) -> list[Chart]:
    """All that the document has data for."""
    with matplotlib.rc_context(STYLE):
        made = [draw(document) for draw in ALL]
    return [chart for chart in made if chart is not None]
