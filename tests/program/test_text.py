# SPDX-License-Identifier: MIT
"""Text from people arrives whole and unchanged, or they are told."""
import json
import os
import subprocess
import unittest

from program import FAILURE, FOLDER, PROGRAM, SUCCESS, TEMPLATE, USAGE, bitnet, environment, gguf

MARK = "\ufeff".encode()


class Text(unittest.TestCase):
    """What the prompt of `bitnet run` is, as the program shows it."""

    def run_prompt(self, *arguments, notes=(), **others):
        done = bitnet("run", "-m", gguf(), "-n", "1", "--temp", "0", "--logit-bias=70+1000", *arguments, **others)
        self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
        said = [line for line in done.stderr.decode().splitlines() if line.startswith("bitnet: note: ")]
        self.assertEqual(len(said), len(notes), said)
        for line, words in zip(said, notes):
            self.assertIn(words, line)
        self.assertTrue(done.stdout.endswith(b"A\n"))  # token 70, which the model always chooses
        return done.stdout[:-2]

    def every_way(self, data, expected, notes):
        """The text as a file and from a pipe, both as such and named "-"."""
        path = FOLDER / "prompt"
        path.write_bytes(data)
        for arguments, others in ((["-f", path], {}), ([], {"stdin": data}), (["-f", "-"], {"stdin": data})):
            self.assertEqual(self.run_prompt(*arguments, notes=notes, **others), expected)
            self.assertEqual(bitnet("run", "-q", "-m", gguf(), "-n", "1", *arguments, **others).stderr, b"")

    def refused(self, code, *arguments, words=(), **others):
        done = bitnet(*arguments, **others)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        self.assertEqual(len(done.stderr.decode().splitlines()), 1, done.stderr.decode())
        for word in words:
            self.assertIn(word, done.stderr.decode())
        self.assertEqual(done.stdout, b"")

    def test_a_byte_order_mark_is_left_out(self):
        self.every_way(MARK + b"Hi", b"Hi", ["byte order mark"])
        self.assertEqual(self.run_prompt("-p", "\ufeffHi", notes=["the prompt begins with a byte order mark"]), b"Hi")
        self.every_way(b"Hi" + MARK, b"Hi" + MARK, [])

    def test_only_one_byte_order_mark_is_left_out(self):
        self.every_way(MARK * 3 + b"Hi", MARK * 2 + b"Hi", ["byte order mark"])
        self.every_way("\ufeffHi".encode("utf-16"), MARK + b"Hi", ["is UTF-16"])

    def test_utf16_is_converted(self):
        text = "Größe 模型 🙂\r\nline"
        for encoding, told in (("utf-16", "is UTF-16"), ("utf-16-le", "looks like UTF-16"),
                               ("utf-16-be", "looks like UTF-16")):
            with self.subTest(encoding):
                latin = text if encoding == "utf-16" else "Grüße an alle, sagte sie 🙂\r\n\r\n"
                self.every_way(latin.encode(encoding) + "\n".encode(encoding)[-2:] * (encoding != "utf-16"),
                               latin.encode(), [told])
        self.every_way(b"\xfe\xff" + text.encode("utf-16-be"), text.encode(), ["is UTF-16"])

    def test_what_cannot_be_converted_is_refused(self):
        run = ["run", "-m", gguf(), "-n", "1"]
        self.refused(FAILURE, *run, stdin="Hi".encode("utf-32"), words=["UTF-32", "iconv"])
        self.refused(FAILURE, *run, stdin=b"\xff\xfea\0\0\xd8", words=["half a character at byte 4"])
        self.refused(FAILURE, *run, stdin=b"\xff\xfea\0\0\xdca\0", words=["half a character at byte 4"])
        self.refused(FAILURE, *run, stdin=b"\xff\xfea\0b", words=["half a character at byte 4"])

    def test_bytes_that_are_not_utf8_are_kept_and_told(self):
        self.every_way(b"h\xffi", b"h\xffi", ["not valid UTF-8 from byte 1 on"])
        self.assertEqual(self.run_prompt("-p", b"caf\xe9".decode(errors="surrogateescape"),
                                         notes=["not valid UTF-8 from byte 3 on"]), b"caf\xe9")

    def test_zero_bytes_and_line_ends_are_kept(self):
        self.every_way(b"a\0b\0\0c", b"a\0b\0\0c", [])
        self.every_way(b"one\r\ntwo\r", b"one\r\ntwo\r", [])
        self.every_way(b"one\rtwo\n\n", b"one\rtwo\n", [])
        self.every_way(b"one\r\n", b"one", [])

    def test_an_empty_prompt_is_a_prompt(self):
        self.assertEqual(self.run_prompt("-p", "", stdin=b"not read"), b"")
        self.assertEqual(self.run_prompt("--prompt=", stdin=b"not read"), b"")
        path = FOLDER / "empty"
        path.write_bytes(b"")
        self.assertEqual(self.run_prompt("-f", path, notes=["is empty"]), b"")

    def test_words_after_an_option_are_its_value(self):
        for prompt in ("-cnv", "-temp", "-sys", "--", "-n5", "--stop"):
            self.assertEqual(self.run_prompt("-p", prompt), prompt.encode())
        self.assertEqual(self.run_prompt("--prompt=-cnv"), b"-cnv")

    def test_a_value_does_not_silence_the_notes(self):
        for value in ("-q", "--quiet"):
            for arguments in (["-p", value], ["--prompt=" + value]):
                done = self.run_prompt(*arguments, "-ngl", "1", notes=["-ngl 1 has no effect"])
                self.assertEqual(done, value.encode())

    def test_an_error_comes_before_the_prompt_is_shown(self):
        self.refused(USAGE, "run", "-m", gguf(), "-p", "Once", "--top-p", "5", words=["top_p"])
        self.refused(FAILURE, "run", "-m", gguf(), "-p", "x" * 600, words=["601 tokens", "512"])

    def test_begin_and_end_tokens_are_not_doubled(self):
        def ids(*arguments):
            return bitnet("tokenize", "-m", gguf(), "--ids", *arguments).stdout.split()
        self.assertEqual(ids("--bos", "--special", "<|begin|>A"), [b"0", b"70"])
        self.assertEqual(ids("--bos", "--special", "<|begin|><|begin|>A"), [b"0", b"0", b"70"])
        self.assertEqual(ids("--bos", "--special", "A"), [b"0", b"70"])
        self.assertEqual(ids("--special", "A"), [b"70"])
        self.assertEqual(len(ids("--bos", "<|begin|>")), 10)
        for prompt, tokens in (("<|begin|>Hi", 3), ("Hi", 3), ("Hi<|end|>", 4)):
            done = bitnet("run", "-m", gguf(), "--special", "-p", prompt, "-n", "1")
            self.assertIn(f"prompt {tokens} tokens", done.stderr.decode())
        outs = [FOLDER / "one.npy", FOLDER / "two.npy"]
        for out, prompt in zip(outs, ("<|begin|>Hi", "Hi")):
            self.assertEqual(bitnet("logits", "-m", gguf(), "--special", "-p", prompt, "-o", out).returncode, SUCCESS)
        self.assertEqual(outs[0].read_bytes(), outs[1].read_bytes())
        path = FOLDER / "scored"
        scores = []
        for text in ("<|begin|>Hi there<|end|>", "Hi there"):
            path.write_text(text)
            done = bitnet("perplexity", "-m", gguf(), "--special", "--end-token", "--json", "-f", path)
            scores.append(json.loads(done.stdout)["loss"])
        self.assertEqual(scores[0], scores[1])

    def test_other_commands_read_text_likewise(self):
        expected = bitnet("tokenize", "-m", gguf(), "--ids", "Hi").stdout
        path = FOLDER / "marked"
        for data in (MARK + b"Hi", "Hi".encode("utf-16")):
            path.write_bytes(data)
            for arguments, others in ((["-f", path], {}), (["-f", "-"], {"stdin": data}), ([], {"stdin": data})):
                done = bitnet("tokenize", "-m", gguf(), "--ids", *arguments, **others)
                self.assertEqual(done.stdout, expected)
                self.assertIn(b"note: ", done.stderr)
            done = bitnet("perplexity", "-m", gguf(), "-f", path, "--json")
            self.assertEqual(json.loads(done.stdout)["tokens"], 2)
        path.write_bytes("[[1, 40, 41]]".encode("utf-16"))
        self.assertEqual(bitnet("perplexity", "-m", gguf(), "--tokens-file", path).returncode, SUCCESS)

    def test_no_tokens_are_not_an_empty_prompt(self):
        out = FOLDER / "none.npy"
        self.refused(USAGE, "logits", "-m", gguf(), "--tokens", "", "-o", out, words=["there are no tokens"])
        self.assertEqual(bitnet("logits", "-m", gguf(), "-p", "", "-o", out).returncode, SUCCESS)


