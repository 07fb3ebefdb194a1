# SPDX-License-Identifier: MIT
"""How event loops wait for pieces of text: one thread does it for all of them."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import threading
from typing import Any

from . import _native

_FOREVER = 0xFFFFFFFF  # of bitnet.h


class _Waiting:
    """A queue of the library's, and the thread that waits there and tells each event loop of what is there for it."""

    def __init__(self) -> None:
        self._queue = _native.Queue()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bitnet-waiting", daemon=True)
        self._thread.start()

    def submit(self, generation: Any) -> asyncio.Future[None]:
        """What is done when next() of the native generation would return at once."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._waiting[number] = future
        try:
            generation.submit(self._queue, number)
        except BaseException:
            del self._waiting[number]
            raise
        return future

    def _run(self) -> None:
        while not self._stopping:
            # What is not known has been told already.
            future = self._waiting.pop(self._queue.next(_FOREVER), None)
            if future is None:
                continue
            try:
                future.get_loop().call_soon_threadsafe(_tell, future)
            except RuntimeError:
                pass  # the loop is closed, and nobody waits any more

    def stop(self) -> None:
        self._stopping = True
        self._queue.wake()
        self._thread.join()


def _tell(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_lock = threading.Lock()
_current: _Waiting | None = None


async def wait(generation: Any) -> None:
    """Returns when next() of the native generation would return at once. Cancelling this cancels the generation."""
    global _current
    with _lock:
        if _current is None:
            _current = _Waiting()
        waiting = _current
    try:
        await waiting.submit(generation)
    except asyncio.CancelledError:
        generation.cancel()
        raise


@atexit.register
def _stop() -> None:
    if _current is not None:
        _current.stop()


def _forget() -> None:
    """The child of a fork has no such thread."""
    global _current, _lock
    _current, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
