"""Coroutines in tests: run to their end, and patient for a condition."""

import asyncio

from harness import DEADLINE


def run(coroutine, **more):
    """What it returns. A hang fails."""
    async def bounded():
        return await asyncio.wait_for(coroutine, DEADLINE)
    return asyncio.run(bounded(), **more)


async def until(condition):
    """Returns when the condition holds; raises when it never does."""
    async def look():
        while not condition():
            await asyncio.sleep(0.002)
    await asyncio.wait_for(look(), DEADLINE)


async def turns(count):
    """Lets the loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def others_wait(cache, count):
    """Returns when so many have waited for a lease, by the daemon's own count."""
    async def look():
        while (await cache.stats()).get(cache.namespace, {}).get("waits", 0) < count:
            await asyncio.sleep(0.002)
    await asyncio.wait_for(look(), DEADLINE)


def link_of(cache):
    """The running loop's connection."""
    return cache._links[asyncio.get_running_loop()]
