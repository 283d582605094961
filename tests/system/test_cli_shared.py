"""The command line where several programs share what is stored: counters, take, tags, stale values, waiting."""

import json
import os
import subprocess
import time

import pytest

from brine_command import BRINE, HUNG, Rig, end, peer_pid

DONE, MISS, USAGE, UNREACHABLE, REFUSED, OTHER = range(6)


@pytest.fixture(scope="module")
def daemon():
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def brine(daemon, request):
    """The command in a namespace that only this test has."""
    daemon.env["BRINE_NAMESPACE"] = request.node.name.replace("[", "-").replace("]", "")[:64]
    return daemon


def status(result):
    return result.returncode


# ---- counters

def test_incr_counts_and_shows_what_it_stands_at(brine):
    assert brine.done("incr", "n") == b"1\n"
    assert brine.done("incr", "n", "41") == b"42\n"
    assert brine.done("incr", "n", "-50", "--initial", "7") == b"-8\n"
    assert brine.done("incr", "n", "0") == b"-8\n"
    assert brine.done("get", "n") == b"-8"
    assert json.loads(brine.done("incr", "n", "--json")) == {"key": "n", "type": "text", "value": -7}


def test_incr_makes_a_counter_from_its_initial_value_unless_it_must_be_there(brine):
    assert brine.done("incr", "n", "5", "--initial", "-100", "--ttl", "1h") == b"-95\n"
    left = json.loads(brine.done("meta", "n", "--json"))["ttl_left_ms"]
    assert 3500_000 < left <= 3600_000
    brine.done("incr", "n", "--ttl", "1d")
    assert json.loads(brine.done("meta", "n", "--json"))["ttl_left_ms"] <= left
    assert status(brine("incr", "absent", "--if-present")) == MISS
    assert status(brine("meta", "absent")) == MISS


def test_what_is_no_counter_or_would_leave_64_bits_is_refused_and_stays(brine):
    brine.done("put", "text", "-v", "seven")
    result = brine("incr", "text")
    assert status(result) == REFUSED and b"`brine put --int -v 0 text` makes it one" in result.stderr
    assert brine.done("get", "text") == b"seven"
    brine.done("put", "n", "--int", "-v", "9223372036854775807")
    result = brine("incr", "n")
    assert status(result) == REFUSED and b"stays as it is" in result.stderr
    assert brine.done("get", "n") == b"9223372036854775807"
    for written in ("x", "1.5", "9223372036854775808", ""):
        assert status(brine("incr", "n", written)) == USAGE


def test_no_two_callers_are_shown_the_same_step(brine):
    callers = [subprocess.Popen([BRINE, "incr", "n"], env=brine.env, stdout=subprocess.PIPE) for _ in range(20)]
    shown = [int(caller.communicate(timeout=HUNG)[0]) for caller in callers]
    assert sorted(shown) == list(range(1, 21))


# ---- take

def test_take_gives_the_value_once(brine):
    brine.done("put", "key", input=b"\0value")
    assert brine.done("take", "key") == b"\0value"
    result = brine("take", "key")
    assert (status(result), result.stdout, result.stderr) == (MISS, b"", b"")
    brine.done("put", "n", "--int", "-v", "-7")
    assert json.loads(brine.done("take", "n", "--json"))["value"] == -7
    brine.done("put", "key", "-v", "to a file")
    brine.done("take", "key", "-o", "taken")
    assert (brine.home / "taken").read_bytes() == b"to a file"
    assert brine.done("keys") == b""


def test_of_twenty_that_take_one_gets_it(brine):
    brine.done("put", "key", "-v", "value")
    takers = [subprocess.Popen([BRINE, "take", "key"], env=brine.env, stdout=subprocess.PIPE) for _ in range(20)]
    got = [taker.communicate(timeout=HUNG)[0] for taker in takers]
    assert sorted(got) == [b""] * 19 + [b"value"]
    assert sorted(taker.returncode for taker in takers) == [DONE] + [MISS] * 19


def test_take_leaves_an_object_of_another_version(brine):
    version = json.loads(brine.done("put", "key", "--json", input=b"first"))["version"]
    assert status(brine("take", "key", "--if-version", str(version - 1))) == MISS
    assert brine.done("take", "key", "--if-version", str(version)) == b"first"


def test_what_cannot_be_written_is_not_lost(brine):
    brine.done("put", "key", "--ttl", "1h", "--codec", "json", input=b"{}")
    for arguments in (["-o", "no/such/folder/file"], ["-o", "/dev/full"]):
        result = brine("take", "key", *arguments)
        assert status(result) == OTHER and b"was stored again" in result.stderr, arguments
        meta = json.loads(brine.done("get", "key", "--json"))
        assert (meta["value"], meta["codec"]) == ("{}", "json") and 3500_000 < meta["ttl_left_ms"] <= 3600_000


def test_take_removes_nothing_that_a_terminal_is_spared(brine):
    brine.done("put", "key", input=b"\x80\0")
    version = json.loads(brine.done("meta", "key", "--json"))["version"]
    result, shown = brine.on_terminal("take", "key")
    assert result == OTHER and b"is no text" in shown
    assert json.loads(brine.done("meta", "key", "--json"))["version"] == version
    brine.done("put", "key", "-v", "text")
    assert brine.on_terminal("take", "key") == (DONE, b"text\r\n")
    assert brine.on_terminal("take", "key") == (MISS, b"brine: take: no such object: key\r\n")


