"""Usage: steady.py SOCKET ROUNDS [asyncio]. Uses a cache in every way, round after round, and says whether what it holds
stays the same: references to the objects it was given, Python's blocks of memory, and the process's own memory.

A round is some forty calls; steady.py SOCKET 25000 makes a million. Exits 1 if anything grew.
"""

import asyncio
import contextvars
import gc
import inspect
import os
import sys
import warnings

import brine
import brine.aio

# The interpreter itself keeps some things that it makes only now and then.
WARM_UP = 1300
# The interpreter keeps some now and then, up to 416 were seen: fewer than one for each round of the shortest run. Of the
# process's memory a leak of a few bytes a call shows in a long run.
OBJECTS_MAX = 900
MEMORY_MAX = 4 << 20


class Unloadable:
    def __reduce__(self):
        return int, ("x",)


class Given:
    """What the rounds of both kinds are given, and what is held of it."""

    def __init__(self, kind, socket):
        self.cache = kind(socket=socket, timeout=60, on_error="raise")
        self.json = kind("json", socket=socket, timeout=60, codec="json")
        self.away = kind(socket=socket + ".nobody")
        self.keys = ["text key", b"bytes key", ("tuple", 7), 2**70, 1.5, True, None, "long" * 400]
        self.values = [{"id": 4711, "tags": ["a", "b"]}, "text grün", b"bytes" * 100, 2**40, 2**80, [0.5] * 100, None]
        self.default, self.number = object(), 0

    def held(self):
        gc.collect()
        return [sys.getrefcount(thing) for thing in (*self.keys, *self.values, self.default, self.cache) if thing not in (None, True)]


class Rounds(Given):
    def __init__(self, socket):
        super().__init__(brine.Cache, socket)

        @self.cache.memoize(ttl="1h")
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


class AsyncRounds(Given):
    def __init__(self, socket):
        super().__init__(brine.aio.Cache, socket)

        @self.cache.memoize(ttl="1h")
        async def double(x):
            return [x, x]

        self.double = double

    async def go(self):
        cache, number = self.cache, self.number
        self.number += 1
        for key in self.keys:
            value = self.values[(number + len(str(key))) % len(self.values)]
            await cache.set(key, value, ttl=60, tags=["t"])
            assert await cache.get(key, self.default) == value
        assert await cache.get("absent", self.default) is self.default and not await cache.contains("absent")
        many = {("many", at): self.values[at] for at in range(5)}
        await cache.set_many(many, ttl="1m")
        assert await cache.get_many([*many, "absent"]) == many
        assert await cache.setdefault("key", "x") == "x" and await cache.add("key", 1) is False
        entry = await cache.entry("key")
        assert await cache.cas("key", ["y"], entry.version) and await cache.cas("key", "x", entry.version) is False
        await cache.set("key", "x")
        assert await cache.incr(("n", number % 10)) > 0 and await cache.touch("text key", None)
        assert await cache.get_or_set("computed", lambda: ["z"]) == ["z"] and await self.double(number % 10) == [number % 10] * 2
        await self.json.set("key", {"a": [number, None]})
        assert await self.json.get("key") == {"a": [number, None]}
        assert await self.away.get("key", self.default) is self.default
        if number % 50 == 0:  # these wait for the disk, or read everything
            assert await cache.pop("key") == "x" and await cache.pop("key", self.default) is self.default
            assert await cache.delete("computed") and await cache.delete_many(["a", "b"]) == 0
            assert len([key async for key in cache.scan(("many",))]) == 5 and len([pair async for pair in cache.items()]) > 5
        await self.cancel()
        await self.fail()

    async def cancel(self):
        """Before it is sent, while it is under way, and while it waits for a computation."""
        cache = self.cache

        async def compute():
            # Of another computation: this one would not wait for itself.
            waiter = asyncio.get_running_loop().create_task(
                cache.get_or_set("cancelled", not_me), context=contextvars.Context())
            await cache.get("key")
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
            raise ZeroDivisionError

        under_way = [asyncio.ensure_future(cache.get(key, self.default)) for key in self.keys]
        under_way[0].cancel()
        await asyncio.sleep(0)
        under_way[1].cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        try:
            await cache.get_or_set("cancelled", compute)
        except ZeroDivisionError:
            return
        raise AssertionError("no error came")

    async def fail(self):
        """The ways out of an error drop what they hold as well."""
        cache = self.cache
        for call in (lambda: cache.get([]), lambda: cache.set("key", lambda: 1), lambda: self.json.set("key", (1,)),
                     lambda: cache.set("key", 1, ttl=-1), lambda: cache.set("key", 1, tags=[1]), lambda: self.away.pop("key"),
                     lambda: cache.incr(("many", 0)), lambda: cache.get_many(["fine", []]), lambda: cache.pop("absent"),
                     lambda: cache.set_many({"key": lambda: 1})):
            try:
                await call()
            except (KeyError, TypeError, ValueError, brine.BrineError):
                continue
            raise AssertionError("no error came")
        await cache.set("broken", Unloadable())
        assert await cache.get("broken", self.default) is self.default


def not_me():
    raise AssertionError("another one computes")


def memory():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"), sys.getallocatedblocks()


async def go(work, rounds):
    for _ in range(rounds):
        done = work.go()
        if inspect.isawaitable(done):
            await done


async def main():
    socket, rounds = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    work = (AsyncRounds if sys.argv[3:] == ["asyncio"] else Rounds)(socket)
    await go(work, WARM_UP)
    nothing, references, (resident, blocks) = sys.getrefcount(None), work.held(), memory()
    await go(work, rounds)
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
    asyncio.run(main())
