# SPDX-License-Identifier: MIT
"""Lets the desktop example write, and stop in the midst of it: check_window.py PROGRAM MODEL FOLDER"""
import pathlib
import struct
import subprocess
import sys

PROMPT = "It was a fine morning, and"
program, model, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


def run(picture, *options, model=model, status=0):
    """What the window shows in the end."""
    command = ["xvfb-run", "-a", program, "--say", PROMPT, "--picture", picture, *options, model]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == status, result
    return result.stdout.rstrip()


def check_picture(path, least):
    png = path.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and min(struct.unpack(">II", png[16:24])) >= 400, png[:32]
    assert len(png) >= least, f"{path}: {len(png)} bytes are not a window with text"


whole = run(folder / "whole.png")
assert whole.startswith(PROMPT) and len(whole) > len(PROMPT) + 200, whole
check_picture(folder / "whole.png", 12000)

# The same seed writes the same text, up to where the button stopped it.
stopped = run(folder / "stopped.png", "--stop")
assert whole.startswith(stopped) and len(stopped) < len(whole), stopped

# What goes wrong is shown, and nothing is written.
assert run(folder / "missing.png", model="missing.bitnet", status=1) == PROMPT
check_picture(folder / "missing.png", 1000)