# ---- tags

@pytest.mark.parametrize("tag, part", [("", b"has 0 bytes"), ("x" * 256, b"has 256 bytes")], ids=["empty", "long"])
def test_a_tag_that_cannot_be_is_a_usage_error(brine, tag, part):
    for arguments in (["put", "key", "-v", "x", "--tag", tag], ["invalidate", tag]):
        result = brine(*arguments)
        assert status(result) == USAGE and part in result.stderr


def test_seventeen_tags_are_too_many(brine):
    tags = [f"--tag=t{i}" for i in range(17)]
    brine.done("put", "key", "-v", "x", *tags[:16], "--tag=t3")
    result = brine("put", "key", "-v", "x", *tags)
    assert status(result) == USAGE and b"from 't16' on; 16 is the most" in result.stderr


def test_invalidating_a_tag_removes_what_carries_it_and_what_comes_later_stays(brine):
    brine.done("put", "both", "-v", "x", "--tag", "a", "--tag", "b")
    brine.done("put", "other", "-v", "x", "--tag", "c")
    brine.done("put", "elsewhere", "-v", "x", "--tag", "a", "-n", brine.env["BRINE_NAMESPACE"][:50] + ".other")
    brine.done("put", "plain", "-v", "x")
    brine.done("put", "replaced", "-v", "x", "--tag", "b")
    brine.done("put", "replaced", "-v", "y")
    assert json.loads(brine.done("invalidate", "b", "nobody-has-this", "--json")) == {"invalidated_tags": 2}
    assert sorted(brine.done("keys").split()) == [b"other", b"plain", b"replaced"]
    assert brine.done("get", "elsewhere", "-n", brine.env["BRINE_NAMESPACE"][:50] + ".other") == b"x"
    brine.done("put", "both", "-v", "later", "--tag", "b", "--ack", "disk")
    assert brine.done("get", "both") == b"later"
    brine.done("invalidate", "b", "c", "--ack", "memory")
    assert sorted(brine.done("keys").split()) == [b"plain", b"replaced"]


# ---- stale values

def test_an_expired_value_is_given_to_who_takes_stale_ones(brine):
    brine.done("put", "key", "-v", "old", "--ttl", "1ms", "--stale", "1h")
    until = time.monotonic() + HUNG
    while status(brine("get", "key")) != MISS:
        assert time.monotonic() < until
    assert brine.done("get", "key", "--stale") == b"old"
    meta = json.loads(brine.done("get", "key", "--stale", "--json"))
    assert (meta["value"], meta["ttl_left_ms"]) == ("old", 0) and meta["stale_ms"] > 0
    brine.done("put", "key", "-v", "gone", "--ttl", "1ms")
    while status(brine("get", "key")) != MISS:
        assert time.monotonic() < until
    assert status(brine("get", "key", "--stale")) == MISS


def test_a_stale_window_needs_a_time_to_live(brine):
    for ttl in ([], ["--ttl", "never"]):
        result = brine("put", "key", "-v", "x", "--stale", "1h", *ttl)
        assert status(result) == USAGE and b"needs --ttl" in result.stderr


# ---- waiting

def waits(brine):
    spaces = json.loads(brine.done("stats", "--json"))["namespaces"]
    return spaces.get(brine.env.get("BRINE_NAMESPACE", "default"), {"waits": 0})["waits"]


def wait_for(brine, *arguments):
    """A `get --wait` that waits."""
    before = waits(brine)
    process = subprocess.Popen([BRINE, "get", *arguments], env=brine.env, cwd=brine.home, stdout=subprocess.PIPE)
    until = time.monotonic() + HUNG
    while waits(brine) == before:
        assert time.monotonic() < until and process.poll() is None
    return process


@pytest.mark.parametrize("value", [b"", b"soon\n", os.urandom(3 << 20)], ids=["empty", "text", "large"])
def test_who_waits_gets_what_somebody_stores(brine, value):
    waiters = [wait_for(brine, "--wait", "key"), wait_for(brine, "--wait=1h", "key"),
               wait_for(brine, "key", "--wait", "-o", "file"), wait_for(brine, "key", "--wait", "--json")]
    brine.done("put", "key", input=value)
    said = [waiter.communicate(timeout=HUNG)[0] for waiter in waiters]
    assert [waiter.returncode for waiter in waiters] == [DONE] * 4
    assert said[:3] == [value, value, b""] and (brine.home / "file").read_bytes() == value
    assert json.loads(said[3])["length"] == len(value)
    assert brine.done("get", "--wait", "key") == value


def test_a_wait_that_is_over_is_a_miss(brine):
    assert status(brine("get", "--wait=1ms", "key")) == MISS
    assert status(brine("get", "--wait=1ms", "key", "--json")) == MISS
    assert not (brine.home / "kept").exists()
    assert status(brine("get", "--wait=1ms", "key", "-o", "kept")) == MISS
    assert not (brine.home / "kept").exists()


def test_who_waits_is_told_when_the_daemon_is_gone():
    rig = Rig(daemon=False)
    rig.env["BRINE_DATA"] = str(rig.home / "data")
    try:
        rig.done("put", "key", "-v", "x")
        rig.env["BRINE_AUTOSTART"] = "0"
        waiter = wait_for(rig, "--wait", "absent")
        end(peer_pid(rig.home / "data/brine.sock"))
        assert waiter.wait(HUNG) == UNREACHABLE
    finally:
        rig.close()
