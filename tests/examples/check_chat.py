# SPDX-License-Identifier: MIT
"""Lets the conversation in C reply twice, and refuse what it cannot do: check_chat.py PROGRAM MODEL"""
import json
import pathlib
import subprocess
import sys
import tempfile

program, model = sys.argv[1:]


def converse(lines, *arguments, status=0):
    done = subprocess.run([program, model, *arguments], input=lines, capture_output=True, timeout=240)
    assert done.returncode == status, done
    return done


template = "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}assistant: "
two = converse(b"Good morning.\nAnd then?\n", template).stdout
one = converse(b"Good morning.\n", template).stdout
assert len(one) > 20 and two.startswith(one) and len(two) > len(one) + 20, (one, two)
# A message with any bytes, and one that ends without a newline.
assert converse(b"x\0\xff\nAnd then?", template).stdout.count(b"\n") >= 2
# A saved conversation goes on as one that was never left.
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / "conversation.json"
    first = converse(b"Good morning.\n", template, file).stdout
    assert first == one
    assert [m["role"] for m in json.loads(file.read_text())["messages"]] == ["user", "assistant"]
    assert first + converse(b"And then?\n", template, file).stdout == two
    kept = file.read_bytes()
    converse(b"x " * 5000, template, file, status=1)
    assert file.read_bytes() == kept
    file.write_text("[]")
    assert b"conversation.json" in converse(b"", template, file, status=1).stderr
# The oldest messages make room, which is told.
full = converse(b"".join(b"%d %s\n" % (i, b"word " * 150) for i in range(6)), template)
assert b"messages are left out" in full.stderr, full.stderr
# More than the context is an error, not half a message.
assert b"does not fit" in converse(b"x " * 5000, template, status=1).stderr
assert b"no chat template" in converse(b"Good morning.\n", status=1).stderr
assert b"lama3" in converse(b"", "lama3", status=1).stderr
