"""Four processes ask for the same ten results at once; each is computed once."""

import concurrent.futures
import os

import brine

cache = brine.Cache("bare", on_error="raise", timeout=20)


@cache.memoize
def worker(number):
    return number, os.getpid()


def ask(_):
    return [worker(number) for number in range(10)]


if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(40)))
    assert all(answer == answers[0] for answer in answers), "somebody computed again"
    print(f"pool.py: ten results by {len({pid for _, pid in answers[0]})} of four processes, each computed once")
