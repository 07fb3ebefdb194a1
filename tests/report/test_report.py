# SPDX-License-Identifier: MIT
"""The page that bitnet.report makes of what `bitnet bench` measured: whole, with its charts, without a network, for every
width."""
import html
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

from bitnet import report

PROGRAM = os.environ["BITNET_PROGRAM"]
VOID = {"meta", "br", "link", "img", "input", "hr"}


def bench(*options):
    done = subprocess.run([PROGRAM, "bench", "-q", "-o", "json", *options], capture_output=True, check=True)
    return json.loads(done.stdout)


class Page(html.parser.HTMLParser):
    """Whether every element is closed, what the page loads, and what it says."""

    def __init__(self, text):
        super().__init__()
        self.open, self.titles, self.svgs, self.ids, self.loaded, self.words = [], [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "svg":
            self.svgs.append(attributes.get("aria-label"))
        self.ids += [value for name, value in attributes.items() if name == "id"]
        self.loaded += [value for name, value in attributes.items() if name in ("src", "href", "action", "srcset")]
        if tag in ("script", "iframe", "object", "embed", "base"):
            self.loaded.append(f"<{tag}>")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, text):
        self.words.append(text)


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        models = [cls.folder / "a <b>&'\".bitnet", cls.folder / "larger.bitnet"]
        for model, size in zip(models, ("tiny", "tiny")):
            subprocess.run([PROGRAM, "dummy", "-q", model, "--size", size], check=True)
        model = str(models[0])
        documents = {
            "speeds": bench("-m", model, "-p", "4,8", "-n", "8", "-t", "1,2", "-r", "2", "--limits"),
            "scenarios": bench("-m", model, "--scenario", "S1,S2", "-r", "2", "--warmup", "1", "-t", "1"),
            "sessions": bench("-m", model, "-p", "4", "-n", "4", "-t", "1", "-r", "2", "--sessions", "1,2"),
            "forward": bench("-m", model, "--batch", "2", "--seq-length", "4", "--warmup-steps", "1", "--benchmark-steps", "2"),
            "comparison": bench("-m", model, "-p", "8", "-n", "4", "-t", "1", "-r", "4", "--compare", "--name <old>",
                                "--compare", "--name new --kv int8"),
            "sixteen": bench("--against-16-bits", "tiny", "-p", "4", "-n", "4", "-t", "1", "-r", "2"),
        }
        documents["sixteen"]["against_16_bits"].append(  # as of a machine that counts, without room for 16 bits
            {**documents["sixteen"]["against_16_bits"][0], "program": None, "tokens_per_second_16_bits": None, "speedup": None,
             "low": None, "high": None, "joules_per_token": 0.125})
        speeds = documents["speeds"]
        for run in bench("-m", str(models[1]), "-p", "4,8", "-n", "8", "-t", "1,2", "-r", "2")["results"]:
            speeds["results"].append({**run, "parameters": 10 * run["parameters"]})  # as if it were larger
        for run in speeds["results"]:
            run["joules_per_token"] = {**run["tokens_per_second"], "median": 1e12}  # as counters of a strange machine say
        speeds["energy"] = {"source": "RAPL: package-0", "problem": None}
        speeds["warnings"].append("something is <wrong>")
        for run in speeds["results"]:
            run["model"] = run["model"] + " <i>"
        cls.paths = []
        for name, document in documents.items():
            cls.paths.append(cls.folder / f"{name}.json")
            cls.paths[-1].write_text(json.dumps(document))
        cls.text = report.make_page(cls.paths)
        cls.page = Page(cls.text)

    def test_it_is_whole_and_holds_every_chart(self):
        self.assertEqual(self.page.open, [])
        self.assertEqual(len(self.page.ids), len(set(self.page.ids)), "two elements share a name")
        for title in ("Comparison", "Time to the first token", "Throughput by scenario", "Speed by threads",
                      "Speed by model size", "Many sessions at once", "Against the limit of memory", "Energy",
                      "Ternary weights against 16 bits"):
            self.assertIn(title, self.page.svgs)
        self.assertTrue(any(title.startswith("Speed over an answer") for title in self.page.svgs))

    def test_it_needs_no_network(self):
        self.assertEqual([address for address in self.page.loaded if not address.startswith("#")], [])
        self.assertEqual(set(re.findall(r"url\((.)", self.text)), {"#"})
        self.assertNotIn("@import", self.text)
        references = re.findall(r'(?:url\(#|href="#)([^)"]+)', self.text)
        self.assertTrue(references)
        self.assertLessEqual(set(references), set(self.page.ids))

    def test_what_files_say_is_text(self):
        words = " ".join(self.page.words)
        for text in ("something is <wrong>", "<old>", "<i>"):
            self.assertIn(text, words)
        self.assertNotIn("<wrong>", self.text)
        for section in ("Prompts and generation", "Scenarios", "Forward pass alone", "Sessions", "Models", "Machine"):
            self.assertIn(section, words)

    def test_a_browser_shows_it_at_every_width(self):
        """Nothing sticks out of the screen, and every chart has a size."""
        names = ("chromium", "chromium-browser", "google-chrome")
        browser = next(filter(None, map(shutil.which, names)), None)
        self.assertIsNotNone(browser, f"none of {names} is installed")
        frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{html.escape(self.text)}"></iframe>'
                         for width in (390, 820, 1440))  # a browser's own window has a least width
        probe = """<script>onload = () => { document.title = [...document.querySelectorAll('iframe')].map(element => {
          const frame = element.contentWindow, root = frame.document.documentElement, charts = [...frame.document.querySelectorAll('figure svg')];
          return [root.scrollWidth, root.clientWidth, Math.min(...charts.map(chart => chart.clientHeight))].join(' ')
        }).join(';') }</script>"""
        probed = self.folder / "probed.html"
        probed.write_text(f'<!DOCTYPE html><meta charset="utf-8"><title></title>{frames}{probe}', encoding="utf-8")
        done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
                               f"--user-data-dir={self.folder}/profile", "--dump-dom", probed.as_uri()],
                              capture_output=True, text=True, timeout=120, check=True)
        found = re.search(r"<title>([^<]+)</title>", done.stdout)
        self.assertIsNotNone(found, done.stderr[-500:])
        self.assertEqual(found[1].count(";"), 2)
        for shown in found[1].split(";"):
            content, width, least = map(int, shown.split())
            self.assertLessEqual(content, width)
            self.assertGreater(least, 100)

    def test_charts_are_files_too(self):
        report.main([str(path) for path in self.paths] + ["--charts", str(self.folder / "charts")])
        charts = sorted(path.name for path in (self.folder / "charts").iterdir())
        self.assertEqual(len(charts), 20)
        for path in (self.folder / "charts").iterdir():
            if path.suffix == ".svg":
                xml.etree.ElementTree.parse(path)
            else:
                self.assertEqual(path.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def test_what_cannot_be_read_or_written_is_named(self):
        cases = [("no.json", None, "no.json: No such file"), ("text.json", "not JSON", "text.json is no JSON"),
                 ("list.json", "[]", "list.json is not what"), ("other.json", '{"schema": "x"}', "other.json is not what"),
                 ("new.json", '{"schema": "bitnet-bench", "schema_version": 2}', "version 2"),
                 ("empty.json", '{"schema": "bitnet-bench", "schema_version": 1}', "lacks results")]
        for name, text, message in cases:
            with self.subTest(name):
                if text is not None:
                    (self.folder / name).write_text(text)
                with self.assertRaises(SystemExit) as caught:
                    report.main([str(self.folder / name), "-o", str(self.folder / "out.html")])
                self.assertIn(message, caught.exception.code)
        with self.assertRaises(SystemExit) as caught:
            report.main([str(self.paths[0]), "-o", str(self.folder / "none" / "out.html")])
        self.assertIn("out.html: No such file", caught.exception.code)

    def test_without_matplotlib_it_says_what_to_install(self):
        blocked = "import sys; sys.modules['matplotlib'] = None; from bitnet import report; report.main(sys.argv[1:])"
        done = subprocess.run([sys.executable, "-c", blocked, self.paths[0], "-o", self.folder / "x.html"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('pip install "libbitnet[report]"', done.stderr)

    def test_the_program_makes_the_page_itself(self):
        page = self.folder / "own.html"
        subprocess.run([PROGRAM, "bench", "-q", "-m", self.folder / "larger.bitnet", "-p", "4", "-n", "8", "-r", "2", "--report",
                        page], check=True, capture_output=True, env={**os.environ, "BITNET_PYTHON": sys.executable})
        self.assertIn("Speed over an answer (tg8)", Page(page.read_text(encoding="utf-8")).svgs)


if __name__ == "__main__":
    unittest.main()
