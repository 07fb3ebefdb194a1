# SPDX-License-Identifier: MIT
"""Serves many clients from one model and one thread: each sends a line, and gets the text that the model goes on with.

    pip install .
    python serve.py model.bitnet 7500 &
    echo "It was a fine morning, and" | nc 127.0.0.1 7500
"""
import asyncio
import sys

import bitnet

CLIENTS = 16  # at once; others wait
TOKENS = 100


class Server:
    def __init__(self, model: bitnet.Model) -> None:
        self.model = model
        self.places = asyncio.Semaphore(CLIENTS)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            prompt = (await reader.readline()).decode(errors="replace").strip()
            async with self.places:
                with self.model.session(context=512) as session:
                    # The event loop serves the others while the engine computes for all of them together.
                    async for text in session.generate(prompt, max_tokens=TOKENS):
                        writer.write(text.encode())
                        await writer.drain()
        except bitnet.BitnetError as error:
            writer.write(f"error: {error}\n".encode())
        except ConnectionError:
            pass  # the client has gone; leaving the session has ended its generation
        finally:
            writer.close()


async def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} MODEL PORT")
    with bitnet.Model(sys.argv[1]) as model:
        server = await asyncio.start_server(Server(model).answer, "127.0.0.1", int(sys.argv[2]))
        print("port", server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except bitnet.BitnetError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
