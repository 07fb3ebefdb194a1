# SPDX-License-Identifier: MIT
"""A conversation keeps its history, its terminal manners, and itself when it is interrupted."""
import json
import re
import signal
import subprocess
import unittest

from program import FAILURE, FOLDER, PROGRAM, SUCCESS, TEMPLATE, USAGE, bitnet, environment, gguf
from terminal import CTRL_C, CTRL_D, PROMPT, Terminal


class Conversation(unittest.TestCase):
    def model(self, context=512):
        return gguf(TEMPLATE, context)

    def test_messages_and_replies_are_kept(self):
        saved = FOLDER / "conversation.json"
        lines = f"one\ntwo\\\nthree\n/save {saved}\n"
        done = bitnet("chat", "-m", self.model(), "-sys", "Be brief.", "-n", "5", "--seed", "1", stdin=lines.encode())
        self.assertEqual(done.returncode, SUCCESS, done.stderr)
        messages = json.loads(saved.read_text())["messages"]
        self.assertEqual([m["role"] for m in messages], ["system", "user", "assistant", "user", "assistant"])
        self.assertEqual([messages[i]["content"] for i in (0, 1, 3)], ["Be brief.", "one", "two\nthree"])
        self.assertIn(messages[2]["content"].encode(), done.stdout)

    def test_a_loaded_conversation_goes_on_as_the_saved_one(self):
        saved = FOLDER / "loaded.json"
        options = ["-m", self.model(), "-n", "8", "--temp", "0", "--ignore-eos"]
        first = bitnet("chat", *options, stdin=f"one\n/save {saved}\ntwo\n".encode())
        second = bitnet("chat", *options, stdin=f"/load {saved}\ntwo\n".encode())
        self.assertEqual(second.returncode, SUCCESS, second.stderr)
        reply = second.stdout
        self.assertGreater(len(reply), 1)
        self.assertTrue(first.stdout.endswith(reply))

    def test_run_cnv_is_the_same(self):
        options = ["-m", self.model(), "-n", "5", "--seed", "1"]
        self.assertEqual(bitnet("run", "-cnv", *options, stdin=b"one\n").stdout,
                         bitnet("chat", *options, stdin=b"one\n").stdout)

    def test_saving_replaces_nothing_but_conversations(self):
        path = FOLDER / "kept"
        for data in (b"GGUF\0model", b"", b"[]", b'{"messages": 1}', b'{"messages": [{"role": "user"}]}'):
            path.write_bytes(data)
            done = bitnet("chat", "-m", self.model(), stdin=f"/save {path}\n".encode())
            self.assertEqual(done.returncode, FAILURE)
            self.assertIn(f"{path} exists and is not a conversation; choose another name", done.stderr.decode())
            self.assertEqual(path.read_bytes(), data)
        path.unlink()
        done = bitnet("chat", "-m", self.model(), "-sys", "S", stdin=f"/save {path}\n/system T\n/save {path}\n".encode())
        self.assertEqual(done.returncode, SUCCESS, done.stderr.decode())
        self.assertEqual(json.loads(path.read_text())["messages"][0]["content"], "T")

    def test_reset_forgets(self):
        saved = FOLDER / "reset.json"
        bitnet("chat", "-m", self.model(), "-sys", "S", "-n", "2", stdin=f"one\n/reset\n/save {saved}\n".encode())
        self.assertEqual(json.loads(saved.read_text())["messages"], [{"role": "system", "content": "S"}])

    def test_retry_replaces_the_last_reply(self):
        saved = FOLDER / "retry.json"
        bitnet("chat", "-m", self.model(), "-n", "3", stdin=f"one\n/retry\n/save {saved}\n".encode())
        self.assertEqual([m["role"] for m in json.loads(saved.read_text())["messages"]], ["user", "assistant"])

    def test_an_unknown_command_is_refused(self):
        done = bitnet("chat", "-m", self.model(), stdin=b"/frob\n")
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"/frob", done.stderr)

    def test_old_messages_give_way_when_the_context_is_full(self):
        saved = FOLDER / "full.json"
        lines = "".join(f"message {i} of some length\n" for i in range(8)) + f"/save {saved}\n"
        done = bitnet("chat", "-m", self.model(128), "-sys", "S", "-n", "10", "--ignore-eos", stdin=lines.encode())
        self.assertEqual(done.returncode, SUCCESS, done.stderr)
        self.assertIn(b"oldest messages were forgotten", done.stderr)
        messages = json.loads(saved.read_text())["messages"]
        self.assertEqual(messages[0]["role"], "system")
        self.assertEqual(messages[-2]["content"], "message 7 of some length")
        self.assertLess(len(messages), 17)

    def test_a_message_larger_than_the_context_is_an_error(self):
        done = bitnet("chat", "-m", self.model(128), stdin=b"x" * 500 + b"\n")
        self.assertNotEqual(done.returncode, SUCCESS)
        self.assertIn(b"context of 128", done.stderr)

    def test_a_model_without_template_says_so_and_continues(self):
        done = bitnet("chat", "-m", gguf(), "-n", "5", stdin=b"Once\n\n")
        self.assertEqual(done.returncode, SUCCESS, done.stderr)
        self.assertIn(b"no chat template", done.stderr)
        self.assertGreater(len(done.stdout), 2)


