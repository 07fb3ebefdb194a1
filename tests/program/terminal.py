# SPDX-License-Identifier: MIT
"""The program on a terminal of its own, driven as by hand."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata

from program import PROGRAM, environment


# What a slow machine shows while a model opens, until it is gone again.
OPENING = re.compile(r"(?:\ropening [^\r\n\x1b]*\x1b\[K)+\r\x1b\[K")


class Terminal:
    """The program on a terminal of its own, driven as by hand."""

    def __init__(self, *arguments, rows=24, columns=80, shell=None, **env):
        """`shell`, if given, is called in the new process with what starts the program."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)

            def start():
                os.execve(PROGRAM, [PROGRAM, *map(str, arguments)], environment(**{"TERM": "xterm", **env}))
            (shell or (lambda run: run()))(start)
        self.seen = ""

    def expect(self, pattern, seconds=20):
        """Reads on until the pattern appears in what came since the last expectation; gives all up to its end."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            if time.monotonic() > end:
                raise AssertionError(f"{pattern!r} did not appear in {self.seen!r}")
            if select.select([self.fd], [], [], 0.2)[0] and not self.read():
                raise AssertionError(f"the program ended; {pattern!r} did not appear in {self.seen!r}")
        before, self.seen = self.seen[:match.end()], self.seen[match.end():]
        return before

    def read(self):
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.seen = OPENING.sub("", self.seen + data.decode(errors="replace"))
        return data

    def type(self, text):
        """Types the text, and reads what it makes appear, since neither side waits for the other."""
        data = text if isinstance(text, bytes) else text.encode()
        while data:
            readable, writable, _ = select.select([self.fd], [self.fd], [], 60)
            if not readable and not writable:
                raise AssertionError("the program does not read")
            if readable and not self.read():
                raise AssertionError(f"the program ended: {self.seen!r}")
            if writable:
                data = data[os.write(self.fd, data[:256]):]

    def edits_lines_itself(self):
        """Whether the terminal, rather than the program, echoes and edits lines."""
        mode = termios.tcgetattr(self.fd)[3]
        return mode & termios.ICANON != 0 and mode & termios.ECHO != 0

    def end(self, seconds=60):
        """Reads until the program ends; gives its exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.05)[0]:
                self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while select.select([self.fd], [], [], 0)[0] and self.read():
                    pass
                self.was_given_back = self.edits_lines_itself()
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"the program did not end: {self.seen!r}")


class Screen:
    """What a terminal shows of a program's output: as much of xterm as the program needs."""

    def __init__(self, rows=24, columns=80):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0

    def feed(self, output):
        for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|.", output, re.DOTALL):
            self.command(token) if token.startswith("\x1b") else self.put(token)
        return self

    def command(self, sequence):
        count = int(re.sub(r"\D", "", sequence) or 1)
        if sequence[-1] == "A":
            self.row = max(0, self.row - count)
        elif sequence[-1] == "B":
            self.row = min(self.rows - 1, self.row + count)
        elif sequence[-1] == "C":
            self.column = min(self.columns - 1, self.column + count)
        elif sequence[-1] == "J":
            self.cells[self.row][self.column:] = [" "] * (self.columns - self.column)
            self.cells[self.row + 1:] = [[" "] * self.columns for _ in range(self.rows - self.row - 1)]
        else:
            assert sequence[-1] in "mhl", sequence

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.line_feed()
        elif character >= " ":
            width = 0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
            if self.column + width > self.columns:
                self.column = 0
                self.line_feed()
            if width == 0:
                self.cells[self.row][self.column - 1] += character
            else:
                self.cells[self.row][self.column:self.column + width] = [character] + [""] * (width - 1)
            self.column += width

    def line_feed(self):
        self.row += 1
        if self.row == self.rows:
            self.cells = self.cells[1:] + [[" "] * self.columns]
            self.row -= 1

    def lines(self):
        return [line for line in ("".join(row).rstrip() for row in self.cells) if line]


CTRL_C, CTRL_D = "\x03", "\x04"
PROMPT = r"> (\x1b\[0m)?"
