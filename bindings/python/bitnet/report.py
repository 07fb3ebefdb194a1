# SPDX-License-Identifier: MIT
"""Makes a page with charts of what `bitnet bench -o json` measured.

    bitnet bench -m model.bitnet --scenario all -o json > results.json
    python3 -m bitnet.report results.json -o report.html
    python3 -m bitnet.report results.json --charts charts/

The page is one file that needs no network. Several files of results become one page. --charts writes each chart as SVG and
PNG.
"""
from __future__ import annotations

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

from . import _report_data


def make_page(paths: Sequence[str | os.PathLike[str]], title: str = "Benchmark of libbitnet") -> str:
    """The page for these files of results, as text. Needs Matplotlib."""
    from . import _report_charts, _report_page
    document = _report_data.load(paths)
    return _report_page.page(document, _report_charts.charts(document), title)


def write_charts(paths: Sequence[str | os.PathLike[str]], folder: str | os.PathLike[str]) -> None:
    """Writes the charts of these files of results into the folder, as SVG and PNG. Needs Matplotlib."""
    from . import _report_charts
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for chart in _report_charts.charts(_report_data.load(paths)):
        chart.write(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python3 -m bitnet.report", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="RESULTS.json", help="what `bitnet bench -o json` wrote")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page (report.html, if no --charts are asked for)")
    parser.add_argument("--charts", metavar="FOLDER", help="where to write the charts as files of their own")
    parser.add_argument("--title", default="Benchmark of libbitnet", help="(%(default)s)")
    args = parser.parse_args(arguments)
    output = args.output or (None if args.charts else "report.html")
    try:
        if args.charts:
            write_charts(args.results, args.charts)
        if output:
            pathlib.Path(output).write_text(make_page(args.results, args.title), encoding="utf-8")
    except _report_data.ReportError as error:
        sys.exit(f"bitnet.report: {error}")
    except (KeyError, TypeError) as error:
        sys.exit(f"bitnet.report: a result lacks or misspells {error}: it is not what this version of bitnet bench writes")
    except OSError as error:
        sys.exit(f"bitnet.report: {error.filename}: {error.strerror}")
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        sys.exit('bitnet.report: charts take Matplotlib: python3 -m pip install "libbitnet[report]"')


if __name__ == "__main__":
    main()
