"""Usage: steady.py SOCKET ROUNDS. Uses a cache in every way, round after round, and says whether what it holds stays
the same: references to the objects it was given, Python's blocks of memory, and the process's own memory.

A round is some forty calls; steady.py SOCKET 25000 makes a million. Exits 1 if anything grew.
"""

import gc
import os
import sys
import warnings

import brine

# The interpreter itself keeps some things that it makes only now and then.
WARM_UP = 1300
# The interpreter keeps some now and then, up to 416 were seen: fewer than one for each round of the shortest run. Of the
# process's memory a leak of a few bytes a call shows in a long run.
OBJECTS_MAX = 900
MEMORY_MAX = 4 << 20


class Unloadable:
    def __reduce__(self):
        return int, ("x",)


class Rounds:
    def __init__(self, socket):
        self.cache = cache = brine.Cache(socket=socket, timeout=60, on_error="raise")
        self.json = brine.Cache("json", socket=socket, timeout=60, codec="json")
        self.away = brine.Cache(socket=socket + ".nobody")
        self.keys = ["text key", b"bytes key", ("tuple", 7), 2**70, 1.5, True, None, "long" * 400]
        self.values = [{"id": 4711, "tags": ["a", "b"]}, "text grün", b"bytes" * 100, 2**40, 2**80, [0.5] * 100, None]
        self.default, self.number = object(), 0

        @cache.memoize(ttl="1h")
        def double(x):
            return [x, x]

        self.double = double

    def go(self):
        cache, number = self.cache, self.number
        self.number += 1
        for key in self.keys:
            value = self.values[(number + len(str(key))) % len(self.values)]
            cache.set(key, value, ttl=60, tags=["t"])
            assert cache.get(key, self.default) == value
        assert cache.get("absent", self.default) is self.default and "absent" not in cache
        many = {("many", at): self.values[at] for at in range(5)}
        cache.set_many(many, ttl="1m")
        assert cache.get_many([*many, "absent"]) == many
        assert cache.setdefault("key", self.default if number < 0 else "x") == "x" and cache.add("key", 1) is False
        entry = cache.entry("key")
        assert cache.cas("key", ["y"], entry.version) and cache.cas("key", "x", entry.version) is False
        cache["key"] = "x"
        assert cache.incr(("n", number % 10)) > 0 and cache.touch("text key", None)
        assert cache.get_or_set("computed", lambda: ["z"]) == ["z"] and self.double(number % 10) == [number % 10] * 2
        self.json["key"] = {"a": [number, None]}
        assert self.json["key"] == {"a": [number, None]}
        assert self.away.get("key", self.default) is self.default
        if number % 50 == 0:  # these wait for the disk, or read everything
            assert cache.pop("key") == "x" and cache.pop("key", self.default) is self.default
            assert cache.delete("computed") and cache.delete_many(["a", "b"]) == 0
            assert len(list(cache.scan(("many",)))) == 5 and len(dict(cache.items())) > 5
        self.fail()

    def fail(self):
        """The ways out of an error drop what they hold as well."""
        cache = self.cache
        for call in (lambda: cache["absent"], lambda: cache.get([]), lambda: cache.set("key", lambda: 1),
                     lambda: self.json.set("key", (1,)), lambda: cache.set("key", 1, ttl=-1), lambda: cache.get("key", 1, 2),
                     lambda: cache.set("key", 1, tags=[1]), lambda: self.away.pop("key"), lambda: cache.incr(("many", 0)),
                     lambda: cache.get_many([[]]), lambda: cache.set_many({"key": lambda: 1})):
            try:
                call()
            except (KeyError, TypeError, ValueError, brine.BrineError):
                continue
            raise AssertionError("no error came")
        cache["broken"] = Unloadable()
        assert cache.get("broken", self.default) is self.default

    def held(self):
        gc.collect()
        return [sys.getrefcount(thing) for thing in (*self.keys, *self.values, self.default, self.cache) if thing not in (None, True)]


def memory():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"), sys.getallocatedblocks()


def main():
    socket, rounds = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    work = Rounds(socket)
    for _ in range(WARM_UP):
        work.go()
    nothing, references, (resident, blocks) = sys.getrefcount(None), work.held(), memory()
    for _ in range(rounds):
        work.go()
    nothing, references_now, (resident_now, blocks_now) = sys.getrefcount(None) - nothing, work.held(), memory()
    grown, more = resident_now - resident, blocks_now - blocks
    print(f"{rounds} rounds: memory {grown / 1024:+.0f} KiB, blocks {more:+d}, references to None {nothing:+d}, "
          f"to keys and values {sum(references_now) - sum(references):+d}")
    # A sanitizer keeps freed memory for itself.
    plain = "asan" not in os.environ.get("LD_PRELOAD", "")
    bad = (references_now[:-1] != references[:-1] or abs(references_now[-1] - references[-1]) > 1 or more > OBJECTS_MAX
           or abs(nothing) > OBJECTS_MAX or plain and grown > MEMORY_MAX)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
