# SPDX-License-Identifier: MIT
"""The installed program and DLL as a user of Windows meets them: names, console, files in use, what they need."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIX = pathlib.Path(os.environ["BITNET_PREFIX"])
EMULATOR = [word for word in os.environ["BITNET_EMULATOR"].split(";") if word]
PROGRAM = PREFIX / "bin/bitnet.exe"
MODEL = PREFIX / "share/bitnet/models/austen.bitnet"
# What the program writes on Linux.
TEXT = ("It was the only person of all the world. He was now in the habit of a man who lived, and"
        " that she had no doubt of seeing him. She had not a good fortune of mind, and\n")


def command(program, *arguments):
    return [*EMULATOR, str(program), *map(str, arguments)]


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BITNET_")}
    return {**kept, "LC_ALL": "C.UTF-8", **changes}


def bitnet(*arguments, stdin=b"", env=None):
    return subprocess.run(command(PROGRAM, *arguments), input=stdin, capture_output=True, timeout=120, env=env or environment())


class Program(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bitnet-windows-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def succeeds(self, *arguments, **others):
        done = bitnet(*arguments, **others)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        return done

    def dummy(self, name):
        path = self.folder / name
        self.succeeds("dummy", path, "--size", "tiny", "-q")
        return path

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def test_writes_what_it_writes_on_linux(self):
        for isa in (), ("--isa", "scalar"):
            done = self.succeeds("run", "-q", "-p", "It was", "-n", "40", "--seed", "7", *isa)
            self.assertEqual(done.stdout.decode(), TEXT)

    def test_names_hold_blanks_and_any_letters(self):
        folder = self.folder / "Meine Modelle, 日本語 😀"
        folder.mkdir()
        model = folder / "größer.bitnet"
        done = self.succeeds("convert", "--packing", "t5", MODEL, model)
        self.assertIn("größer.bitnet", done.stdout.decode())
        self.succeeds("verify", model)
        self.assertIn("austen", self.succeeds("info", model).stdout.decode())
        done = self.succeeds("run", "-q", "-p", "It was", "-n", "40", "--seed", "7", env=environment(BITNET_MODEL=str(model)))
        self.assertEqual(done.stdout.decode(), TEXT)
        self.succeeds("chat", "-q", "-m", model, "-n", "4", "--seed", "1", stdin=f"Hello\n/save {folder}/gespräch.json\n".encode())
        self.assertIn('"Hello"', (folder / "gespräch.json").read_text())
        missing = bitnet("info", folder / "ü.bitnet")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("ü.bitnet", missing.stderr.decode())

    def test_text_on_the_command_line_is_the_text_of_a_file(self):
        text = "naïve “日本語” 😀"
        file = self.folder / "text.txt"
        file.write_text(text)
        given = self.succeeds("tokenize", text).stdout
        self.assertEqual(given, self.succeeds("tokenize", "-f", file).stdout)
        self.assertEqual(given, self.succeeds("tokenize", stdin=text.encode()).stdout)

    def test_names_may_be_long(self):
        folder = self.folder
        for i in range(6):
            folder /= f"{i}" + "x" * 60
        folder.mkdir(parents=True)
        self.succeeds("convert", MODEL, folder / "model.bitnet")
        self.succeeds("verify", folder / "model.bitnet")
        self.assertEqual([path.name for path in folder.iterdir()], ["model.bitnet"])

    def test_a_file_is_converted_in_its_place(self):
        model = self.dummy("a.bitnet")
        before = model.stat().st_size
        self.succeeds("convert", "--force", "--packing", "t5", model, model)
        self.assertLess(model.stat().st_size, before)
        self.succeeds("verify", model)
        self.assertEqual(self.names(), ["a.bitnet"])

    def test_a_file_in_use_stays_and_the_message_says_so(self):
        model, other = self.dummy("a.bitnet"), self.dummy("b.bitnet")
        before = model.read_bytes()
        chat = subprocess.Popen(command(PROGRAM, "chat", "-m", model, "-n", "1"), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        try:
            chat.stdin.write(b"A\n")
            chat.stdin.flush()
            self.assertTrue(chat.stdout.readline())  # now the model is open
            done = bitnet("convert", "--force", other, model)
            self.assertEqual(done.returncode, 1)
            self.assertIn("a program has it open", done.stderr.decode())
            self.assertEqual(model.read_bytes(), before)
            self.assertEqual(self.names(), ["a.bitnet", "b.bitnet"])
        finally:
            chat.communicate(timeout=60)
        self.succeeds("convert", "--force", "--packing", "t5", other, model)
        self.assertNotEqual(model.read_bytes(), before)

    def test_an_existing_file_is_replaced_only_by_force(self):
        model, other = self.dummy("a.bitnet"), self.dummy("b.bitnet")
        refused = bitnet("convert", other, model)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--force", refused.stderr.decode())

    def test_exit_codes_and_messages(self):
        wrong = bitnet("run", "--no-such-option")
        self.assertEqual(wrong.returncode, 2)
        self.assertEqual(wrong.stdout, b"")
        self.assertIn("bitnet run --help", wrong.stderr.decode())
        (self.folder / "file").touch()
        folder = bitnet("convert", MODEL, self.folder, "--force")
        self.assertEqual(folder.returncode, 1)
        self.assertIn("not empty", folder.stderr.decode())


def tables(path):
    """The names of the DLLs that a file needs, and those of the functions that it gives out."""
    text = subprocess.run([os.environ["BITNET_OBJDUMP"], "-p", path], check=True, capture_output=True, text=True).stdout
    needs = {name.lower() for name in re.findall(r"DLL Name: (\S+)", text)}
    exports = text.split("[Ordinal/Name Pointer] Table", 1)[1:]
    return needs, {line.split()[-1] for line in (exports[0].splitlines() if exports else []) if re.match(r"\s*\[ *\d+\]", line)}


class Library(unittest.TestCase):
    SYSTEM = {"kernel32.dll", "msvcrt.dll", "advapi32.dll", "shell32.dll", "user32.dll"}

    def test_needs_the_system_alone(self):
        for file in "bitnet.dll", "bitnet.exe":
            needs, _ = tables(PREFIX / "bin" / file)
            self.assertLessEqual(needs, self.SYSTEM, file)

    def test_gives_out_the_functions_of_the_header(self):
        header = (PREFIX / "include/bitnet.h").read_text()
        declared = set(re.findall(r"^BITNET_API [^(]*?(bitnet_\w+)\(", header, re.M))
        self.assertEqual(tables(PREFIX / "bin/bitnet.dll")[1], declared)
        self.assertEqual(tables(PREFIX / "bin/bitnet.exe")[1], set())

    def test_a_c_program_uses_it(self):
        with tempfile.TemporaryDirectory() as folder:
            readme = (ROOT / "README.md").read_text()
            code = re.search(r"```c\n(.*?)```", readme, re.S)[1].replace("model.bitnet", "model ä.bitnet")
            source, program = pathlib.Path(folder, "hello.c"), pathlib.Path(folder, "hello.exe")
            source.write_text(code)
            subprocess.run([os.environ["BITNET_CC"], "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", source,
                            f"-I{PREFIX}/include", f"-L{PREFIX}/lib", "-lbitnet", "-o", program], check=True)
            shutil.copy(PREFIX / "bin/bitnet.dll", folder)
            shutil.copy(MODEL, pathlib.Path(folder, "model ä.bitnet"))
            done = subprocess.run(command(program), capture_output=True, timeout=60, cwd=folder, env=environment())
            self.assertEqual(done.stderr, b"")
            self.assertGreater(len(done.stdout), 100)
            self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
