"""One tenant beside another, at length and in figures: what listing and evicting touch, and what a flood takes from the
neighbour. BRINE_TENANTS_THOUSANDS (1,000) is the size of the large one, BRINE_TENANTS_SECONDS (60) the flood's time.
BRINE_TENANTS_LOAD names a folder in memory (/dev/shm) where the large one is loaded before it is moved to the disk:
ten million objects take minutes there, and an hour here."""

import os
import pathlib
import shutil
import struct
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))

import pytest  # noqa: E402

import harness  # noqa: E402
import strangers  # noqa: E402
from strangers import needs_uids, serve  # noqa: E402, F401 (a fixture)

pytestmark = needs_uids

ALICE, BOB = 61001, 61002
THOUSANDS = int(os.environ.get("BRINE_TENANTS_THOUSANDS", "1000"))
SECONDS = int(os.environ.get("BRINE_TENANTS_SECONDS", "60"))
MIB = 1 << 20


@pytest.fixture
def folder():
    with harness.private_folder() as path:
        yield path


def batch(client, prefix, numbers, size):
    """Puts them, as many in one request as fit a segment."""
    step = min(1000, 900000 // (size + 50))
    for start in range(0, len(numbers), step):
        body = b""
        for number in numbers[start:start + step]:
            header = harness.pack_map({"key": b"%s %d" % (prefix, number)})
            body += struct.pack("<BBHI", harness.PUT, 0, len(header), size) + header + bytes(size)
        assert client.call(strangers.BATCH, {}, body).kind == harness.REPLY


def load(folder, *arguments):
    """Bob's thousand objects and Alice's, in a store at folder/data."""
    daemon = strangers.Daemon(folder, "", *arguments).start()
    try:
        batch(daemon.as_uid(BOB), b"own", range(1000), 100)
        alice = daemon.as_uid(ALICE)
        for thousand in range(THOUSANDS):
            batch(alice, b"other", range(1000 * thousand, 1000 * thousand + 1000), 100)
        assert daemon.stop() == 0
    finally:
        daemon.kill()


def test_pages_that_listing_and_evicting_touch_beside_a_large_tenant(serve, folder):
    arguments = "--set", "max_size=64G", "--set", "min_free=0"
    with tempfile.TemporaryDirectory(dir=os.environ.get("BRINE_TENANTS_LOAD")) as loading:
        load(pathlib.Path(loading), *arguments)
        shutil.move(pathlib.Path(loading) / "data", folder / "data")
    daemon = serve("", *arguments)
    daemon.stop()
    path = daemon.data / "v1/data.mdb"
    if not strangers.forget_pages(path):
        pytest.skip("this file system keeps a file in memory that nobody uses")
    daemon.start()
    bob = daemon.as_uid(BOB)
    bob.get(b"absent")
    before = strangers.pages_in_memory(path)
    assert bob.call(harness.SCAN, {"limit": 4096}).count == 1000
    listed = strangers.pages_in_memory(path)
    # Bob's ceiling comes down: some of his objects go.
    daemon.reload(f"[user {BOB}]\nquota = 1M\n")
    batch(bob, b"more", range(1000), 4000)
    bob.call(harness.SYNC)
    evicted = strangers.pages_in_memory(path)
    gone = int(bob.stats()["default", "evicted"])
    print(f"\n{THOUSANDS} thousand objects beside a thousand, {path.stat().st_size >> 20} MiB: listing touched "
          f"{listed - before} pages of {path.stat().st_size // 4096}; evicting {gone} objects and storing a thousand "
          f"of 4,000 bytes touched {evicted - listed}")
    assert listed - before < 200


def gets(client, keys, seconds):
    """Share of hits, and the median and 99th percentile in microseconds."""
    hits, took, until, number = 0, [], time.monotonic() + seconds, 0
    while time.monotonic() < until:
        began = time.perf_counter()
        hits += client.get(b"own %d" % (number % keys)).body is not None
        took.append(time.perf_counter() - began)
        number += 1
    took.sort()
    return hits / number, took[number // 2] * 1e6, took[number * 99 // 100] * 1e6


def test_a_flood_takes_nothing_from_who_is_below_its_share(serve):
    daemon = serve("", "--set", "max_size=256M")
    bob, alice = daemon.as_uid(BOB), daemon.as_uid(ALICE)
    keys = 5000
    for start in range(0, keys, 1000):
        batch(bob, b"own", range(start, start + 1000), 4000)
    number = 0
    while int(daemon.client().stats()["", "evicted_objects"]) == 0:
        batch(alice, b"flood", range(number, number + 100), 20000)
        number += 100
    calm = gets(bob, keys, min(SECONDS, 10))
    stop = threading.Event()
    written = [number]

    def flood():
        while not stop.is_set():
            batch(alice, b"flood", range(written[0], written[0] + 100), 20000)
            written[0] += 100

    thread = threading.Thread(target=flood)
    thread.start()
    busy = gets(bob, keys, SECONDS)
    stop.set()
    thread.join()
    there = sum(bob.call(harness.META, {"key": b"own %d" % i}).status is None for i in range(keys))
    print(f"\nflood of {(written[0] - number) * 20000 >> 20} MiB in {SECONDS} s into a full store of 256 MiB: of the "
          f"neighbour's {keys} objects {there} are there; hits {calm[0]:.4f} before, {busy[0]:.4f} during; p50 "
          f"{calm[1]:.0f} and {busy[1]:.0f} us, p99 {calm[2]:.0f} and {busy[2]:.0f} us")
    assert there == keys and busy[0] == 1.0
