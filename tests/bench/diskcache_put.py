"""Puts into a diskcache whose every commit is flushed. Usage: diskcache_put.py DIR SECONDS."""

import json
import random
import sys
import time

import diskcache

OBJECTS = 1000


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2])
    value, count = b"v" * 100, 0
    with diskcache.Cache(folder, sqlite_synchronous=2) as cache:
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            cache.set(f"k{random.randrange(OBJECTS):015x}", value)
            count += 1
        print(json.dumps({"rate": count / (time.monotonic() - begun)}))


if __name__ == "__main__":
    main()
