"""Clients that never stop: reads, writes, counters and compare-and-set, from several threads.

    python3 load.py SECONDS

SECONDS is how long a call may take before it counts as failed. Runs until standard input ends. Prints a line when every
thread has done its first call, and at the end one of JSON: calls by kind, and what failed. A counter and a version each
belong to one thread, so each answer is known beforehand: a step that was made twice, or not at all, is a failure.
"""

import collections
import json
import sys
import threading

import brine

THREADS_OF_A_KIND = 2
FAILURES_MAX = 200

stop = threading.Event()
calls = collections.Counter()
failures = []


def count(cache, name):
    expected = 0
    while True:
        expected += 1
        answer = cache.incr(name)
        if answer != expected:
            yield f"{name} stands at {answer}, not at {expected}"
            expected = answer
        yield None


def compare(cache, name):
    cache.set(name, 0)
    version, number = cache.entry(name).version, 0
    while True:
        number += 1
        if not cache.cas(name, number, version):
            yield f"{name} was changed by nobody, or twice by us, before {number}"
        entry = cache.entry(name)
        version = entry.version
        yield None if entry.value == number else f"{name} is {entry.value}, not {number}"


def write(cache, name):
    number = 0
    while True:
        number += 1
        cache.set(name, number)
        answer = cache.get(name)
        yield None if answer == number else f"{name} is {answer}, not {number}"


def stream(cache, name):
    value = bytes(3 << 20)
    while True:
        cache.set(name, value)
        yield None if cache.get(name) == value else f"{name} is not what was stored"


def read(cache, name):
    cache.set(name, "here")
    while True:
        answer = cache.get(name)
        yield None if answer == "here" else f"{name} is {answer}"


KINDS = {"read": read, "count": count, "compare": compare, "write": write, "stream": stream}


def work(kind, number, started):
    name = f"{kind}-{number}"
    with brine.Cache("load", timeout=float(sys.argv[1]), on_error="raise") as cache:
        cache.pop(name, None)
        steps = KINDS[kind](cache, name)
        while not stop.is_set() and len(failures) < FAILURES_MAX:
            try:
                failure = next(steps)
            except Exception as error:  # noqa: BLE001: whatever it is, it is a failed call
                failure = f"{name}: {error!r}"
                cache.pop(name, None)
                steps = KINDS[kind](cache, name)
            calls[kind] += 1
            if failure:
                failures.append(failure)
            started.release()


def main():
    started = threading.Semaphore(0)
    threads = [threading.Thread(target=work, args=(kind, number, started), daemon=True)
               for kind in KINDS for number in range(THREADS_OF_A_KIND)]
    for thread in threads:
        thread.start()
    for _ in threads:
        started.acquire()
    print("started", flush=True)
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"calls": calls, "failures": failures}), flush=True)


if __name__ == "__main__":
    main()