class Messages(unittest.TestCase):
    """What the messages of `bitnet chat` are, as /save writes them."""

    def messages(self, data, *arguments, notes=0, model=None):
        path = FOLDER / "messages.json"
        path.unlink(missing_ok=True)
        model = model or gguf(TEMPLATE, 512)
        data += (f"/save {path}\n").encode("utf-16-le" if data.startswith(b"\xff\xfe") else "utf-8")
        done = bitnet("chat", "-m", model, "-n", "1", *arguments, stdin=data)
        self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
        self.assertEqual(done.stderr.decode().count("bitnet: note: "), notes, done.stderr.decode())
        return [m["content"] for m in json.loads(path.read_text())["messages"] if m["role"] != "assistant"]

    def test_lines_of_every_system(self):
        self.assertEqual(self.messages(b"one\r\ntwo\\\r\nthree\r\n"), ["one", "two\nthree"])
        self.assertEqual(self.messages(b"a\rb\na\0b\n"), ["a\rb", "a\0b"])

    def test_marks_and_encodings(self):
        self.assertEqual(self.messages(MARK + b"one\ntwo\n", notes=1), ["one", "two"])
        self.assertEqual(self.messages(b"\xff\xfe" + "Größe\r\nzwei\r\n".encode("utf-16-le"), notes=1), ["Größe", "zwei"])
        self.assertEqual(self.messages("one\n".encode(), "-sys", "\ufeffBe brief.", notes=1), ["Be brief.", "one"])

    def test_the_last_line_needs_no_newline(self):
        for data, message in ((b"one", b"one"), (b"one\\\n", b"one"), (b"one\\", b"one")):
            done = bitnet("chat", "-m", gguf(TEMPLATE, 512), "-n", "1", stdin=data)
            self.assertGreater(len(done.stdout), 0, data)

    def test_a_line_that_begins_with_a_space_is_no_command(self):
        self.assertEqual(self.messages(b" /etc/hosts\n"), [" /etc/hosts"])

    def test_a_folder_is_no_input(self):
        folder = os.open("/", os.O_RDONLY)
        done = subprocess.run([PROGRAM, "chat", "-m", gguf(TEMPLATE, 512)], stdin=folder, capture_output=True,
                              env=environment())
        os.close(folder)
        self.assertEqual(done.returncode, FAILURE)
        self.assertIn(b"cannot read standard input", done.stderr)

    def test_in_a_conversation_the_prompt_is_the_system_message(self):
        path = FOLDER / "system.txt"
        path.write_bytes(MARK + b"Be brief.\n")
        saved = FOLDER / "cnv.json"
        for arguments in (["-p", "Be brief."], ["-f", path], ["-sys", "Be brief."], ["-e", "-p", "Be\\x20brief."]):
            done = bitnet("run", "-cnv", "-m", gguf(TEMPLATE, 512), *arguments, stdin=f"/save {saved}\n".encode())
            self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
            content = json.loads(saved.read_text())["messages"][0]["content"]
            self.assertEqual(content, "Be\\x20brief." if "-e" in arguments else "Be brief.")
        done = bitnet("run", "-cnv", "-m", gguf(TEMPLATE, 512), "-p", "a", "-sys", "b", stdin=b"")
        self.assertEqual(done.returncode, USAGE)

    def test_escapes_are_read_in_the_system_message(self):
        self.assertEqual(self.messages(b"", "-e", "-sys", "a\\nb"), ["a\nb"])

    def test_what_saving_changes_is_told(self):
        path = FOLDER / "odd.json"
        done = bitnet("chat", "-m", gguf(TEMPLATE, 512), "-n", "1", stdin=f"/system a\udcffb\n/save {path}\n".encode(
            errors="surrogateescape"))
        self.assertIn(b"saved as U+FFFD", done.stderr)

    def test_input_is_read_in_blocks(self):
        size = 2 << 20
        process = subprocess.Popen([PROGRAM, "chat", "-m", gguf(TEMPLATE, 512)], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=environment())
        process.stdin.write(b" \n" * (size // 2) + b"/reset\n")
        process.stdin.flush()
        self.assertIn(b"begins anew", process.stderr.readline())
        with open(f"/proc/{process.pid}/io", encoding="ascii") as counters:
            reads = int(dict(line.split(": ") for line in counters)["syscr"])
        process.communicate()
        self.assertLess(reads, size // 100)

    def test_a_message_that_fits_no_context_is_an_error(self):
        done = bitnet("chat", "-q", "-m", gguf(TEMPLATE, 512), stdin=b"x y z " * 2000000 + b"\n")
        self.assertEqual(done.returncode, FAILURE)
        self.assertIn(b"the message of 120000", done.stderr)

    def test_as_few_old_messages_as_possible_are_forgotten(self):
        # Trying one after the other would take longer than the time limit.
        saved = FOLDER / "long.json"
        loaded = [{"role": ("user", "assistant")[i % 2], "content": f"message {i}"} for i in range(20001)]
        saved.write_text(json.dumps({"messages": loaded}))
        done = bitnet("chat", "-q", "-m", gguf(TEMPLATE, 512), "-n", "1",
                      stdin=f"/load {saved}\nthe last\n/save {saved}\n".encode())
        self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
        kept = json.loads(saved.read_text())["messages"]
        self.assertEqual((kept[-2]["content"], kept[0]["role"]), ("the last", "user"))
        def tokens(message):  # a byte each, and two of the template
            return len(message["content"]) + 2
        used = 1 + sum(map(tokens, kept[:-1]))
        self.assertLessEqual(used + 128, 512)
        self.assertGreater(used + 128 + 2 * tokens(loaded[-1]), 512)


class CommandLine(unittest.TestCase):
    def code(self, *arguments, words=(), code=SUCCESS):
        done = bitnet(*arguments)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        for word in words:
            self.assertIn(word, done.stderr.decode())
        return done

    def run_model(self, *arguments, **others):
        return self.code("run", "-m", gguf(), "-p", "Once", "-n", "3", *arguments, **others)

    def test_bitnet_cpps_run_inference(self):
        short = ["run", "-m", gguf(), "-p", "Once", "-n", "3", "-t", "1", "-c", "64", "-s", "1"]
        expected = self.code(*short, "--temp", "0.5").stdout
        self.assertEqual(self.code(*short, "-temp", "0.5").stdout, expected)
        self.assertEqual(self.code("run", "--model", gguf(), "--prompt", "Once", "--n-predict", "3", "--threads", "1",
                                   "--ctx-size", "64", "--temperature", "0.5", "--seed", "1").stdout, expected)
        for name in ("-cnv", "--conversation"):
            self.code("run", name, "-m", gguf(TEMPLATE, 512), "-p", "Be brief.")

    def test_128_tokens_are_written_by_default(self):
        done = self.code("run", "-m", gguf(), "-p", "Once", "--ignore-eos", words=["generation 128 tokens"])
        self.assertGreater(len(done.stdout), 4)

    def test_bitnet_cpps_e2e_benchmark(self):
        for arguments in (["-m", gguf(), "-n", "2", "-p", "3", "-t", "1"],
                          ["--model", gguf(), "--n-token", "2", "--n-prompt", "3", "--threads", "1"]):
            done = self.code("bench", "-r", "1", "-o", "json", *arguments)
            self.assertEqual([r["test"] for r in json.loads(done.stdout)["results"]], ["pp3", "tg2"])

    def test_what_their_scripts_pass_on(self):
        self.assertNotIn(b"note", self.run_model("-ngl", "0").stderr)
        self.run_model("-ngl", "99", words=["-ngl 99 has no effect"])
        self.run_model("-b", "1", "-ub", "8", "-cb", words=["-b 1 has no effect", "-ub 8 has", "-cb has no effect"])
        self.assertNotIn(b"note", self.run_model("-b", "1", "-q").stderr)
        self.code("bench", "-m", gguf(), "-p", "1", "-n", "0", "-r", "1", "-ngl", "0")
        self.code("bench", "-m", gguf(), "-p", "1", "-n", "0", "-ngl", "0", "-b", "1", "-ub=8", "-cb", "-r", "1",
                  words=["-b 1 has no effect", "-ub 8 has no effect", "-cb has no effect"])

    def test_unexpected_words_are_named_in_their_order(self):
        self.code("run", "-m", gguf(), "one", "--two", "three", code=USAGE, words=["not expected: one --two three"])
        self.code("bench", "-m", gguf(), "one", code=USAGE, words=["this argument was not expected: one"])

    def test_what_is_for_conversations_is_refused_outside(self):
        self.run_model("-sys", "Be brief.", code=USAGE, words=["--system is for conversations; add -cnv"])
        for option in ("--chat-template", "--chat-template-file"):
            self.run_model(option, "chatml", code=USAGE, words=[option, "for conversations; add -cnv"])
        self.run_model("-tb", "1", code=USAGE, words=["--generation-threads"])

    def test_a_word_with_one_dash_is_never_misread(self):
        for command in ("run", "chat", "bench", "perplexity", "tokenize", "logits", "info", "convert", "verify", "dummy"):
            for word in ("-temq", "-threads", "-ngx", "-mfile", "-xy", "-tx=4", "-nope", "-fa", "-vx", "-hx"):
                with self.subTest(command=command, word=word):
                    self.code(command, word, "0.5", code=USAGE, words=[f"there is no option {word}"])
        self.run_model("-stop", "x", code=USAGE, words=["write --stop"])
        self.run_model("-mfile", code=USAGE, words=["space"])
        self.assertEqual(self.code("run", "-qm", gguf(), code=USAGE).stdout, b"")

    def test_values_and_flags_may_be_joined(self):
        expected = self.run_model("-t", "1", "-s", "5", "-q").stdout
        self.assertEqual(self.code("run", "-m", gguf(), "-p", "Once", "-n3", "-t1", "-s5", "-qv").stdout, expected)
        done = self.code("bench", "-m", gguf(), "-p1,2", "-n0", "-t1", "-r1", "-o", "json")
        self.assertEqual([r["test"] for r in json.loads(done.stdout)["results"]], ["pp1", "pp2"])

    def test_values_may_stand_behind_an_equals_sign(self):
        run = ("run", "-m", gguf(), "-s", "5", "-q")
        expected = self.code(*run, "-p", "Once=", "-n", "3", "-temp", "0.5").stdout
        self.assertEqual(self.code(*run, "-p=Once=", "-n=3", "-temp=0.5").stdout, expected)
        self.run_model("-ngl=99", words=["-ngl 99 has no effect"])
        self.code("run", "-cnv", "-m", gguf(TEMPLATE, 512), "-sys=Be brief.")
        self.run_model("-temq=1", code=USAGE, words=["there is no option -temq=1"])
        self.run_model("-stop=x", code=USAGE, words=["write --stop"])

    def test_minus_one_is_a_random_seed(self):
        seeds = {self.run_model("--seed", "-1").stderr.decode().split("seed ")[1].split(";")[0] for _ in range(3)}
        self.assertGreater(len(seeds), 1)
        for seed in ("-2", "1.5", "", "18446744073709551616", "0x1"):
            self.run_model("--seed", seed, code=USAGE, words=["--seed"])
        done = bitnet("chat", "-q", "-m", gguf(TEMPLATE, 512), stdin=b"/seed -1\n/seed 5\n/seed -2\n")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"'-2'", done.stderr)

    def test_numbers_are_decimal_and_whole(self):
        for option, value in (("-t", "0x2"), ("-c", "1e3"), ("-c", " 5"), ("-c", "-1"), ("--temp", "nan"),
                              ("--temp", "inf"), ("--temp", "0,5"), ("--temp", "5x"), ("--temp", "1e400"),
                              ("--top-k", "2.5"), ("--top-k", ""), ("-c", "4294967296"), ("--temp", "")):
            with self.subTest(f"{option} {value}"):
                self.run_model(option, value, code=USAGE, words=["is not a"])
        self.assertEqual(self.code("bench", "-m", gguf(), "-p", "010", "-n", "0", "-r", "1", "-t", "1", "-o", "csv")
                         .stdout.count(b",pp10,"), 3)  # metrics
        self.run_model("-c", "0", "-t", "0", "--temp", "+0.5")

    def test_nothing_is_no_name_and_no_stop(self):
        for arguments in (["run", "-m", ""], ["run", "-f", ""], ["info", "-m", ""], ["tokenize", "-f", ""],
                          ["perplexity", "-f", ""], ["bench", "-m", ""], ["logits", "-p", "x", "-o", ""],
                          ["run", "--stop", ""], ["run", "--stop="]):
            with self.subTest(arguments):
                self.code(*arguments, code=USAGE, words=["empty"])

    def test_an_option_given_twice_is_refused(self):
        self.run_model("-p", "again", code=USAGE, words=["--prompt"])

    def test_stop_texts_are_taken_as_they_are(self):
        for stop in ("[a,b]", "a,b", "-n", "{}"):
            done = self.code("run", "-m", gguf(), "-p", "x", "-n", "1", "--logit-bias=70+1000", "--stop", stop)
            self.assertEqual(done.stdout, b"xA\n")


if __name__ == "__main__":
    unittest.main()
