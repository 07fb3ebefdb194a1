# SPDX-License-Identifier: MIT
"""`bitnet bench` measures what it says, in every form; what figures need to be trusted is said with them."""
import csv
import io
import json
import mmap
import os
import stat
import unittest

from program import FAILURE, FOLDER, PROGRAM, SUCCESS, USAGE, bitnet, environment, gguf, tiny


class Bench(unittest.TestCase):
    def succeed(self, *arguments, **others):
        done = bitnet(*arguments, **others)
        self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
        return done.stdout

    def fail(self, code, *arguments, words=(), **others):
        done = bitnet("bench", *arguments, **others)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        for word in words:
            self.assertIn(word, done.stderr.decode())

    def document(self, *arguments):
        return json.loads(self.succeed("bench", "-m", tiny(), "-t", "1", "-o", "json", *arguments))

    def rates(self, *arguments):
        rows = csv.DictReader(io.StringIO(self.succeed(*arguments).decode()))
        return [row for row in rows if row["metric"] == "tokens_per_second"]

    def test_in_every_form(self):
        common = ["bench", "-m", tiny(), "-p", "8,4", "-n", "3", "-t", "1,2", "-r", "2", "-o"]
        results = json.loads(self.succeed(*common, "json"))["results"]
        self.assertEqual([(r["test"], r["threads"]) for r in results],
                         [("pp8", 1), ("pp4", 1), ("tg3", 1), ("pp8", 2), ("pp4", 2), ("tg3", 2)])
        for result in results:
            self.assertEqual(result["kv"], "int16")
            rates = result["tokens_per_second"]
            self.assertEqual(len(rates["all"]), 2)
            self.assertTrue(0 < rates["min"] <= rates["median"] <= rates["max"])
            self.assertEqual(result["memory"], {"mapped": True, "page_bytes": mmap.PAGESIZE, "huge_bytes": 0})
        rows = self.rates(*common, "csv")
        self.assertEqual({(row["mapped"], row["page_bytes"]) for row in rows}, {("1", str(mmap.PAGESIZE))})
        self.assertEqual([row["test"] for row in rows], [r["test"] for r in results])
        self.assertEqual({row["packing"] for row in rows}, {"i2"})
        for form, separator in (("table", "  "), ("md", "|")):
            lines = self.succeed(*common, form).decode().splitlines()
            self.assertEqual(len({len(line) for line in lines}), 1, "columns are aligned")
            self.assertIn(separator, lines[0])
            self.assertIn("mapped, ", lines[-1])

    def against_16_bits(self, *options):
        folder = FOLDER / "temporary"
        folder.mkdir(exist_ok=True)
        text = self.succeed("bench", "--against-16-bits", "tiny,125M", "-p", "4", "-n", "3", "-r", "2", *options,
                            env=environment(TMPDIR=str(folder)))
        self.assertEqual(list(folder.iterdir()), [], "what was written is gone")
        return text

    def test_against_16_bits(self):
        document = json.loads(self.against_16_bits("-t", "1,2", "-o", "json"))
        rows = document["against_16_bits"]
        self.assertEqual([(row["shape"], row["test"]) for row in rows],
                         [(shape, test) for shape in ("tiny", "125M") for _ in range(3) for test in ("pp4", "tg3")])
        for row in rows:
            self.assertEqual((row["packing"], row["program"]), ("i2", "bitnet"))
            self.assertAlmostEqual(row["speedup"], row["tokens_per_second"] / row["tokens_per_second_16_bits"])
        self.assertEqual([row["threads"] for row in rows[:4]], ["1", "1", "2", "2"])
        for at, row in enumerate(rows[4:6]):
            self.assertTrue(row["threads"].startswith("best: "), row)
            for rate in ("tokens_per_second", "tokens_per_second_16_bits"):
                self.assertEqual(row[rate], max(rows[at][rate], rows[at + 2][rate]))
        parts = [(run["part"], run["packing"]) for run in document["results"]]
        self.assertEqual(set(parts), {(shape + part, packing) for shape in ("tiny, ", "125M, ")
                                      for part, packing in (("16 bits", "f16"), ("ternary", "i2"))})
        lines = self.against_16_bits("-t", "2", "-o", "md").decode().splitlines()
        self.assertEqual(len({len(line) for line in lines}), 1, "columns are aligned")
        self.assertEqual(len(lines), 2 + 4)

    def test_against_16_bits_the_faster_counts(self):
        for rate, program in ((1e9, "llama.cpp"), (1e-3, "bitnet")):
            text = self.against_16_bits("-t", "1", "-o", "json", "--llama-bench", self.peer(rate))
            self.assertEqual({row["program"] for row in json.loads(text)["against_16_bits"]}, {program})

    def test_against_16_bits_bad_input(self):
        self.fail(USAGE, "--against-16-bits", "13G", words=["no shape is called 13G", "125M"])
        self.fail(USAGE, "--against-16-bits", "Qwen2.5-1.5B", words=["not ternary"])
        self.fail(USAGE, "--against-16-bits", "tiny", "-p", "0", "-n", "0", words=["-p and -n"])
        self.fail(USAGE, "--llama-bench", "x", "-m", tiny(), words=["--against-16-bits"])
        self.fail(FAILURE, "--against-16-bits", "tiny", env=environment(TMPDIR="/nowhere"), words=["/nowhere", "TMPDIR"])

    def test_sessions_in_every_form(self):
        common = ["bench", "-m", tiny(), "-p", "4", "-n", "6", "-t", "1", "-r", "2", "--sessions", "1,3", "-o"]
        for options in ([], ["--top-k", "5", "--pause", "10"], ["--arriving", "8"], ["--calls", "next", "--arriving", "8"],
                        ["--calls", "queue", "--pause", "10"]):
            results = json.loads(self.succeed(*common, "json", *options))["results"]
            self.assertEqual([r["sessions"] for r in results], [1, 3])
            for result in results:
                self.assertEqual(len(result["tokens_per_second"]["all"]), 2)
                self.assertTrue(1 <= result["sessions_in_a_pass"] <= result["sessions"] + 1)
                gap = result["gap_seconds"]
                self.assertTrue(0 < gap["median"] <= gap["p95"] <= gap["p99"])
                self.assertEqual("arriving_tokens_per_second" in result, "--arriving" in options)
                self.assertEqual("arriving_alone_tokens_per_second" in result, "--arriving" in options)
        for form in ("table", "md"):
            lines = self.succeed(*common, form, "--arriving", "8").decode().splitlines()
            self.assertEqual(len({len(line) for line in lines}), 1, "columns are aligned")
        self.assertEqual([row["batch"] for row in self.rates(*common, "csv")], ["1", "3"])

    def test_tells_a_mapped_file_from_a_copy(self):
        unpacked = FOLDER / "unpacked.bitnet"
        self.succeed("convert", "--zstd", "--force", "-q", tiny(), unpacked)
        for model, mapped in ((tiny(), True), (unpacked, False)):
            results = json.loads(self.succeed("bench", "-m", model, "-p", "4", "-n", "0", "-t", "1", "-r", "1",
                                              "-o", "json"))["results"]
            self.assertEqual(results[0]["memory"]["mapped"], mapped)

    def test_against_reading_the_weights(self):
        screened = FOLDER / "screened.bitnet"
        self.succeed("convert", "--head", "screened", "--force", "-q", gguf(), screened)
        for model, options, head in ((tiny(), [], "token_embd.weight"), (screened, [], "output.screen"),
                                     (screened, ["--logits"], "token_embd.weight")):
            tensors = json.loads(self.succeed("info", model, "--tensors", "--json"))["tensors"]
            read = sum(t["bytes"] for t in tensors if t["type"] == "i2" or t["name"] == head)
            self.assertIn(head, [t["name"] for t in tensors])
            common = ["bench", "-m", model, "-p", "4", "-n", "3", "-t", "1,2", "-r", "3", *options, "--limits", "-o"]
            for result in json.loads(self.succeed(*common, "json"))["results"]:
                if result["test"] == "pp4":
                    self.assertIsNone(result["token_bytes"])
                    self.assertNotIn("reading_share", result)
                else:
                    self.assertEqual(result["token_bytes"], read)
                    self.assertGreater(result["reading_bytes_per_second"]["min"], 0)
                    self.assertGreater(result["reading_share"]["min"], 0)
            self.assertRegex(self.succeed(*common, "table").decode().splitlines()[-1], r"\d+ % of \d+\.\d$")
            row = self.rates(*common, "csv")[-1]
            self.assertEqual(row["token_bytes"], str(read))

    def test_with_no_threads_named_says_how_many_compute(self):
        for threads in ([], ["-t", "0"]):
            results = json.loads(self.succeed("bench", "-m", tiny(), "-p", "4", "-n", "0", "-r", "1", *threads,
                                              "-o", "json"))["results"]
            self.assertGreater(results[0]["threads"], 0)

    def test_at_depths(self):
        results = json.loads(self.succeed("bench", "-m", tiny(), "-p", "4", "-n", "2", "-t", "1", "-r", "1",
                                          "--depth", "9,0,300", "--logits", "-o", "json"))["results"]
        self.assertEqual([(r["test"], r["tokens"], r["depth"]) for r in results],
                         [("pp4", 4, 0), ("tg2", 2, 0), ("pp4@9", 4, 9), ("tg2@9", 2, 9),
                          ("pp4@300", 4, 300), ("tg2@300", 2, 300)])

    def test_nothing_is_wrong_usage(self):
        self.assertEqual(bitnet("bench", "-m", tiny(), "-p", "0", "-n", "0").returncode, USAGE)

    def test_the_document_says_what_was_measured_on_what(self):
        document = self.document("-p", "8", "-n", "3", "-r", "2")
        self.assertEqual((document["schema"], document["schema_version"]), ("bitnet-bench", 1))
        self.assertRegex(document["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        machine, build = document["machine"], document["build"]
        self.assertGreaterEqual(machine["cpus"], machine["cores"])
        self.assertGreater(machine["memory_bytes"], 1 << 20)
        self.assertEqual(build["version"], document["version"])
        self.assertEqual(build["sanitized"], bool(os.environ["BITNET_SANITIZE"]))
        for warned, cause in (("sanitizers", build["sanitized"]), ("debug build", not build["optimized"])):
            self.assertEqual(any(warned in line for line in document["warnings"]), cause, document["warnings"])
        prompt, generation = document["results"]
        self.assertEqual((prompt["kind"], generation["kind"]), ("prompt", "generation"))
        self.assertRegex(prompt["checksum"], r"^[0-9a-f]{16}$")
        self.assertGreater(prompt["load_seconds"], 0)
        self.assertGreaterEqual(prompt["process"]["peak_bytes"], prompt["process"]["current_bytes"])
        self.assertGreater(prompt["process"]["reserved_bytes"], prompt["process"]["current_bytes"])
        self.assertEqual([len(repetition) for repetition in generation["token_seconds"]["all"]], [3, 3])

    def test_models_are_told_apart_by_their_checksums(self):
        one, two = (json.loads(self.succeed("bench", "-m", model, "-p", "1", "-n", "0", "-r", "1", "-o", "json"))
                    ["results"][0]["checksum"] for model in (tiny(), tiny("--seed", "2")))
        self.assertNotEqual(one, two)

    def test_statistics_are_those_of_the_samples(self):
        rate = self.document("-p", "4", "-n", "0", "-r", "7")["results"][0]["tokens_per_second"]
        values = sorted(rate["all"])
        self.assertEqual(len(values), 7)
        self.assertAlmostEqual(rate["mean"], sum(values) / 7, 6)
        self.assertEqual((rate["min"], rate["median"], rate["p95"], rate["p99"], rate["max"]),
                         (values[0], values[3], values[6], values[6], values[6]))
        variance = sum((value - rate["mean"]) ** 2 for value in values) / 6
        self.assertAlmostEqual(rate["stdev"] / variance ** 0.5, 1, 6)

    def test_scenarios_tell_the_first_token_from_those_after(self):
        document = self.document("--scenario", "S1,S2", "-r", "2", "--warmup", "1")
        shapes = [(r["test"], r["tokens"], r["generate"]) for r in document["results"]]
        self.assertEqual(shapes, [("S1", 16, 32), ("S2", 64, 64)])
        for result in document["results"]:
            answer = result["generate"] - 1  # the first token comes with the prompt
            self.assertEqual([len(repetition) for repetition in result["token_seconds"]["all"]], [answer] * 2)
            total = result["total_seconds"]["all"][0]
            first = result["first_token_seconds"]["all"][0]
            self.assertAlmostEqual(first + sum(result["token_seconds"]["all"][0]), total, 5)
            self.assertAlmostEqual(result["prompt_tokens_per_second"]["all"][0] * first, result["tokens"], 3)
            self.assertTrue(0 < result["computing_share"]["median"] <= 1.01)
            self.assertGreaterEqual(result["call_overhead_seconds"]["min"], 0)
        summary, = document["scenarios"]
        self.assertEqual([entry["prompt"] for entry in summary["prompt_scaling"]], [16, 64])
        self.assertGreaterEqual(summary["generation_variation"], 0)
        text = self.succeed("bench", "-m", tiny(), "--scenario", "S1,S2", "-r", "1", "-t", "1").decode()
        self.assertIn("varies by", text)

    def test_the_forward_pass_alone(self):
        forward, generation = self.document("--batch", "3", "--seq-length", "8", "--warmup-steps", "1", "--benchmark-steps",
                                            "4", "--gen-input", "4", "--gen-output", "5", "--gen-iterations", "2")["results"]
        self.assertEqual((forward["test"], forward["batch"], forward["tokens"]), ("fw3x8", 3, 8))
        self.assertEqual(len(forward["samples_per_second"]["all"]), 4)
        self.assertAlmostEqual(forward["tokens_per_second"]["max"] / forward["samples_per_second"]["max"], 8, 6)
        self.assertEqual((generation["test"], len(generation["total_seconds"]["all"])), ("4+5", 2))
        self.assertIn("samples/s", self.succeed("bench", "-m", tiny(), "--batch", "2", "--seq-length", "4", "--warmup-steps",
                                                "1", "--benchmark-steps", "1").decode())

    def test_the_table_of_bitnet_cpps_script(self):
        lines = self.succeed("bench", "-m", tiny(), "-p", "4,8", "-n", "2,3", "-t", "1", "-r", "2", "-o", "e2e").decode()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]
        self.assertEqual(rows[0], "model size params backend threads n_batch pp tg pp(t/s) tg(t/s)".split())
        self.assertEqual([(row[6], row[7]) for row in rows[2:]], [("4", "2"), ("4", "3"), ("8", "2"), ("8", "3")])
        for row in rows[2:]:
            self.assertRegex(row[8], r"^\d+\.\d\d ± \d+\.\d\d$")
        self.assertEqual(len({len(line) for line in lines.splitlines()}), 1, "columns are aligned")

    def test_all_is_what_a_report_shows(self):
        document = json.loads(self.succeed("bench", "-m", tiny(), "--all", "-p", "4,8", "-n", "2", "-t", "1,2", "-r", "1",
                                           "--warmup", "1", "--scenario", "S1,S2", "--seq-length", "4", "-o", "json"))
        self.assertEqual([(result["test"], result["threads"]) for result in document["results"]],
                         [("pp4", 1), ("pp8", 1), ("tg2", 1), ("pp4", 2), ("pp8", 2), ("tg2", 2), ("S1", 2), ("S2", 2),
                          ("fw4x4", 2), ("tg32x1", 2), ("tg32x2", 2), ("tg32x4", 2), ("tg32x8", 2)])
        self.assertEqual(len(document["advice"]), 1)
        self.assertIn("reading_share", document["results"][2])

    def test_threads_get_advice(self):
        document = json.loads(self.succeed("bench", "-m", tiny(), "-p", "4", "-n", "2", "-r", "1", "-t", "1,2", "--sweep",
                                           "-o", "json"))
        self.assertRegex(document["advice"][0], r"prompts are best with [12] thread.*generation with [12] thread")
        swept = json.loads(self.succeed("bench", "-m", tiny(), "-p", "4", "-n", "0", "-r", "1", "--sweep", "-o", "json"))["results"]
        self.assertEqual(swept[0]["threads"], 1)
        self.assertEqual(swept[-1]["threads"], max(result["threads"] for result in swept))
        self.assertEqual(self.document("-p", "4", "-n", "0", "-r", "1")["advice"], [])

    def test_parts_are_compared_in_turn(self):
        document = self.document("-p", "8", "-n", "4", "-r", "6", "--compare", "--name plain", "--compare",
                                 "--name slow --isa scalar", "--compare", "--kv int8")
        comparison = document["comparison"]
        self.assertEqual(comparison["config"], {"baseline": "plain", "confidence": 0.99, "rounds": 6})
        self.assertEqual([part["name"] for part in comparison["parts"]], ["slow", "--kv int8"])
        self.assertEqual({result["part"] for result in document["results"]}, {"plain", "slow", "--kv int8"})
        for part in comparison["parts"]:
            self.assertEqual([test["test"] for test in part["tests"]], ["pp8", "tg4"])
            self.assertEqual(part["memory_reduction_mb"], 0)
            for test in part["tests"]:
                self.assertEqual((len(test["baseline"]), len(test["candidate"])), (6, 6))
                self.assertTrue(test["low"] <= test["ratio"] <= test["high"])
                holds = test["low"] <= 1 <= test["high"]
                self.assertEqual(test["verdict"] == "no difference", holds)
                self.assertTrue(holds or test["verdict"] == ("faster" if test["ratio"] > 1 else "slower"))
            prompt, generation = part["tests"]
            self.assertAlmostEqual(part["speedup"], (prompt["ratio"] * generation["ratio"]) ** 0.5, 6)
            self.assertAlmostEqual(part["first_token_speedup"], prompt["ratio"], 6)
            self.assertAlmostEqual(part["latency_reduction_percent"], 100 * (1 - 1 / generation["ratio"]), 6)
            self.assertAlmostEqual(part["time_reduction_percent"], 100 * (1 - 1 / part["speedup"]), 6)
        self.assertIn("verdict", self.succeed("bench", "-m", tiny(), "-p", "4", "-n", "0", "-r", "2", "-t", "1", "--compare", "",
                                              "--compare", "--kv int8").decode().splitlines()[0])

    def peer(self, rate):
        """A program that writes what llama-bench writes, with a warning before it as some forks do."""
        llama = FOLDER / f"llama-bench-{rate}"
        llama.write_text(f"#!/bin/sh\nprintf 'warning: x\\n[\\n {{\"avg_ts\": {rate}, \"model_filename\": \"%s\", "
                         "\"model_type\": \"tiny\"}\\n]\\n' \"$2\"\n")
        llama.chmod(llama.stat().st_mode | stat.S_IXUSR)
        return llama

    def test_a_verdict_says_which_is_slower(self):
        parts = [option for rate in (100, 95, 100, 120) for option in ("--compare", f"--llama-bench '{self.peer(rate)}'")]
        document = self.document("-p", "8", "-n", "0", "-r", "5", *parts)
        tests = [part["tests"][0] for part in document["comparison"]["parts"]]
        self.assertEqual([test["verdict"] for test in tests], ["slower", "no difference", "faster"])
        for test, ratio in zip(tests, (0.95, 1, 1.2)):
            self.assertAlmostEqual(test["ratio"], ratio, 9)
            self.assertAlmostEqual(test["low"], ratio, 9)
            self.assertAlmostEqual(test["high"], ratio, 9)

    def test_other_programs_take_part(self):
        llama = self.peer(12.5)
        document = self.document("-p", "8", "-n", "0", "-r", "2", "--compare", f"--program '{PROGRAM}' --name build",
                                 "--compare", f"--llama-bench '{llama}' --name peer")
        build, peer = document["results"]
        self.assertEqual((build["part"], build["path"], build["packing"]), ("build", str(tiny()), "i2"))
        self.assertGreater(build["process"]["peak_bytes"], 0)
        self.assertEqual((peer["part"], peer["tokens_per_second"]["all"]), ("peer", [12.5, 12.5]))
        common = ["-m", tiny(), "-p", "8", "-n", "0", "-r", "1", "--compare", ""]
        self.fail(FAILURE, *common, "--compare", "--program /no/bitnet", words=["/no/bitnet"])
        self.fail(FAILURE, *common, "--compare", "--program false", words=["status 1"])
        self.fail(FAILURE, *common, "--compare", "--program echo", words=["JSON"])

    def test_what_cannot_be_compared_is_refused(self):
        common = ["-m", tiny(), "-p", "8", "-n", "0", "-r", "1"]
        self.fail(USAGE, *common, "--compare", "", words=["two or more"])
        self.fail(USAGE, *common, "--compare", "", "--compare", "--no-such", words=["--no-such"])
        self.fail(USAGE, *common, "--compare", "", "--compare", "--kv f8", words=["f8"])
        self.fail(USAGE, *common, "--scenario", "S1", "--compare", "", "--compare", "", words=["not scenarios"])
        self.fail(USAGE, *common, "-t", "1,2", "--compare", "", "--compare", "", words=["one number of threads"])

    def test_bad_input_is_named(self):
        self.fail(USAGE, "-m", gguf(context=512), "-p", "513", words=["pp513", "513", "context", "512", str(gguf())])
        self.fail(USAGE, "-m", gguf(context=512), "--scenario", "S5", words=["S5", "1024"])
        document = json.loads(self.succeed("bench", "-m", gguf(context=32), "--scenario", "all", "-r", "1", "--warmup", "1", "-t", "1",
                                           "-o", "json"))
        self.assertEqual([result["test"] for result in document["results"]], ["S1"])
        self.assertTrue(any("S5 is left out" in line for line in document["notes"]))
        self.fail(USAGE, "-m", tiny(), "--scenario", "S7", words=["S7"])
        self.fail(USAGE, "-m", tiny(), "--batch", "0", words=["--batch"])
        huge = FOLDER / "huge.bitnet"
        with open(huge, "wb") as file:
            file.truncate(1 << 42)  # takes no space
        self.fail(FAILURE, "-m", huge, words=[str(huge), "are missing"])
        self.fail(FAILURE, "-m", "/no/such.bitnet", "--report", "/no/folder/report.html", words=["/no/folder/report.html"])

    def test_energy_is_measured_or_said_to_be_missing(self):
        document = self.document("-p", "4", "-n", "2", "-r", "1", "--energy")
        measured = ["joules_per_token" in result for result in document["results"]]
        if document["energy"]["source"]:
            self.assertTrue(all(measured))
        else:
            self.assertFalse(any(measured))
            self.assertTrue(any("no energy was measured" in line for line in document["notes"]))
            self.assertNotIn("J/token", self.succeed("bench", "-m", tiny(), "-p", "4", "-n", "0", "-r", "1", "--energy").decode())

    def test_a_report_that_cannot_be_made_leaves_its_data_and_says_how(self):
        page = FOLDER / "page.html"
        self.fail(FAILURE, "-m", tiny(), "-p", "4", "-n", "0", "-r", "1", "--report", page,
                  words=["page.json", 'pip install "libbitnet[report]"'], env=environment(BITNET_PYTHON="false"))
        self.assertEqual(json.loads(page.with_suffix(".json").read_text())["schema"], "bitnet-bench")


if __name__ == "__main__":
    unittest.main()
