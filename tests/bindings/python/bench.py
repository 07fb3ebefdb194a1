# SPDX-License-Identifier: MIT
"""What tests/bindings/overhead.c measures, in Python: python bench.py MODEL"""
import sys
import threading
import time

import bitnet


def position(model, session, count=20000):
    start = time.perf_counter_ns()
    for _ in range(count):
        session.position
    return (time.perf_counter_ns() - start) / count


def detokenize(model, session, count=20000):
    tokens = [300]
    start = time.perf_counter_ns()
    for _ in range(count):
        model.detokenize(tokens)
    return (time.perf_counter_ns() - start) / count


def token(model, session, count=200):
    session.rewind()
    session.reset_perf()
    start = time.perf_counter_ns()
    for _ in session.generate("It was a fine morning, and", max_tokens=count, ignore_end=True):
        pass
    wall = time.perf_counter_ns() - start
    perf = session.perf
    return (wall - perf.prompt_ns - perf.generated_ns - perf.sample_ns) / count


def cancel(session):
    cancel = bitnet.Cancel()
    asked = []

    def ask():
        asked.append(time.perf_counter_ns())
        cancel.request()

    session.rewind()
    threading.Timer(0.2, ask).start()
    try:
        session.eval([5] * session.context, cancel=cancel)
    except bitnet.CancelledError:
        return time.perf_counter_ns() - asked[0]
    sys.exit("the prompt was too short")


with bitnet.Model(sys.argv[1]) as model, model.engine(threads=1).session(context=16384) as session:
    for measure in position, detokenize, token:
        print(f"{measure.__name__} {min(measure(model, session) for _ in range(10)):.0f}")
    print(f"cancel {max(cancel(session) for _ in range(10)):.0f}")
