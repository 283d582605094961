"""Forked processes that do the same at the same moment, and the facts about what they did."""

import os
import pickle
import select
import signal
import threading
import time
import traceback

import brine
from harness import DEADLINE


def until(condition):
    """Returns when the condition holds; raises when it never does."""
    end, never = time.monotonic() + DEADLINE, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never came about"
        never.wait(0.005)


def others_wait(daemon, count):
    """Returns when so many have waited for a lease."""
    with brine.Cache(socket=daemon.socket, timeout=DEADLINE) as cache:
        until(lambda: cache.stats().get("default", {}).get("waits", 0) >= count)


class Gate:
    """Closed until somebody opens it, for every process forked after it was made."""

    def __init__(self):
        self.read_end, self.write_end = os.pipe()

    def open(self):
        os.write(self.write_end, b"x")

    def wait(self):
        ready, _, _ = select.select([self.read_end], [], [], DEADLINE)
        assert ready, "the gate stayed closed"


class Tally:
    """Counts across processes: next() is 0 for the first to call it, then 1, and so on."""

    def __init__(self):
        self.read_end, self.write_end = os.pipe()
        os.write(self.write_end, b"\0\0")

    def next(self):
        number = int.from_bytes(os.read(self.read_end, 2), "big")  # everybody else waits meanwhile
        os.write(self.write_end, (number + 1).to_bytes(2, "big"))
        return number

    def count(self):
        number = int.from_bytes(os.read(self.read_end, 2), "big")
        os.write(self.write_end, number.to_bytes(2, "big"))
        return number

    def reached(self, count):
        until(lambda: self.count() >= count)


# A child that another thread forks meanwhile would keep this one's pipe open. (A child has a lock of its own.)
FORKING = threading.Lock()


def _fork_anew():
    global FORKING
    FORKING = threading.Lock()


os.register_at_fork(after_in_child=_fork_anew)


class Crew:
    """count children, each of which runs work(number). All begin together."""

    def __init__(self, count, work):
        with FORKING:
            self._fork(count, work)

    def _fork(self, count, work):
        go = Gate()
        self.pids, self.pipes, self.done = [], [], {}
        for number in range(count):
            read_end, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                self._child(go, work, number, write_end)
            os.close(write_end)
            self.pids.append(pid)
            self.pipes.append(read_end)
        go.open()

    def _child(self, go, work, number, write_end):
        status = 1
        try:
            go.wait()
            result = work(number)
            with open(write_end, "wb") as out:
                pickle.dump(result, out)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def kill(self, number, signal_number=signal.SIGKILL):
        os.kill(self.pids[number], signal_number)

    def result(self, number):
        """What its work returned; None if it was killed."""
        parts, pipe = [], self.pipes[number]
        while True:
            ready, _, _ = select.select([pipe], [], [], DEADLINE)
            if not ready:
                for pid in self.pids:
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"child {number} hangs")
            part = os.read(pipe, 1 << 20)
            if not part:
                break
            parts.append(part)
        os.close(pipe)
        os.waitpid(self.pids[number], 0)
        return pickle.loads(b"".join(parts)) if parts else None

    def results(self):
        return [self.result(number) for number in range(len(self.pids))]
