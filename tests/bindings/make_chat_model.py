# SPDX-License-Identifier: MIT
"""Writes a tiny model with a chat template, for the tests of the bindings: make_chat_model.py OUTPUT"""
import os
import pathlib
import shutil
import sys

os.environ.setdefault("BITNET_PROGRAM", "")  # which this does not run
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "program"))
import program  # noqa: E402

shutil.copy(program.gguf(program.TEMPLATE), sys.argv[1])
