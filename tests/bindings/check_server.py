# SPDX-License-Identifier: MIT
"""Runs the example that serves many clients: 16 at once get the golden text, and those that go early harm nobody.

    check_server.py GOLDEN PROMPT PROGRAM...
"""
import asyncio
import pathlib
import subprocess
import sys

CLIENTS = 16


async def ask(port: int, prompt: str, length: int = -1) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(prompt.encode() + b"\n")
    text = await reader.read(length)
    writer.close()
    return text.decode()


async def check(port: int, prompt: str, golden: str) -> None:
    early = [ask(port, prompt, 1) for _ in range(3)]
    texts = await asyncio.gather(*(ask(port, prompt) for _ in range(CLIENTS)), *early)
    for text in texts[:CLIENTS]:
        assert text == golden, f"{text!r} instead of {golden!r}"
    for text in texts[CLIENTS:]:
        assert text and golden.startswith(text), text
    assert await ask(port, prompt) == golden


def main(golden: str, prompt: str, *program: str) -> None:
    server = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        word, port = server.stdout.readline().split()
        assert word == "port"
        asyncio.run(check(int(port), prompt, pathlib.Path(golden).read_text(encoding="utf-8")[:-1]))
        assert server.poll() is None, "the server has ended"
    finally:
        server.kill()
        server.wait()


main(*sys.argv[1:])
