"""The world's faults: a full disk, no descriptors, a directory that cannot be written, is deleted or belongs
to another daemon, a damaged file, another release's store, clocks that jump."""

import contextlib
import mmap
import os
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import time

import pytest

from peers import BUILD, HUNG, Daemon, missing, wire

pytestmark = pytest.mark.skipif(missing("brined") is not None, reason=str(missing("brined")))

DISK, ABSENT_ONLY = 2, 1

# What one last commit may evict between the figure and the end of the daemon (room.c's EVICT_MIN).
EVICTED_BEFORE_THE_END = 64


def put(peer, key, value, **fields):
    reply = peer.ask("PUT", {"KEY": key, **fields}, value)
    return None if reply.kind == wire.REPLY else reply.named["ERROR"]


def get(peer, key):
    """The value, None for a miss."""
    reply = peer.ask("GET", {"KEY": key})
    assert reply.kind == wire.REPLY, reply
    return None if reply.named.get("STATUS") else reply.body


def figure(peer, name):
    for line in peer.ask("STATS").body.decode().splitlines():
        scope, what, value = line.split("\t")
        if scope == "" and what == name:
            return int(value)
    raise KeyError(name)


def value_of(number, size=3000):
    return random.Random(number).randbytes(size)


def until(true, what):
    """Waits for what has to become true; the deadline only means "hung"."""
    deadline = time.monotonic() + HUNG
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@contextlib.contextmanager
def daemon_at(data, *settings, program="brined", env=None, files=None):
    """A daemon whose data directory is given, stopped but not yet started when settings are wrong."""
    daemon = Daemon.__new__(Daemon)
    base = Daemon(*settings)
    base.close_peers()
    base.process.terminate()
    base.process.wait(HUNG)
    daemon.__dict__.update(base.__dict__)
    where = daemon.command.index("--data") + 1
    daemon.command[where] = str(data)
    daemon.command[0] = BUILD / program
    daemon.env.update(env or {})
    if files:
        daemon.command[:0] = ["/usr/bin/prlimit", f"--nofile={files}:{files}"]
    daemon.restart()
    try:
        yield daemon
    finally:
        daemon.close()


