# SPDX-License-Identifier: MIT
"""Lines typed or pasted into a terminal arrive whole, look right, and leave the terminal as it was."""
import json
import os
import random
import re
import signal
import termios
import unittest

from program import FAILURE, FOLDER, INTERRUPTED, SUCCESS, TEMPLATE, bitnet, gguf
from terminal import CTRL_C, CTRL_D, PROMPT, Screen, Terminal

LEFT, RIGHT, UP, DOWN, HOME, END, DELETE = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B", "\x1b[H", "\x1bOF", "\x1b[3~"
BACKSPACE, ERASE_LINE, ERASE_WORD, ERASE_REST, ESCAPE = "\x7f", "\x15", "\x17", "\x0b", "\x1b"


def pasted(text):
    return "\x1b[200~" + text.replace("\n", "\r") + "\x1b[201~"


class Typing(unittest.TestCase):
    def start(self, **others):
        terminal = Terminal("chat", "-m", gguf(TEMPLATE, 65536), "-n", "1", **others)
        terminal.expect(PROMPT)
        return terminal

    def entered(self, keys, **others):
        """The system message that the keys enter: it needs no reply."""
        path = FOLDER / "typed.json"
        path.unlink(missing_ok=True)
        terminal = self.start(**others)
        terminal.type("/system ")
        terminal.type(keys)
        terminal.type("\r")
        terminal.expect(PROMPT)
        terminal.type(f"/save {path}\r")
        terminal.expect("messages saved")
        terminal.type(CTRL_D)
        self.assertEqual(terminal.end(), SUCCESS)
        return json.loads(path.read_text())["messages"][0]["content"]

    def test_a_line_of_any_length_arrives_whole(self):
        text = "".join(f"{i} häufig 模型 " for i in range(6000)) + "and the question at its end?"
        self.assertGreater(len(text.encode()), 100000)
        self.assertEqual(self.entered(text), text)
        self.assertEqual(self.entered(pasted(text)), text)

    def test_a_paste_of_several_lines_is_one_message(self):
        self.assertEqual(self.entered(pasted("one\ntwo\n\nthree \\") + " end"), "one\ntwo\n\nthree \\ end")
        self.assertEqual(self.entered("\x1b[200~one\r\ntwo\x1b[201~"), "one\ntwo")
        self.assertEqual(self.entered("one\x1b\rtwo"), "one\ntwo")

    def test_lines_that_come_at_once_are_read_one_by_one(self):
        path = FOLDER / "lines.json"
        terminal = self.start()
        terminal.type(f"/system one\r/save {path}\n/quit\r")
        self.assertEqual(terminal.end(), SUCCESS)
        self.assertEqual(json.loads(path.read_text())["messages"], [{"role": "system", "content": "one"}])

    def test_keys_edit(self):
        for keys, text in (("abc" + BACKSPACE, "ab"), ("模型" + BACKSPACE, "模"), ("x🙂" + BACKSPACE, "x"),
                           ("xe\u0301" + BACKSPACE, "x"), ("one two  " + ERASE_WORD, "one"),
                           ("one two" + ESCAPE + BACKSPACE, "one"), ("acd" + LEFT * 2 + "b", "abcd"),
                           ("模型" + LEFT * 2 + RIGHT + "x", "模x型"), ("abcd" + LEFT * 2 + DELETE, "abd"),
                           ("abcd" + LEFT * 2 + BACKSPACE + CTRL_D, "ad"), ("abcd" + LEFT * 2 + ERASE_REST, "ab"),
                           ("bad" + ERASE_LINE + "/system good", "good"), ("b" + HOME + END + "c", "bc"),
                           ("a\tb", "a\tb")):
            with self.subTest(keys):
                self.assertEqual(self.entered(keys), text)

    def test_keys_without_a_meaning_type_nothing(self):
        for keys in ("\x1b[15~", "\x1bOP", "\x1b[1;5A\x1b[B", "\x1bx", "\x07", "\x00", DOWN):
            with self.subTest(keys):
                self.assertEqual(self.entered("a" + keys + "b"), "ab")

    def test_a_byte_that_is_no_utf8_is_kept(self):
        path = FOLDER / "bytes.json"
        terminal = self.start()
        terminal.type(b"/system a\xffb\r")
        terminal.expect("not valid UTF-8 from byte 9 on")
        terminal.type(f"/save {path}\r")
        terminal.expect("U\\+FFFD")
        terminal.type(CTRL_D)
        self.assertEqual(terminal.end(), SUCCESS)
        self.assertEqual(json.loads(path.read_text())["messages"][0]["content"], "a\ufffdb")

    def test_no_bytes_do_harm(self):
        for seed in range(10):
            random_bytes = random.Random(seed)
            harmless = [byte for byte in range(256) if byte not in b"\x03\x04\x13\x1a\x1c\r\n"] + [0x1b] * 9 + list(b"[200~") * 2
            terminal = self.start(columns=20 + seed)
            terminal.type(bytes(random_bytes.choices(harmless, k=1000)))
            terminal.type("\x1b[200~\x1b[201~" + END + ERASE_LINE + "/quit\r")
            self.assertEqual(terminal.end(), SUCCESS)

    def test_earlier_lines_come_back(self):
        terminal = self.start()
        terminal.type("/nowhere\r")
        terminal.expect("there is no command /nowhere")
        terminal.expect(PROMPT)
        terminal.type("draft" + UP + UP + BACKSPACE * 7 + "help\r")
        terminal.expect("/reset")
        terminal.expect(PROMPT)
        terminal.type("draft" + UP + UP + DOWN + DOWN + ERASE_LINE + "/quit\r")
        self.assertEqual(terminal.end(), SUCCESS)

    def test_interrupting_drops_the_line_only(self):
        terminal = self.start()
        terminal.type("unfinished")
        terminal.expect("unfinished")
        terminal.type(CTRL_C)
        terminal.expect("once more")
        terminal.expect(PROMPT)
        terminal.type("/quit\r")
        self.assertEqual(terminal.end(), SUCCESS)

    def test_a_terminal_without_a_cursor_is_enough(self):
        self.assertEqual(self.entered("abx" + BACKSPACE + LEFT + "c\x1b[15~", TERM="dumb"), "abc")
        terminal = self.start(TERM="dumb")
        terminal.type("/quit\r")
        self.assertEqual(terminal.end(), SUCCESS)
        self.assertNotIn("\x1b", terminal.seen)


class Texts(unittest.TestCase):
    """Commands that read a text or tokens from standard input, where that is a terminal."""

    LINES = ["x" * 5000 + " end of one", "", "häufig 模型 " * 2000 + "end of two"]

    def typed(self, terminal, *steps):
        terminal.expect("Ctrl-D on a line of its own ends it")
        for step in steps:
            terminal.type(step)
        terminal.type(CTRL_D)
        code = terminal.end()
        self.assertTrue(terminal.was_given_back)
        self.assertEqual(code, SUCCESS, terminal.seen)
        return terminal.seen

    def tokens_of(self, *arguments):
        """The tokens of LINES, typed one by one into `bitnet tokenize`."""
        terminal = Terminal("tokenize", "-m", gguf(), "--ids", *arguments)
        seen = self.typed(terminal, *(line + "\r" for line in self.LINES))
        return [int(word) for word in re.split(r"\x1b\[\?2004l", seen)[-1].split()]

    def test_tokenize_reads_all_of_long_lines(self):
        text = "".join(line + "\n" for line in self.LINES)
        expected = [int(word) for word in bitnet("tokenize", "-m", gguf(), "--ids", stdin=text.encode()).stdout.split()]
        self.assertEqual(len(expected), len(text.encode()))
        self.assertEqual(self.tokens_of(), expected)
        self.assertEqual(self.tokens_of("-f", "-"), expected)

    def test_a_terminal_may_be_named(self):
        for name in ("/dev/stdin", "/dev/tty"):
            terminal = Terminal("tokenize", "-m", gguf(), "--json", "-f", name)
            terminal.expect(r"\x1b\[\?2004h")
            terminal.type("x" * 5000 + "\r" + CTRL_D)
            self.assertEqual(terminal.end(), SUCCESS)
            self.assertIn('"count": 5001,', terminal.seen)

    def test_run_reads_all_of_a_long_line(self):
        terminal = Terminal("run", "-m", gguf(None, 65536), "-n", "1", "-f", "-")
        self.assertIn("prompt 5,001 tokens", self.typed(terminal, "x" * 5000 + "\r"))

    def test_perplexity_reads_all_of_a_long_line(self):
        terminal = Terminal("perplexity", "-m", gguf(), "--json", "-f", "-")
        self.assertIn('"tokens": 5001,', self.typed(terminal, "x" * 5000 + "\r"))
        terminal = Terminal("perplexity", "-m", gguf(), "--json", "--tokens-file", "-")
        self.assertIn('"tokens": 3000,', self.typed(terminal, "[" + "70, " * 2999 + "70]\r"))

    def test_logits_read_all_of_a_long_line(self):
        terminal = Terminal("logits", "-m", gguf(None, 65536), "--tokens-file", "-", "-o", FOLDER / "typed.npy")
        self.assertIn("(3000, ", self.typed(terminal, "70 " * 3000 + "\r"))

    def test_a_paste_is_read_as_it_is(self):
        terminal = Terminal("tokenize", "-m", gguf(), "--json")
        self.assertIn('"count": 8,', self.typed(terminal, pasted("one\ntwo") + "\r"))

    def test_interrupting_ends(self):
        terminal = Terminal("tokenize", "-m", gguf())
        terminal.expect("Ctrl-D on a line")
        terminal.type("text")
        terminal.expect("text")
        terminal.type(CTRL_C)
        self.assertEqual(terminal.end(), INTERRUPTED)
        self.assertTrue(terminal.was_given_back)


class Looks(unittest.TestCase):
    """On a small screen: what is shown is what was typed, also after each edit."""

    def shown(self, *steps, rows=10, columns=20):
        terminal = Terminal("chat", "-m", gguf(TEMPLATE, 65536), "-q", rows=rows, columns=columns, NO_COLOR="1")
        screen = Screen(rows, columns)
        screen.feed(terminal.expect("> "))
        for step in steps:
            terminal.type(step)
        terminal.type("|")
        screen.feed(terminal.expect(r"\|"))
        os.kill(terminal.pid, signal.SIGKILL)
        os.waitpid(terminal.pid, 0)
        os.close(terminal.fd)
        return screen.lines()

    def test_long_lines_wrap(self):
        self.assertEqual(self.shown("/" + "a" * 40), ["> /" + "a" * 17, "a" * 20, "aaa|"])
        self.assertEqual(self.shown("/" + "a" * 16 + "模型模"), ["> /" + "a" * 16, "模型模|"])
        self.assertEqual(self.shown("/" + "a" * 17), ["> /" + "a" * 17, "|"])

    def test_erasing_goes_back_over_rows(self):
        self.assertEqual(self.shown("/" + "a" * 30, BACKSPACE * 20), ["> /" + "a" * 10 + "|"])
        self.assertEqual(self.shown("/" + "a" * 16 + "模型模", BACKSPACE * 3), ["> /" + "a" * 16 + "|"])
        self.assertEqual(self.shown("/" + "a" * 17 + "b", BACKSPACE * 3), ["> /" + "a" * 15 + "|"])
        self.assertEqual(self.shown("x" * 50, ERASE_LINE, "/x"), ["> /x|"])

    def test_inserting_moves_the_rest(self):
        self.assertEqual(self.shown("/" + "a" * 30, LEFT * 30, "bb", END), ["> /bb" + "a" * 15, "a" * 15 + "|"])
        self.assertEqual(self.shown("/" + "a" * 16, LEFT * 3, "模型模", END), ["> /" + "a" * 13 + "模型", "模aaa|"])

    def test_lines_of_a_paste_are_shown_as_lines(self):
        self.assertEqual(self.shown(pasted("/one\ntwo" + "o" * 17 + "\nthree")), ["> /one", "two" + "o" * 17, "three|"])
        self.assertEqual(self.shown(pasted("/one\ntwo\n\x1b]0;title\x07")), ["> /one", "two", "\ufffd]0;title\ufffd|"])

    def test_tabs_are_shown_as_columns(self):
        self.assertEqual(self.shown("/\ta\tb"), ["> /     a       b|"])

    def test_a_text_longer_than_the_screen_can_be_erased(self):
        self.assertEqual(self.shown("a" * 500, ERASE_LINE, "/x")[-1], "> /x|")


class GivenBack(unittest.TestCase):
    def start(self, *arguments, **others):
        terminal = Terminal("chat", "-m", gguf(TEMPLATE, 65536), *arguments, **others)
        terminal.expect(PROMPT)
        self.assertFalse(terminal.edits_lines_itself())
        return terminal

    def check(self, terminal, code):
        self.assertEqual(terminal.end(), code)
        self.assertTrue(terminal.was_given_back)
        self.assertGreater(terminal.seen.rfind("\x1b[?2004l"), terminal.seen.rfind("\x1b[?2004h"))

    def test_at_the_end(self):
        for keys in ("/quit\r", CTRL_D):
            terminal = self.start()
            terminal.type(keys)
            self.check(terminal, SUCCESS)

    def test_after_interrupts(self):
        terminal = self.start()
        terminal.type(CTRL_C)
        terminal.expect("once more")
        terminal.expect(PROMPT)
        terminal.type(CTRL_C)
        self.check(terminal, SUCCESS)

    def test_when_a_signal_ends_the_program(self):
        ends = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT]
        if not os.environ.get("BITNET_SANITIZE"):  # the address sanitizer ends the program in its own way
            ends.append(signal.SIGSEGV)
        for end in ends:
            with self.subTest(end):
                terminal = self.start()
                terminal.type("text")
                terminal.expect("text")
                os.kill(terminal.pid, end)
                self.check(terminal, -end)

    def test_when_a_signal_ends_a_reply(self):
        terminal = self.start("--ignore-eos")
        terminal.type("one\r")
        terminal.expect(r"one\r\n(?s:.{20})")
        self.assertFalse(terminal.edits_lines_itself())
        os.kill(terminal.pid, signal.SIGTERM)
        self.check(terminal, -signal.SIGTERM)

    def test_after_a_failure(self):
        terminal = Terminal("chat", "-m", "/nowhere.bitnet")
        self.check(terminal, FAILURE)

    def test_while_the_program_is_stopped(self):
        terminal = self.start(shell=stop_and_go_on)
        terminal.type("/system kept")
        terminal.expect("kept")
        terminal.type("\x1a")
        terminal.expect(r"\x1b\[\?2004l")
        terminal.expect("stopped, the terminal edits: True")
        terminal.expect(r"\x1b\[\?2004h")
        terminal.expect("/system kept")
        self.assertFalse(terminal.edits_lines_itself())
        terminal.type("/nd\r/quit\r")
        self.check(terminal, SUCCESS)

    def test_where_nothing_can_be_stopped(self):
        terminal = self.start()
        terminal.type("kept")
        terminal.expect("kept")
        terminal.type("\x1a")
        terminal.expect("kept")
        self.assertFalse(terminal.edits_lines_itself())
        terminal.type(ERASE_LINE + "/quit\r")
        self.check(terminal, SUCCESS)

    def test_the_line_is_drawn_again_in_the_midst_of_input(self):
        # Each time the program waits for the rest of what has begun: a paste, a character.
        for begun, rest in ((b"\x1b[200~pas", b"ted\x1b[201~"), ("ü".encode()[:1], "ü".encode()[1:])):
            with self.subTest(begun):
                terminal = self.start()
                terminal.type(b"/kept" + begun)
                terminal.expect("/kept")
                os.kill(terminal.pid, signal.SIGTSTP)  # which nothing stops here
                terminal.expect(r"> \S*/kept")
                terminal.type(rest)
                terminal.expect("pasted" if b"pas" in begun else "ü")
                terminal.type(ERASE_LINE + "/quit\r")
                self.check(terminal, SUCCESS)


def stop_and_go_on(start):
    """What a shell does: runs the program as a job of its own, and brings it back when it was stopped."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    waiting, ready = os.pipe()
    job = os.fork()
    if job == 0:
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.setpgid(0, 0)
        os.read(waiting, 1)
        start()
    os.setpgid(job, job)
    os.tcsetpgrp(0, job)
    os.write(ready, b"x")
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            os._exit(os.waitstatus_to_exitcode(status) & 255)
        os.tcsetpgrp(0, os.getpgrp())
        edits = termios.tcgetattr(0)[3] & termios.ICANON != 0
        os.write(1, f"stopped, the terminal edits: {edits}\n".encode())
        os.tcsetpgrp(0, job)
        os.kill(job, signal.SIGCONT)


if __name__ == "__main__":
    unittest.main()
