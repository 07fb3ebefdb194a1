# SPDX-License-Identifier: MIT
"""The manual page is well-formed and knows every command and option of the program."""
import os
import re
import subprocess
import unittest

from program import bitnet

MANUAL = os.environ["BITNET_MANUAL"]
COMMANDS = ("run", "chat", "info", "convert", "verify", "tokenize", "logits", "perplexity", "bench", "dummy")


def rendered():
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-cbou", MANUAL], capture_output=True, check=True)
    return done.stdout.decode(), done.stderr.decode()


class Manual(unittest.TestCase):
    def test_the_formatter_has_nothing_to_warn_of(self):
        text, warnings = rendered()
        self.assertEqual(warnings, "")
        self.assertIn("EXIT STATUS", text)

    def test_every_option_is_documented(self):
        text = rendered()[0].replace("\u2010", "-").replace("\u2212", "-")
        documented = set(re.findall(r"(?<![\w-])--?[a-z0-9][\w-]*", text))
        for command in COMMANDS:
            help_text = bitnet(command, "--help").stdout.decode()
            options = {name for line in re.findall(r"(?m)^  (-\S+)", help_text) for name in line.split(",")}
            self.assertIn("--help", options)
            for option in sorted(options):
                with self.subTest(command=command, option=option):
                    self.assertIn(option, documented)

    def test_the_version_is_the_programs(self):
        version = bitnet("--version").stdout.decode().split()[1]
        with open(MANUAL, encoding="utf-8") as file:
            self.assertIn(f'"bitnet {version}"', file.read())


if __name__ == "__main__":
    unittest.main()
