# SPDX-License-Identifier: MIT
"""What the way through Python costs: python bench.py MODEL

Prints nanoseconds, the best of ten rounds: of a call that does nothing in C, and what a generated token takes beside the
evaluation and the sampling that C itself times. Then the longest of ten rounds from asking to cancel a long prompt to the
call's return.
"""
import sys
import threading
import time

import bitnet


def empty_call(session, count=20000):
    start = time.perf_counter_ns()
    for _ in range(count):
        len(session)
    return (time.perf_counter_ns() - start) / count


def token(session, count=200):
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


with bitnet.Model(sys.argv[1]) as model, model.session(context=16384) as session:
    for measure in empty_call, token:
        print(f"{measure.__name__:10} {min(measure(session) for _ in range(10)):8.0f} ns")
    print(f"{'cancel':10} {max(cancel(session) for _ in range(10)):8.0f} ns")
