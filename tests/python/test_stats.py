"""What stats() and `python -m brine` show to a person."""

import asyncio
import os
import re
import subprocess
import sys

import pytest

import brine
import brine.aio
import wire
from harness import DEADLINE
from brine._stats import Stats, size_text


def test_stats_are_a_dict_and_print_as_a_table(cache):
    cache["key"] = [1]
    assert cache.get("key") == [1] and cache.get("nothing") is None
    stats = cache.stats()
    assert stats[cache.namespace]["objects"] == 1 and isinstance(stats, dict)
    head, row, *notes = str(stats).splitlines()
    assert head.split() == ["namespace", "objects", "room", "hits", "misses", "of", "gets", "saved", "expired", "evicted"]
    assert row.split()[:2] == [cache.namespace, "1"] and row.split()[3:6] == ["1", "1", "50%"]
    assert len(head) == len(row) < 80
    assert any("used" in note for note in notes) and repr(stats) == str(stats)


def test_a_notebook_shows_stats_as_an_html_table_in_which_names_are_escaped():
    stats = Stats({"<b>": {"objects": 1234, "hits": 3, "misses_absent": 1, "saved_us": 7_200_000_000, "held_bytes": 4096}, "": {}, "client": {"outages": 2}})
    html = stats._repr_html_()
    assert "<td>&lt;b&gt;</td><td>1,234</td><td>4.0K</td><td>3</td><td>1</td><td>75%</td><td>2.0h</td>" in html
    assert "2 calls without a daemon" in html and "<b>" not in html


def test_nothing_stored_is_said():
    assert "nothing is stored" in repr(Stats())


@pytest.mark.parametrize("size, text", [(0, "0B"), (1023, "1023B"), (1024, "1.0K"), (10_189, "10K"), (1023 * 1024, "1023K"),
                                        (1024**2 - 1, "1.0M"), (10_599_002_112, "9.9G"), (2**64, "16E")])
def test_sizes_read_as_the_command_line_writes_them(size, text):
    assert size_text(size) == text


def test_figures_that_are_refused_for_a_moment_raise_and_the_next_call_has_them(played):
    """A daemon lets few requests for figures of one uid wait. What else the cache does knows nothing of it."""
    async def work():
        async with brine.aio.Cache(socket=played.path, timeout=DEADLINE) as cache:
            played.errors["STATS"] = wire.ERRORS["BUSY"]
            with pytest.raises(brine.Unavailable, match="as the test wants"):
                await cache.stats()
            assert await cache.get("key") == 1
            del played.errors["STATS"]
            assert "daemon" in await cache.stats()

    with brine.Cache(socket=played.path, timeout=DEADLINE) as cache:
        played.errors["STATS"] = wire.ERRORS["BUSY"]
        with pytest.raises(brine.Unavailable, match="as the test wants"):
            cache.stats()
        cache["key"] = 1
        assert cache["key"] == 1
        del played.errors["STATS"]
        assert "daemon" in cache.stats()
    asyncio.run(work())


def run_module(env, *arguments):
    return subprocess.run([sys.executable, "-m", "brine", *arguments], env={**os.environ, **env}, capture_output=True, text=True)


def test_the_module_says_where_the_daemon_is_what_is_held_and_why_that_limit(cache, daemon):
    cache["key"] = "value"
    shown = run_module({"BRINE_SOCKET": str(daemon.socket)})
    assert shown.returncode == 0, shown.stderr
    assert str(daemon.socket) in shown.stdout and f"brine {brine.__version__}" in shown.stdout
    assert re.search(r"limit: \S+, which is \w+", shown.stdout), shown.stdout
    assert re.search(rf"^{cache.namespace} +\d", shown.stdout, re.MULTILINE), shown.stdout