@contextlib.contextmanager
def small_disk(mib, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}M,mode=0700", "brine-test", folder],
                             stderr=subprocess.PIPE, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill_disk(path):
    """Takes all that is left, to the last byte."""
    with open(path, "wb", buffering=0) as hog:
        block = b"x" * (1 << 20)
        while len(block) > 0:
            try:
                while hog.write(block) == len(block):
                    pass
            except OSError:
                pass
            block = block[:len(block) // 2]


@pytest.mark.parametrize("size", [900, 3000, 200000])
def test_a_disk_that_fills_under_load_is_told_as_such_and_loses_nothing_that_was_acknowledged(tmp_path, size):
    with small_disk(96, tmp_path) as disk, daemon_at(disk, "max_size=1G", "min_free=0") as daemon:
        peer, kept, refused = daemon.peer(), {}, 0

        def load(count):
            nonlocal refused
            for _ in range(count):
                number = len(kept) + refused
                error = put(peer, b"key-%d" % number, value_of(number, size),
                            ACK=DISK if number % 3 else 1)
                if error is None:
                    kept[number] = True
                else:
                    assert error == wire.ERRORS["DISK_FULL"], error
                    refused += 1

        many = min(2000, 8_000_000 // size)
        load(many)
        fill_disk(disk / "hog")
        load(many)
        during = refused
        assert all(get(peer, b"key-%d" % number) in (None, value_of(number, size)) for number in kept)
        (disk / "hog").unlink()
        until(lambda: put(peer, b"again", b"again", ACK=DISK) is None, "puts go on when there is room again")
        refused_before = refused
        load(many // 4)
        assert refused == refused_before
        print(f"full disk, {size} bytes: {during} of {many} puts refused")
        evicted = 0  # by daemons that have ended
        for ending in ("process.kill", "process.terminate"):
            absent = 0
            for number in kept:
                found = get(peer, b"key-%d" % number)
                assert found in (None, value_of(number, size)), number
                absent += found is None
            # Eviction goes on while we look, so its count is read behind the objects'.
            assert absent <= evicted + figure(peer, "evicted_objects")
            assert peer.ask("SYNC").kind == wire.REPLY
            evicted += figure(peer, "evicted_objects") + EVICTED_BEFORE_THE_END
            daemon.close_peers()
            if ending == "process.kill":
                daemon.process.kill()
            else:
                daemon.process.terminate()
            daemon.process.wait(HUNG)
            daemon.restart()
            peer = daemon.peer()
        assert "is full" in daemon.said() or not during


def test_without_descriptors_left_those_who_are_connected_are_served_and_others_later(tmp_path):
    with daemon_at(tmp_path, files=64) as daemon:
        first = daemon.peer()
        assert put(first, b"a", b"one") is None
        others, refused = [], 0
        for _ in range(100):
            try:
                others.append(daemon.peer())
            except (OSError, AssertionError, EOFError):
                refused += 1
        # An idle connection may have had to go for a new one: then the client comes again.
        try:
            assert get(first, b"a") == b"one"
        except (OSError, AssertionError, EOFError):
            daemon.close_peers()
            assert get(daemon.peer(), b"a") == b"one"
        daemon.close_peers()
        for other in others:
            other.close()
        last = daemon.peer()
        assert get(last, b"a") == b"one"
        assert put(last, b"b", value_of(1, 5_000_000 // 5), ACK=DISK) is None


def refused_start(data, *more):
    command = [BUILD / "brined", "--socket", str(data) + ".sock", "--data", data, *more]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=HUNG, check=False)
    assert ended.returncode > 0, ended
    return ended.stderr


def test_a_directory_that_cannot_be_written_is_named_and_the_daemon_leaves(tmp_path):
    (tmp_path / "file").write_text("no directory")
    assert str(tmp_path / "file") in refused_start(tmp_path / "file")
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        assert str(tmp_path / "closed") in refused_start(tmp_path / "closed")
        return
    with small_disk(8, tmp_path) as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        said = refused_start(disk)
        assert str(disk) in said and "ead-only" in said, said


def test_a_second_daemon_of_the_same_directory_is_refused_and_the_first_goes_on(tmp_path):
    with daemon_at(tmp_path) as daemon:
        peer = daemon.peer()
        assert put(peer, b"a", b"one") is None
        said = refused_start(tmp_path)
        assert str(tmp_path) in said and str(daemon.process.pid) in said, said
        assert get(peer, b"a") == b"one"


@pytest.mark.parametrize("what", ["data.mdb", "v1", "."])
def test_a_deleted_store_is_noticed_said_and_served_empty(tmp_path, what):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with daemon_at(data) as daemon:
        peer = daemon.peer()
        assert put(peer, b"a", b"one", ACK=DISK) is None
        if what == "data.mdb":
            (data / "v1/data.mdb").unlink()
        else:
            shutil.rmtree(data / what)

        def empty():
            try:
                with contextlib.closing(daemon.peer()) as other:
                    return get(other, b"a") is None and put(other, b"b", b"two", ACK=DISK) is None
            except (OSError, AssertionError, EOFError):
                return False
        began = time.monotonic()
        until(empty, f"a new store after {what} was deleted; {daemon.said()}")
        print(f"deleted {what}: served empty after {time.monotonic() - began:.1f} s")
        assert "deleted" in daemon.said()
        until(lambda: (data / "v1/data.mdb").exists(), "a file in its place")
        # What was stored since survives the next start.
        daemon.close_peers()
        daemon.process.terminate()
        daemon.process.wait(HUNG)
        daemon.restart()
        assert get(daemon.peer(), b"b") == b"two"


def damage(path, how, chance):
    size = path.stat().st_size
    if how == "text":
        path.write_text("This is no database.\n" * 1000)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        os.truncate(path, size // 2)
    elif how == "cut within a page":
        os.truncate(path, size - 2000)
    else:
        with open(path, "r+b") as file:
            if how == "zeroed meta pages":
                file.write(bytes(8192))
            elif how == "random meta pages":
                file.write(chance.randbytes(8192))
            else:
                file.seek(chance.randrange(2 * 4096, max(size - 40960, 2 * 4096 + 1)))
                file.write(chance.randbytes(40960))


@pytest.mark.parametrize("how", ["text", "empty", "truncated", "cut within a page", "zeroed meta pages",
                                 "random meta pages"])
def test_a_damaged_file_is_said_moved_aside_and_replaced_by_an_empty_one(tmp_path, how):
    with daemon_at(tmp_path) as daemon:
        peer = daemon.peer()
        for number in range(500):
            assert put(peer, b"key-%d" % number, value_of(number)) is None
        version = peer.ask("PUT", {"KEY": b"last", "ACK": DISK}, b"x").named["VERSION"]
        daemon.close_peers()
        daemon.process.terminate()
        daemon.process.wait(HUNG)
        damage(tmp_path / "v1/data.mdb", how, random.Random(1))
        daemon.restart()
        peer = daemon.peer()
        for number in range(500):
            assert get(peer, b"key-%d" % number) in (None, value_of(number))
        reply = peer.ask("PUT", {"KEY": b"new", "ACK": DISK}, b"new")
        assert reply.named["VERSION"] > version, "no number is given twice"
        assert get(peer, b"new") == b"new"
        if how not in ("empty",):
            assert "moved aside" in daemon.said()
            assert len(list(tmp_path.glob("v1*"))) == 2


def comes_back(daemon):
    """A connection to the daemon, which may have to start anew: by itself, or (a supervisor's work) by us.
    Returns it, and whether the daemon had died."""
    deadline, died = time.monotonic() + HUNG, False
    daemon.close_peers()
    while True:
        if daemon.process.poll() is not None:
            died = True
            daemon.restart()
        try:
            return daemon.peer(), died
        except (OSError, AssertionError, EOFError):
            assert time.monotonic() < deadline, daemon.said()[-3000:]


@pytest.mark.skipif(BUILD.name in ("asan", "tsan"),
                    reason="LMDB itself reads beyond a damaged page: a sanitizer ends the daemon at once")
@pytest.mark.parametrize("start", ["after", "under"])
def test_random_bytes_in_the_middle_of_the_file_are_never_an_answer_and_the_daemon_comes_back(tmp_path, start):
    seed = int(os.environ.get("BRINE_SEED", 1))
    chance = random.Random(seed)
    for round_ in range(int(os.environ.get("BRINE_ROUNDS", 4))):
        data = tmp_path / str(round_)
        data.mkdir(mode=0o700)
        with daemon_at(data) as daemon:
            wrong_bytes(daemon, data, chance, start, f"seed {seed}, round {round_}")


def wrong_bytes(daemon, data, chance, start, where):
    values = {b"key-%d" % number: value_of(number, 600 if number % 20 else 90000) for number in range(3000)}
    peer, right, deaths = daemon.peer(), 0, 0
    for key, value in values.items():
        assert put(peer, key, value) is None
    assert peer.ask("SYNC").kind == wire.REPLY
    if start == "after":  # it finds the damage at its start or later
        daemon.close_peers()
        daemon.process.terminate()
        daemon.process.wait(HUNG)
    damage(data / "v1/data.mdb", "middle", chance)
    if start == "after":
        daemon.restart()
        peer = daemon.peer()
    for number, (key, value) in enumerate(values.items()):
        try:
            reply = peer.ask("GET", {"KEY": key})
            if number % 3 == 0:
                peer.ask("PUT", {"KEY": b"new-%d" % number, "ACK": DISK if number % 30 == 0 else 1}, b"new")
        except (OSError, EOFError, AssertionError):
            peer, died = comes_back(daemon)
            deaths += died
            assert deaths < 4, f"it dies again and again, {where}:\n{daemon.said()[-3000:]}"
            continue
        if reply.kind == wire.ERROR:
            assert reply.named["ERROR"] < 32, reply
        elif not reply.named.get("STATUS") and reply.body is not None:
            assert reply.body == value, f"{key}, {where}"
            right += 1
    print(f"{where}: {right} of 3000 right, {deaths} deaths")
    until(lambda: put(comes_back(daemon)[0], b"after", b"after", ACK=DISK) is None, "puts go on")
    assert get(comes_back(daemon)[0], b"after") == b"after"


def tree(file, number):
    """Root page and depth of one of LMDB's own two tables: of free pages, of everything."""
    metas = [4096 * page + 40 for page in (0, 1)]
    newest = max(metas, key=lambda at: struct.unpack_from("<Q", file, at + 104)[0]) + 48 * number
    return struct.unpack_from("<Q", file, newest + 40)[0], struct.unpack_from("<H", file, newest + 6)[0]


def nodes(file, page):
    lower, = struct.unpack_from("<H", file, 4096 * page + 12)
    return [4096 * page + at for at in struct.unpack_from(f"<{(lower - 16) // 2}H", file, 4096 * page + 16)]


def free_records(path):
    """Where LMDB's records of free pages begin in the file: each is a count and so many page numbers."""
    file = path.read_bytes()
    page, depth = tree(file, 0)
    assert depth == 1
    for at in nodes(file, page):
        flags, key_size = struct.unpack_from("<HH", file, at + 4)
        data = at + 8 + key_size
        yield struct.unpack_from("<Q", file, data)[0] * 4096 + 16 if flags & 1 else data


def test_a_broken_list_of_free_pages_is_found_damaged_and_not_taken_for_a_lack_of_memory(tmp_path):
    with daemon_at(tmp_path) as daemon:
        peer = daemon.peer()
        for number in range(1000):
            assert put(peer, b"key-%d" % (number % 300), value_of(number, 1000)) is None
        assert peer.ask("SYNC").kind == wire.REPLY
        daemon.close_peers()
        daemon.process.terminate()
        daemon.process.wait(HUNG)
        places = list(free_records(tmp_path / "v1/data.mdb"))
        assert places
        with open(tmp_path / "v1/data.mdb", "r+b") as file:
            for at in places:
                file.seek(at)
                file.write(struct.pack("<Q", 0x80000001))
        daemon.restart()

        def stored():
            with contextlib.closing(comes_back(daemon)[0]) as peer:
                try:
                    return put(peer, b"after", b"after", ACK=DISK) is None
                except (OSError, EOFError, AssertionError):
                    return False
        until(stored, f"puts go on; {daemon.said()}")
        assert "damaged" in daemon.said() and "moved aside" in daemon.said()


def test_a_tree_that_is_a_branch_of_itself_is_found_damaged_and_not_met_again_at_every_start(tmp_path):
    with daemon_at(tmp_path) as daemon:
        peer = daemon.peer()
        for number in range(1000):
            assert put(peer, b"key-%d" % number, value_of(number, 1000)) is None
        daemon.close_peers()
        daemon.process.terminate()
        daemon.process.wait(HUNG)
        file = bytearray((tmp_path / "v1/data.mdb").read_bytes())
        root, depth = tree(file, 1)
        assert depth > 1
        for at in nodes(file, root):
            struct.pack_into("<HHH", file, at, root & 0xffff, root >> 16, 0)
        (tmp_path / "v1/data.mdb").write_bytes(file)
        daemon.restart()
        assert put(daemon.peer(), b"after", b"after", ACK=DISK) is None
        assert "moved aside" in daemon.said()


def test_a_store_of_another_release_beside_ours_is_said_and_counts_towards_the_limit(tmp_path):
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2/data").write_bytes(b"x" * (20 << 20))
    with daemon_at(tmp_path, "max_size=64M") as daemon:
        assert str(tmp_path / "v2") in daemon.said()
        peer = daemon.peer()
        assert figure(peer, "limit_bytes") <= 44 << 20
        for number in range(700):
            assert put(peer, b"key-%d" % number, value_of(number % 7, 100000)) is None
        assert peer.ask("SYNC").kind == wire.REPLY
        used = sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*"))
        assert used <= 1.1 * (64 << 20)
        assert not (tmp_path / "v2").exists(), "it goes before anything live does"


# ---- clocks, in a daemon that reads them from a file

HOUR_US = 3600 * 1_000_000


class Clock:
    def __init__(self, path):
        path.write_bytes(bytes(24))
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 24)

    def step(self, us):
        """The system clock alone jumps."""
        self.page[16:24] = struct.pack("<q", struct.unpack("<q", self.page[16:24])[0] + us)

    def sleep(self, us):
        """Time passes."""
        for at, scale in ((0, 1000), (8, 1), (16, 1)):
            self.page[at:at + 8] = struct.pack("<q", struct.unpack("<q", self.page[at:at + 8])[0] + us * scale)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "clock")


@contextlib.contextmanager
def timed(tmp_path):
    if missing("crash/clock_main"):
        pytest.skip(missing("crash/clock_main"))
    (tmp_path / "data").mkdir(mode=0o700)
    env = {"BRINE_TEST_CLOCK": str(tmp_path / "clock")}
    with daemon_at(tmp_path / "data", program="crash/clock_main", env=env) as daemon:
        yield daemon


def again(daemon):
    daemon.close_peers()
    daemon.process.terminate()
    daemon.process.wait(HUNG)
    daemon.restart()
    return daemon.peer()


def ttl_left(peer, key):
    return peer.ask("META", {"KEY": key}).named.get("TTL_LEFT")


def test_time_that_passes_expires_and_a_clock_that_steps_forward_is_followed(tmp_path, clock):
    with timed(tmp_path) as daemon:
        peer = daemon.peer()
        put(peer, b"short", b"x", TTL=3600_000)
        put(peer, b"long", b"x", TTL=10 * 3600_000)
        clock.sleep(2 * HOUR_US)
        until(lambda: get(peer, b"short") is None, "it expires when time passes")
        assert 7 * 3600_000 < ttl_left(peer, b"long") <= 8 * 3600_000
        clock.step(7 * HOUR_US)
        until(lambda: ttl_left(peer, b"long") <= 3600_000, "the step is followed")
        clock.step(2 * HOUR_US)
        until(lambda: get(peer, b"long") is None, "it expires when the clock steps forward")


def test_a_clock_that_steps_back_expires_nothing_early_revives_nothing_and_repeats_no_version(tmp_path, clock):
    with timed(tmp_path) as daemon:
        peer = daemon.peer()
        put(peer, b"gone", b"x", TTL=1000)
        put(peer, b"long", b"x", TTL=10 * 3600_000)
        clock.sleep(HOUR_US)
        until(lambda: get(peer, b"gone") is None, "expired")
        versions = [peer.ask("PUT", {"KEY": b"v"}, b"x").named["VERSION"]]
        for step in (-5 * HOUR_US, 3 * HOUR_US, -20 * HOUR_US, -24 * 365 * HOUR_US):
            clock.step(step)
            assert get(peer, b"gone") is None
            assert get(peer, b"long") == b"x"
            left = ttl_left(peer, b"long")
            assert 8.9 * 3600_000 < left <= 9 * 3600_000
            versions.append(peer.ask("PUT", {"KEY": b"v", "ACK": DISK}, b"x").named["VERSION"])
        # The clock is a year behind the last commit now: a start says so, and goes on from its own time
        # only where that is not over a day ahead.
        peer = again(daemon)
        assert get(peer, b"gone") is None or "ignored" in daemon.said()
        versions.append(peer.ask("PUT", {"KEY": b"v"}, b"x").named["VERSION"])
        assert versions == sorted(set(versions))


def test_a_start_with_a_clock_an_hour_behind_goes_on_from_the_last_commit(tmp_path, clock):
    with timed(tmp_path) as daemon:
        peer = daemon.peer()
        put(peer, b"gone", b"x", TTL=60_000, ACK=DISK)
        put(peer, b"long", b"x", TTL=10 * 3600_000, ACK=DISK)
        clock.sleep(HOUR_US)
        until(lambda: get(peer, b"gone") is None, "expired")
        put(peer, b"now", b"x", ACK=DISK)
        clock.step(-HOUR_US // 2)
        peer = again(daemon)
        assert get(peer, b"gone") is None
        assert 8.9 * 3600_000 < ttl_left(peer, b"long") <= 9 * 3600_000
        assert "behind" in daemon.said()
        clock.step(-48 * HOUR_US)
        peer = again(daemon)
        assert "ignored" in daemon.said()
        assert get(peer, b"long") == b"x"
        assert put(peer, b"new", b"x", TTL=1000, ACK=DISK) is None
        clock.sleep(2_000_000)
        until(lambda: get(peer, b"new") is None, "time goes on")


def test_a_computation_of_ten_minutes_keeps_its_lease_past_every_idle_timeout(tmp_path, clock):
    with timed(tmp_path) as daemon:
        holder, waiter, idler = daemon.peer(), daemon.peer(), daemon.peer()
        token = holder.ask("GET", {"KEY": b"k", "LEASE": 1}).named["TOKEN"]
        id_ = waiter.request("GET", {"KEY": b"k", "LEASE": 1})
        waiter.ask("PING")
        idler.send(b"\1\3\0\0")  # half a request
        clock.sleep(600 * 1_000_000)
        assert idler.receive() is None  # what owes something is closed by its timeout
        put(holder, b"k", b"value", TOKEN=token)
        reply = waiter.receive()
        assert (reply.id, reply.body) == (id_, b"value")
