# SPDX-License-Identifier: MIT
"""`bitnet run` continues texts as its options say."""
import shutil
import subprocess
import unittest

from program import FOLDER, PROGRAM, SUCCESS, bitnet, environment, gguf, tiny


class Generation(unittest.TestCase):
    def run_text(self, *arguments, model=None, **others):
        done = bitnet("run", "-m", model or gguf(), "--seed", "7", *arguments, **others)
        self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
        return done.stdout

    def test_the_same_seed_gives_the_same_text(self):
        one = self.run_text("-p", "Once", "-n", "20")
        self.assertEqual(one, self.run_text("-p", "Once", "-n", "20", "-t", "2"))
        other = bitnet("run", "-m", gguf(), "-p", "Once", "-n", "20", "--seed", "8").stdout
        self.assertNotEqual(one, other)

    def test_the_closing_line_tells_speed_and_seed(self):
        done = bitnet("run", "-m", gguf(), "-p", "Once", "-n", "5")
        self.assertRegex(done.stderr.decode(), r"^prompt \d+ tokens, [\d.]+ tokens/s; generation \d+ tokens, "
                         r"[\d.]+ tokens/s; seed \d+; \w+\n$")
        seed = done.stderr.decode().split("seed ")[1].split(";")[0]
        again = bitnet("run", "-m", gguf(), "-p", "Once", "-n", "5", "--seed", seed)
        self.assertEqual(again.stdout, done.stdout)

    def test_quiet_writes_nothing_but_text(self):
        self.assertEqual(bitnet("run", "-q", "-m", gguf(), "-p", "Once", "-n", "5").stderr, b"")

    def test_the_prompt_is_shown_unless_told_not_to(self):
        whole = self.run_text("-p", "Once", "-n", "9")
        self.assertTrue(whole.startswith(b"Once"))
        self.assertEqual(self.run_text("-p", "Once", "-n", "9", "--no-display-prompt"), whole[4:])

    def test_the_prompt_comes_from_option_file_or_standard_input(self):
        path = FOLDER / "prompt.txt"
        path.write_bytes("Ein Prompt – mit Zeichen\n".encode())
        expected = self.run_text("-p", "Ein Prompt – mit Zeichen", "-n", "5")
        self.assertEqual(self.run_text("-f", path, "-n", "5"), expected)
        self.assertEqual(self.run_text("-n", "5", stdin=path.read_bytes()), expected)

    def test_prompts_are_taken_as_they_are(self):
        for prompt in ("[a,b]", "-x", "--help", "a=b", "{}", '"quoted"', "a\\nb"):
            with self.subTest(prompt):
                self.assertTrue(self.run_text("-p", prompt, "-n", "1").startswith(prompt.encode()))
        self.assertTrue(self.run_text("-e", "-p", "a\\nb\\\\", "-n", "1").startswith(b"a\nb\\"))

    def test_without_a_prompt_the_model_begins(self):
        self.assertGreater(len(self.run_text("-n", "20", "--ignore-eos")), 1)

    def test_n_bounds_the_text(self):
        # One token is one byte here; a byte that begins a character may come out later, as U+FFFD.
        greedy = self.run_text("-p", "Once", "--temp", "0", "-n", "6", "--ignore-eos", "--no-display-prompt")
        longer = self.run_text("-p", "Once", "--temp", "0", "-n", "12", "--ignore-eos", "--no-display-prompt")
        self.assertLess(len(greedy), len(longer))

    def test_minus_one_fills_the_context(self):
        done = bitnet("run", "-m", gguf(), "-p", "Once", "-n", "-1", "-c", "32", "--ignore-eos")
        self.assertEqual(done.returncode, SUCCESS)
        self.assertIn(b"the context of 32 tokens is full; -c", done.stderr)

    def test_stop_ends_before_its_text(self):
        only_a_and_b = [f"--logit-bias={token}-inf" for token in range(261) if token not in (5 + ord("a"), 5 + ord("b"))]
        options = ["-p", "x", "-n", "60", "--ignore-eos", "--no-display-prompt", "--temp", "9", *only_a_and_b]
        free = self.run_text(*options)
        self.assertEqual(set(free), set(b"ab\n"))
        self.assertGreater(free.index(b"b"), 0)
        self.assertEqual(self.run_text(*options, "--stop", "b"), free[:free.index(b"b")] + b"\n")

    def test_every_sampling_option_is_understood(self):
        plain = self.run_text("-p", "Once", "-n", "30", "--ignore-eos")
        for option in (["--temp", "2"], ["--top-k", "2"], ["--top-p", "0.2"], ["--min-p", "0.9"],
                       ["--repeat-penalty", "3"], ["--presence-penalty", "2"], ["--frequency-penalty", "2"]):
            with self.subTest(option[0]):
                self.assertNotEqual(self.run_text("-p", "Once", "-n", "30", "--ignore-eos", *option), plain)

    def test_paths_may_be_any_utf8(self):
        model = FOLDER / "mödel – 模型 🙂.bitnet"
        shutil.copy(tiny(), model)
        self.run_text("-p", "x", "-n", "1", model=model)

    def test_the_environment_names_a_model(self):
        done = bitnet("run", "-p", "Once", "-n", "5", "--seed", "7", env=environment(BITNET_MODEL=str(gguf())))
        self.assertEqual(done.stdout, self.run_text("-p", "Once", "-n", "5"))

    def test_a_moved_program_says_where_it_looks_for_its_model(self):
        moved = FOLDER / "moved" / "bin" / "bitnet"
        moved.parent.mkdir(parents=True)
        shutil.copy(PROGRAM, moved)
        done = subprocess.run([moved, "run"], stdin=subprocess.DEVNULL, capture_output=True, env=environment())
        self.assertEqual(done.returncode, 2)
        self.assertIn(str(FOLDER / "moved" / "share"), done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
