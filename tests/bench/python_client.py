"""One blocking Python client of one system. Usage: python_client.py SYSTEM WHERE WORK VALUE SECONDS.

Every system takes and gives the same Python object, and a set is over when it was answered: where the library
does not pickle by itself, this does, with pickle's newest protocol. WORK is get, set, or memoized: a call whose
result is there. Prints {"p50_us": ..., "p99_us": ...}; exits with 3 and the reason when there is no such library here, or
the library has no such thing.
"""

import json
import pickle
import statistics
import sys
import time

KEYS = [f"key:{number}" for number in range(100)]
KEYS_OF_LARGE = KEYS[:8]
MISSING = 3


def array():
    import numpy
    return numpy.arange(1_000_000, dtype=float)  # 8 MB


VALUES = {
    "dict": lambda: {"id": 4711, "name": "ada", "score": 0.5, "tags": ["a", "b"], "active": True},
    "list": lambda: [number * 0.37 for number in range(3300)],  # 29,722 bytes of pickle
    "array": array,
}


def brine(where):
    import brine as library
    cache = library.Cache("bench", socket=where, on_error="raise", timeout=30)
    return cache.get, cache.set, cache.memoize


def redis(where):
    import redis as library
    client = library.Redis(unix_socket_path=where)
    return (lambda key: pickle.loads(client.get(key)),
            lambda key, value: client.set(key, pickle.dumps(value, -1)), None)


def pymemcache(where):
    import pymemcache as library
    from pymemcache.serde import pickle_serde
    client = library.Client(where, serde=pickle_serde, default_noreply=False)
    return client.get, client.set, None


def pylibmc(where):
    import pylibmc as library
    client = library.Client([where])
    return client.get, client.set, None


def diskcache(where):
    import diskcache as library
    cache = library.Cache(where)
    return cache.get, cache.set, cache.memoize()


def lmdb(where):
    """Durability as Brine's by default: a commit is not waited for. Nothing is shared with other machines' users."""
    import lmdb as library
    store = library.open(where, map_size=8 << 30, sync=False)

    def get(key):
        with store.begin(buffers=True) as transaction:
            return pickle.loads(transaction.get(key.encode()))

    def put(key, value):
        with store.begin(write=True) as transaction:
            transaction.put(key.encode(), pickle.dumps(value, -1))
    return get, put, None


def joblib(where):
    import joblib as library
    return None, None, library.Memory(where, verbose=0).cache


SYSTEMS = {function.__name__: function for function in (brine, redis, pymemcache, pylibmc, diskcache, lmdb, joblib)}


def same(one, other):
    equal = one == other
    return bool(equal.all() if hasattr(equal, "all") else equal)


def work_of(functions, work, value, keys):
    """What is measured, as a function of a key; None where the library has no such thing."""
    get, put, memoize = functions
    if work == "memoized":
        if not memoize:
            return None

        def result(key):
            return value
        memoized = memoize(result)
        for key in keys:
            memoized(key)
        return memoized
    if not get:
        return None
    for key in keys:
        put(key, value)
        if not same(get(key), value):
            sys.exit("it does not give back what it was given")
    return (lambda key: put(key, value)) if work == "set" else get


def main():
    system, where, work, name, seconds = sys.argv[1:]
    keys = KEYS_OF_LARGE if name == "array" else KEYS
    try:
        call = work_of(SYSTEMS[system](where), work, VALUES[name](), keys)
    except ImportError as error:
        print(error)
        sys.exit(MISSING)
    if not call:
        print(f"{system} has no such thing")
        sys.exit(MISSING)
    times, clock = [], time.perf_counter_ns
    now = clock()
    end = now + int(float(seconds) * 1e9)
    while now < end:
        for key in keys:
            before = clock()
            call(key)
            now = clock()
            times.append(now - before)
    times.sort()
    print(json.dumps({"p50_us": statistics.median(times) / 1e3, "p99_us": times[len(times) * 99 // 100] / 1e3}))


if __name__ == "__main__":
    main()
