"""One blocking Python client of one system. Usage: python_client.py SYSTEM WHERE WORK VALUE SECONDS.

Every system takes and gives the same Python object, and a set is over when it was answered: where the library
does not pickle by itself, this does, with pickle's newest protocol. Prints {"p50_us": ..., "rate": ...}; exits
with 3 and the reason when there is no such library here.
"""

import json
import pickle
import statistics
import sys
import time

KEYS = [f"key:{number}" for number in range(100)]
VALUES = {
    "dict": {"id": 4711, "name": "ada", "score": 0.5, "tags": ["a", "b"], "active": True},
    "list": [number * 0.37 for number in range(3300)],  # 29,722 bytes of pickle
}
MISSING = 3


def brine(where):
    import brine as library
    cache = library.Cache("bench", socket=where, on_error="raise")
    return cache.get, cache.set


def redis(where):
    import redis as library
    client = library.Redis(unix_socket_path=where)
    return (lambda key: pickle.loads(client.get(key)),
            lambda key, value: client.set(key, pickle.dumps(value, -1)))


def pymemcache(where):
    import pymemcache as library
    from pymemcache.serde import pickle_serde
    client = library.Client(where, serde=pickle_serde, default_noreply=False)
    return client.get, client.set


def pylibmc(where):
    import pylibmc as library
    client = library.Client([where])
    return client.get, client.set


def diskcache(where):
    import diskcache as library
    cache = library.Cache(where)
    return cache.get, cache.set


SYSTEMS = {function.__name__: function for function in (brine, redis, pymemcache, pylibmc, diskcache)}


def main():
    system, where, work, value, seconds = sys.argv[1:]
    value = VALUES[value]
    try:
        get, put = SYSTEMS[system](where)
    except ImportError as error:
        print(error)
        sys.exit(MISSING)
    for key in KEYS:
        put(key, value)
        if get(key) != value:
            sys.exit(f"{system} does not give back what it was given")
    call = (lambda key: put(key, value)) if work == "set" else get
    times, clock = [], time.perf_counter_ns
    begun = now = clock()
    end = begun + int(float(seconds) * 1e9)
    while now < end:
        for key in KEYS:
            before = clock()
            call(key)
            now = clock()
            times.append(now - before)
    print(json.dumps({"p50_us": statistics.median(times) / 1e3, "rate": len(times) * 1e9 / (now - begun)}))


if __name__ == "__main__":
    main()
