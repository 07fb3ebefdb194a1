# SPDX-License-Identifier: MIT
"""The manual page is well-formed and knows every command and option of the program."""
import os
import re
import subprocess
import unittest

from program import bitnet

MANUAL = os.environ["BITNET_MANUAL"]
COMMANDS = ("run", "chat", "info", "convert", "verify", "tokenize", "logits", "embed", "perplexity", "bench",
            "dummy")


def rendered():
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-cbou", MANUAL], capture_output=True, check=True)
    return done.stdout.decode(), done.stderr.decode()


class Manual(unittest.TestCase):
    def test_the_formatter_has_nothing_to_warn_of(self):
        text, warnings = rendered()
        self.assertEqual(warnings, "")
        self.assertIn("EXIT STATUS", text)

    def test_every_option_is_documented_with_its_choices(self):
        """In the section of its command, or in that of all commands; those of chat also in that of run."""
        text = rendered()[0].replace("\u2010", "-").replace("\u2212", "-")
        common = re.search(r"(?ms)^COMMON OPTIONS$.*?(?=^COMMANDS$)", text)[0]
        sections = dict(re.findall(r"(?ms)^   bitnet (\w+)$(.*?)(?=^   bitnet |^[A-Z])", text))
        self.assertEqual(sorted(sections), sorted(COMMANDS))
        for command in COMMANDS:
            section = common + sections[command] + (sections["run"] if command == "chat" else "")
            options = re.findall(r"(?m)^  (-\S+)(?: ([a-z]\w*(?:\|\w+)+))?", bitnet(command, "--help").stdout.decode())
            self.assertIn(("-h,--help", ""), options)
            for names, choices in options:
                for name in names.split(","):
                    with self.subTest(command=command, option=name):
                        self.assertRegex(section, rf"(?<![\w-]){name}(?![\w-])")
                if choices:
                    with self.subTest(command=command, option=names):
                        name = names.split(",")[-1]
                        listed = re.findall(rf"{name} +(\w+(?: *\| *\w+)+)", sections[command]) or \
                            re.findall(rf"{name} +(\w+(?: *\| *\w+)+)", section)
                        self.assertEqual({words.replace(" ", "") for words in listed}, {choices})

    def test_the_version_is_the_programs(self):
        version = bitnet("--version").stdout.decode().split()[1]
        with open(MANUAL, encoding="utf-8") as file:
            self.assertIn(f'"bitnet {version}"', file.read())


if __name__ == "__main__":
    unittest.main()
