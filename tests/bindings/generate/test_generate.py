#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bindings/generate: what it reads of bitnet.h is what the compiler sees, what is new there comes out in every language, and
what it cannot read is an error that says where.

    CC=gcc python3 test_generate.py
"""
import os
import pathlib
import re
import runpy
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
GENERATE = ROOT / "bindings/generate"
HEADER = (ROOT / "include/bitnet.h").read_text(encoding="utf-8")
sys.dont_write_bytecode = True
sys.path.insert(0, str(GENERATE))
LANGUAGES = runpy.run_path(str(GENERATE / "__main__.py"), run_name="generate")["LANGUAGES"]

import api  # noqa: E402
from header import Mistake  # noqa: E402

SHOWN = ["python", "java", "csharp", "go", "swift"]
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def line(member):
    """The line of bitnet.h with this member or value, whose comment is short."""
    return re.search(rf"  {member}[;,].*\n", HEADER)[0]


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def read(self, header):
        path = self.folder / "bitnet.h"
        path.write_text(header, encoding="utf-8")
        return api.read(path)

    def generated(self, header, language):
        """All that is generated for a language, as one text."""
        return "\n".join(LANGUAGES[language](self.read(header)).files().values())

    def changed(self, *pairs):
        """The header with other text."""
        header = HEADER
        for old, new in pairs:
            self.assertEqual(header.count(old), 1, old)
            header = header.replace(old, new)
        return header


class Compiler(Folder):
    def compile(self, header):
        """What the compiler says to a description read from one header, by the real one."""
        source = self.folder / "check.c"
        source.write_text(self.generated(header, "check"), encoding="utf-8")
        return subprocess.run([os.environ.get("CC", "cc"), *WARNINGS, f"-I{ROOT / 'include'}", source],
                              capture_output=True, text=True)

    def test_sees_what_was_read(self):
        result = self.compile(HEADER)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_finds_what_was_read_wrongly(self):
        wrong = {
            "another number": ("BITNET_KV_INT8 = 2", "BITNET_KV_INT8 = 7"),
            "a missing value": (line("BITNET_PACKING_T5 = 2"), ""),
            "another type": ("  float top_p; ", "  uint32_t top_p; "),
            "a missing member": (line("float min_p"), ""),
            "another order": (line("uint32_t hidden") + line("uint32_t ffn"), line("uint32_t ffn") + line("uint32_t hidden")),
        }
        for what, (old, new) in wrong.items():
            with self.subTest(what):
                result = self.compile(self.changed((old, new)))
                self.assertNotEqual(result.returncode, 0)


class New(Folder):
    """What is one new line in bitnet.h."""

    def test_value_is_in_every_language_with_its_comment(self):
        header = self.changed(("  BITNET_KV_F16 = 1, ", "  BITNET_KV_HALF_BYTE = 4, /* made up; see BITNET_KV_INT8 */\n"
                                                       "  BITNET_KV_F16 = 1, "))
        wanted = {
            "python": ['"half_byte": _native.BITNET_KV_HALF_BYTE', '"half_byte", made up; see "int8"'],
            "java": ["HALF_BYTE(NativeConstants.BITNET_KV_HALF_BYTE)", "/** Made up; see {@link #INT8}. */"],
            "csharp": ["HalfByte = 4", '<summary>Made up; see <see cref="Int8"/>.</summary>'],
            "go": ["KVHalfByte KV = C.BITNET_KV_HALF_BYTE", "// Made up; see [KVInt8]."],
            "swift": ["case .halfByte: return BITNET_KV_HALF_BYTE", "/// Made up; see `int8`."],
            "check": ["_Static_assert(BITNET_KV_HALF_BYTE == 4"],
        }
        for language, texts in wanted.items():
            for text in texts:
                with self.subTest(language):
                    self.assertIn(text, self.generated(header, language))

    def test_bit_of_flags_is_an_option(self):
        header = self.changed(("  BITNET_GENERATE_IGNORE_END = 4, ", "  BITNET_GENERATE_MADE_UP = 16, /* new; NULL: none */\n"
                                                                    "  BITNET_GENERATE_IGNORE_END = 4, "))
        wanted = {
            "python": "made_up: bool | None = False",
            "java": "public GenerateOptions madeUp(boolean madeUp) {",
            "csharp": "public bool MadeUp { get; set; }",
            "go": "MadeUp bool",
            "swift": "public var madeUp: Bool = false",
        }
        for language, text in wanted.items():
            with self.subTest(language):
                self.assertIn(text, self.generated(header, language))

    def test_number_is_an_option_and_is_told(self):
        header = self.changed(
            ("  bitnet_kv kv; ", "  uint32_t made_up; /* of `context`, some; 0: all */\n  bitnet_kv kv; "),
            ("  uint32_t layers; ", "  uint32_t made_up; /* how much of it */\n  uint32_t layers; "))
        wanted = {
            "python": ["made_up: int | None = 0", "of context, some; 0: all", "made_up=native.made_up"],
            "java": ["SessionOptions madeUp(int madeUp)", "options.setMade_up(madeUp);", "madeUp = from.getMade_up();"],
            "csharp": ["native.made_up = Arguments.Count(MadeUp", "MadeUp = (int)from.made_up;", 'Of <see cref="Context"/>, some'],
            "go": ['toCount("MadeUp", o.MadeUp', "int(c.made_up),", "// Of Context, some; 0: all."],
            "swift": ['options.made_up = try count(madeUp, "madeUp")', "madeUp = Int(c.made_up)"],
        }
        for language, texts in wanted.items():
            for text in texts:
                with self.subTest(language):
                    self.assertIn(text, self.generated(header, language))

    def test_pointer_of_options_is_hidden_from_swig(self):
        header = self.changed(("  int verify; ", "  const char* made_up; /* new */\n  int verify; "),
                              ("  uint32_t layers; ", "  uint32_t layers_made_up; /* new */\n  uint32_t layers; "))
        generated = self.generated(header, "swig")
        self.assertIn("%ignore bitnet_open_options::made_up;\n", generated)
        self.assertNotIn("layers_made_up", generated)


class Comments(Folder):
    def test_speak_the_language(self):
        """No comment has C's names in it, and none is lost."""
        for language in SHOWN:
            text = self.generated(HEADER, language)
            comments = "\n".join(re.findall(r"^ *(?://|/?\*|#).*|\"\"\"(?s:.*?)\"\"\"", text, re.M))
            names = re.findall(r"\bNULL\b|(?<![$\w])BITNET_\w+|(?<!\w)bitnet_(?!b1_58-large)\w+", comments)
            with self.subTest(language):
                self.assertEqual(names, [])
                self.assertIn("beyond what it was trained for, quality fades", re.sub(r"\s+(?:///?|\*|#)?\s*", " ", text))