class OnATerminal(unittest.TestCase):
    def start(self, *arguments, **env):
        terminal = Terminal("chat", "-m", gguf(TEMPLATE, 65536), *arguments, **env)
        terminal.expect(PROMPT)
        return terminal

    def test_interrupting_a_reply_keeps_the_conversation(self):
        saved = FOLDER / "interrupted.json"
        terminal = self.start("--ignore-eos")
        terminal.type("one\n")
        terminal.expect(r"one\r\n")
        terminal.expect(r"(?s).{20}")
        terminal.type(CTRL_C)
        terminal.expect(r"\(Stopped\.\)")
        terminal.expect(PROMPT)
        terminal.type(f"/save {saved}\n")
        terminal.expect("messages saved")
        terminal.expect(PROMPT)
        terminal.type("/quit\n")
        self.assertEqual(terminal.end(), SUCCESS)
        messages = json.loads(saved.read_text())["messages"]
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"])
        self.assertGreater(len(messages[1]["content"]), 0)

    def test_interrupting_twice_at_the_prompt_leaves(self):
        terminal = self.start()
        terminal.type(CTRL_C)
        terminal.expect("once more")
        terminal.expect(PROMPT)
        terminal.type(CTRL_C)
        self.assertEqual(terminal.end(), SUCCESS)

    def test_end_of_input_leaves(self):
        terminal = self.start()
        terminal.type(CTRL_D)
        self.assertEqual(terminal.end(), SUCCESS)

    def test_a_failed_command_does_not_end_the_conversation(self):
        terminal = self.start()
        terminal.type("/load /nowhere/at/all\n")
        terminal.expect("bitnet: cannot open /nowhere/at/all")
        terminal.expect(PROMPT)
        terminal.type(CTRL_D)
        self.assertEqual(terminal.end(), SUCCESS)

    def test_help_lists_the_commands(self):
        terminal = self.start()
        terminal.type("/help\n")
        listed = terminal.expect(PROMPT)
        for command in ("/reset", "/save FILE", "/load FILE", "/temp X", "/quit"):
            self.assertIn(command, listed)
        terminal.type("/quit\n")
        self.assertEqual(terminal.end(), SUCCESS)

    def test_colours_appear_unless_switched_off(self):
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
            with self.subTest(env):
                terminal = Terminal("chat", "-m", gguf(TEMPLATE, 65536), **env)
                seen = terminal.expect("> ")
                terminal.type(CTRL_D)
                self.assertEqual(terminal.end(), SUCCESS)
                self.assertEqual(re.search(r"\x1b\[\d*m", seen) is not None, coloured)

    def test_control_characters_of_the_model_do_not_reach_the_terminal(self):
        forbidden = [f"--logit-bias={token}-inf" for token in range(261) if token != 5 + 0x1b]
        terminal = Terminal("run", "-m", gguf(), "-p", "x", "-n", "4", *forbidden, NO_COLOR="1")
        self.assertEqual(terminal.end(), SUCCESS)
        self.assertNotIn("\x1b", terminal.seen)
        self.assertIn("\ufffd" * 4, terminal.seen)

    def test_interrupting_run_keeps_what_was_written(self):
        process = subprocess.Popen([PROGRAM, "run", "-m", str(gguf(None, 65536)), "-p", "Once", "-n", "-1", "--ignore-eos"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                   env=environment())
        self.assertEqual(process.stdout.read(10)[:4], b"Once")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertIn(b"tokens/s; seed", errors)


if __name__ == "__main__":
    unittest.main()
