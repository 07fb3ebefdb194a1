# SPDX-License-Identifier: MIT
"""Has the server in C serve more clients than it has sessions, some of which go away: check_serve.py PROGRAM MODEL"""
import concurrent.futures
import re
import socket
import subprocess
import sys

program, model = sys.argv[1:]
CLIENTS = 24

server = subprocess.Popen([program, model, "0"], stdout=subprocess.PIPE, text=True)
try:
    port = int(re.fullmatch(r"serving at port (\d+)\n", server.stdout.readline())[1])

    def ask(line):
        with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
            connection.sendall(line)
            text = b""
            while piece := connection.recv(4096):
                text += piece
        return text

    def leave(line):
        with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
            connection.sendall(line)

    prompts = [b"It was %d\n" % i for i in range(CLIENTS)]
    alone = [ask(prompt) for prompt in prompts[:3]]
    assert all(len(text) > 40 for text in alone), alone
    with concurrent.futures.ThreadPoolExecutor(2 * CLIENTS) as threads:
        for _ in range(CLIENTS):
            threads.submit(leave, b"She was\n")
        together = list(threads.map(ask, prompts))
    assert together[:3] == alone, (together[:3], alone)
    assert all(len(text) > 40 for text in together), together
    assert ask(b"\n") == b"", "nothing to go on from"
    assert ask(prompts[0]) == alone[0], "it goes on serving"
finally:
    server.kill()
    server.wait()