class Mistakes(Folder):
    def refused(self, old, new, *says):
        with self.assertRaises(Mistake) as caught:
            for language in SHOWN:
                self.generated(self.changed((old, new)), language)
        for text in says:
            self.assertIn(text, str(caught.exception))

    def test_value_without_comment(self):
        self.refused("  BITNET_KV_F16 = 1, ", "  BITNET_KV_F8 = 4,\n  BITNET_KV_F16 = 1, ", "bitnet.h:", "BITNET_KV_F8")

    def test_line_that_is_written_otherwise(self):
        self.refused("  BITNET_KV_F16 = 1, ", "  BITNET_KV_F8 = 1 << 2, /* new */\n  BITNET_KV_F16 = 1, ", "bitnet.h:",
                     "BITNET_KV_F8 = 1 << 2")

    def test_array(self):
        self.refused("  bitnet_kv kv; ", "  int array[3]; /* new */\n  bitnet_kv kv; ", "int array[3];")

    def test_end_that_is_missing(self):
        self.refused("\n} bitnet_convert_options;", "\n  } bitnet_convert_options;", "bitnet.h:")

    def test_member_without_comment(self):
        self.refused("  bitnet_kv kv; ", "  uint32_t made_up;\n  bitnet_kv kv; ", "bitnet_session_options.made_up", "no comment")

    def test_int_of_no_kind(self):
        self.refused("  bitnet_kv kv; ", "  int made_up; /* new */\n  bitnet_kv kv; ", "bitnet_session_options.made_up",
                     "nonzero: ", "overlay.RANGES")

    def test_type_of_no_kind(self):
        self.refused("  bitnet_kv kv; ", "  double made_up; /* new */\n  bitnet_kv kv; ", "bitnet_session_options.made_up",
                     "double")

    def test_name_that_languages_do_not_have(self):
        self.refused("/* how keys and", "/* see bitnet_made_up; how keys and", "bitnet_made_up", "overlay.MENTIONED")

    def test_value_that_is_not_there(self):
        self.refused("/* how keys and", "/* see BITNET_MADE_UP; how keys and", "BITNET_MADE_UP")


if __name__ == "__main__":
    unittest.main()
