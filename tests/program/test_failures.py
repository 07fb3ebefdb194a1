# SPDX-License-Identifier: MIT
"""Whatever goes wrong ends with the documented exit code and one line that a person can act on."""
import math
import os
import resource
import signal
import struct
import subprocess
import unittest

from program import FAILURE, FOLDER, INTERRUPTED, PROGRAM, SUCCESS, USAGE, bitnet, environment, gguf, hf_folder, tiny

COMMANDS_WITH_A_MODEL = {
    "run": ["-p", "x", "-n", "1"],
    "chat": [],
    "info": [],
    "tokenize": ["x"],
    "logits": ["--tokens", "1", "-o", FOLDER / "failed.npy"],
    "perplexity": ["-f", __file__],
    "bench": ["-p", "1", "-n", "0", "-r", "1"],
}


class Failures(unittest.TestCase):
    def fail(self, code, *arguments, words=(), **others):
        done = bitnet(*arguments, **others)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("bitnet: "), lines[0])
        for word in words:
            self.assertIn(str(word), lines[0])

    def test_a_missing_model_is_named(self):
        for command, rest in COMMANDS_WITH_A_MODEL.items():
            with self.subTest(command):
                self.fail(FAILURE, command, "-m", "/no/such.bitnet", *rest, words=["/no/such.bitnet"])
        self.fail(FAILURE, "verify", "/no/such.bitnet", words=["/no/such.bitnet"])
        self.fail(FAILURE, "convert", "/no/such.gguf", FOLDER / "out.bitnet", words=["/no/such.gguf"])

    def test_what_is_no_model_is_refused(self):
        path = FOLDER / "text.bitnet"
        path.write_text("Once upon a time " * 100)
        for command, rest in COMMANDS_WITH_A_MODEL.items():
            with self.subTest(command):
                self.fail(FAILURE, command, "-m", path, *rest, words=[path])

    def test_damage_that_opening_finds_is_told_with_the_file(self):
        path = FOLDER / "no-number.bitnet"
        bitnet("convert", gguf(), path)
        data = path.read_bytes()
        norm = data.index(struct.pack("<f", 1) * 256)
        path.write_bytes(data[:norm] + struct.pack("<f", math.nan) + data[norm + 4:])
        self.fail(FAILURE, "info", path, words=[f"{path}: tensor ", "column 0 is no finite number"])

    def test_an_unknown_kernel_set_is_refused_by_name_with_those_there_are(self):
        for command, rest in COMMANDS_WITH_A_MODEL.items():
            if command == "tokenize":
                continue
            with self.subTest(command):
                done = bitnet(command, "-m", tiny(), "--isa", "altivec", *rest)
                self.assertIn(done.returncode, (FAILURE, USAGE))
                self.assertIn("altivec", done.stderr.decode())
                self.assertIn("scalar", done.stderr.decode())
        done = bitnet("run", "-m", tiny(), "-p", "x", env=environment(BITNET_ISA="altivec"))
        self.assertIn(done.returncode, (FAILURE, USAGE))
        self.assertIn("altivec", done.stderr.decode())

    def test_wrong_usage_is_told_apart(self):
        for arguments in (["frobnicate"], ["--frob"], ["run", "--frob"], ["run", "-n", "many"], ["run", "-n", "0"],
                          ["run", "-n", "-2"], ["run", "-p", "a", "-f", "b"], ["convert", "only-one"],
                          ["convert", "a", "b", "--packing", "i3"], ["dummy", "x.bitnet"], ["bench", "-o", "xml"],
                          ["logits", "--tokens", "1 two", "-m", tiny(), "-o", FOLDER / "x.npy"],
                          ["run", "-m", tiny(), "-p", "x", "--temp", "-1"],
                          ["run", "-m", tiny(), "-p", "x", "--logit-bias", "many"],
                          ["run", "-m", tiny(), "-p", "x", "-t", "100000"]):
            with self.subTest(arguments):
                self.fail(USAGE, *arguments)

    def test_an_empty_name_of_a_file_is_no_name(self):
        """As of a variable of the shell that is not set."""
        for arguments in (["info", ""], ["verify", ""], ["convert", "", "out.bitnet"], ["convert", tiny(), ""],
                          ["dummy", "", "--size", "tiny"], ["run", "-m", "", "-p", "x"], ["bench", "-m", ""]):
            with self.subTest(arguments):
                self.fail(USAGE, *arguments, words=["empty"])

    def test_no_command_shows_the_help(self):
        done = bitnet()
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"Commands:", done.stderr)

    def test_an_unknown_dummy_size_lists_the_sizes(self):
        done = bitnet("dummy", FOLDER / "size.bitnet", "--size", "9B")
        self.assertNotEqual(done.returncode, SUCCESS)
        self.assertIn("2B-4T", done.stderr.decode())
        self.assertFalse((FOLDER / "size.bitnet").exists())

    def test_tokens_out_of_range_are_refused(self):
        out = FOLDER / "range.npy"
        self.fail(USAGE, "logits", "-m", gguf(), "--tokens", "1 261", "-o", out, words=["261"])
        self.assertFalse(out.exists())
        self.fail(USAGE, "tokenize", "-m", gguf(), "--decode", "999", words=["999"])

    def test_a_prompt_larger_than_the_context_says_how_large_both_are(self):
        self.fail(FAILURE, "run", "-m", gguf(), "-c", "16", "-p", "x" * 100, words=["16"], stdout=subprocess.DEVNULL)

    def test_a_full_disk_leaves_nothing_behind(self):
        folder = FOLDER / "full"
        folder.mkdir()

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

        for command in (["convert", gguf(), folder / "a.bitnet"], ["convert", hf_folder("hf-full"), folder / "d.bitnet"],
                        ["dummy", folder / "b.bitnet", "--size", "tiny"],
                        ["logits", "-m", gguf(), "--tokens", "1 " * 200, "-o", folder / "c.npy"]):
            with self.subTest(command[0]):
                self.fail(FAILURE, *command, words=[folder], preexec_fn=limit)
                self.assertEqual(list(folder.iterdir()), [])

    @unittest.skipIf(os.environ.get("BITNET_SANITIZE"), "sanitizers take terabytes of addresses")
    def test_too_little_memory_is_an_error_that_says_what_takes_less(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))

        for command in ("run", "chat"):
            with self.subTest(command):
                self.fail(FAILURE, command, "-m", gguf(), "-c", "1000000", "-t", "1", preexec_fn=limit,
                          words=["a session of 1000000 tokens", "GiB", "-c N", "--kv int8"])

    def test_a_folder_that_does_not_exist_is_named(self):
        self.fail(FAILURE, "convert", gguf(), "/no/such/folder/a.bitnet", words=["/no/such/folder"])

    def test_a_full_standard_output_is_an_error(self):
        with open("/dev/full", "wb") as full:
            for arguments in (["--help"], ["info", tiny()], ["run", "-q", "-m", tiny(), "-p", "x", "-n", "2"]):
                with self.subTest(arguments[0]):
                    self.fail(FAILURE, *arguments, stdout=full, words=["standard output"])

    def test_a_reader_that_leaves_is_no_trouble(self):
        for ignored in (False, True):
            with self.subTest(ignored=ignored):
                reading, writing = os.pipe()
                os.close(reading)
                done = bitnet("info", tiny(), stdout=writing, restore_signals=False, preexec_fn=lambda: signal.signal(
                    signal.SIGPIPE, signal.SIG_IGN if ignored else signal.SIG_DFL))
                os.close(writing)
                self.assertEqual(done.returncode, FAILURE if ignored else -signal.SIGPIPE)
                self.assertEqual(done.stderr, b"")

    def test_a_closed_standard_output_harms_no_file(self):
        out = FOLDER / "closed.bitnet"
        done = subprocess.run(["sh", "-c", '"$0" dummy "$1" --size tiny >&-', PROGRAM, out], env=environment(),
                              capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (SUCCESS, b""))
        self.assertEqual(bitnet("verify", out).returncode, SUCCESS)

    def test_interrupting_long_work_leaves_nothing_behind(self):
        folder = FOLDER / "interrupted"
        folder.mkdir()
        process = subprocess.Popen([PROGRAM, "dummy", str(folder / "large.bitnet"), "--size", "2B-4T"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        while process.poll() is None and not list(folder.iterdir()):
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertEqual(errors, b"")
        self.assertEqual(list(folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
