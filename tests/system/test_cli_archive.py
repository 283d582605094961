"""brine export and brine import: whole objects, checksums that notice everything, and nothing half done."""

import contextlib
import json
import random
import signal
import subprocess
import threading
import time

import pytest

import harness
import strangers  # noqa: F401  (names more fields)
from brine_command import BRINE, HUNG, Rig


@pytest.fixture
def rigs():
    made = []

    def make(*settings):
        made.append(Rig(*settings, patience=True))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(rigs):
    rig = rigs()
    rig.done("put", "text", "-v", "hello", "-c", "text", "--ttl", "1h", "--stale", "10m", "--cost", "3s")
    rig.done("put", "empty", "-v", "")
    rig.done("put", "count", "-i", "-v", "-42")
    rig.done("put", "x" * 2000, "-v", "a key that is shortened")
    rig.done("put", "(1, b'b', None)", "-k", "python", "-v", "typed")
    (rig.home / "large").write_bytes(random.Random(1).randbytes(3_000_000))
    rig.done("put", "large", "large")
    rig.done("put", "code", "-v", "pickled", "-c", "pickle")
    return rig


def listing(rig, *arguments):
    """Everything about each object that a copy should have."""
    lines = [json.loads(line) for line in rig.done("keys", "--json", *arguments).splitlines()]
    for line in lines:
        for name in ("version", "ttl_left_ms", "age_ms"):
            line.pop(name, None)
    return sorted(lines, key=str)


def test_a_copy_elsewhere_has_every_object_with_all_that_belongs_to_it(rig, rigs):
    rig.done("export", "-o", "file")
    other = rigs()
    other.done("import", str(rig.home / "file"))
    assert len(listing(other)) == 7 and listing(other) == listing(rig)
    assert other.done("get", "large") == (rig.home / "large").read_bytes()
    assert other.done("get", "count") == b"-42"
    meta = json.loads(other.done("meta", "text", "--json"))
    assert 3_000_000 < meta["ttl_left_ms"] <= 3_600_000 and meta["cost_us"] == 3_000_000
    with harness.Client(other.socket) as client:
        reply = client.get(b"text")
        assert reply.stale_for == 600_000 and reply.body == b"hello"
    assert other.done("export") != b""


def test_an_export_leaves_no_trace_in_the_figures(rig):
    before = json.loads(rig.done("stats", "--json"))["namespaces"]["default"]
    rig.done("export", "-o", "file")
    after = json.loads(rig.done("stats", "--json"))["namespaces"]["default"]
    for name in ("hits", "misses_absent", "saved_us"):
        assert after[name] == before[name]


def test_what_has_expired_meanwhile_is_not_stored(rig):
    rig.done("put", "brief", "-v", "x", "--ttl", "100ms")
    rig.done("export", "-o", "file")
    until = time.monotonic() + HUNG
    while rig("meta", "brief").returncode == 0:
        assert time.monotonic() < until
    result = rig("import", "-n", "copy", "file")
    assert result.returncode == 0
    names = [line["key"] for line in listing(rig, "-n", "copy")]
    assert "brief" not in names and "text" in names


def test_the_namespace_is_the_files_unless_another_is_named(rig):
    rig.done("put", "k", "-v", "x", "-n", "models")
    rig.done("export", "models", "-o", "file")
    rig.done("flush", "--yes", "-n", "models")
    rig.done("import", "file")
    rig.done("import", "-n", "copy", "file")
    assert rig.done("keys", "-n", "models") == rig.done("keys", "-n", "copy") == b"k\n"
    assert rig("export", "models", "-n", "models").returncode == 2
    rig.done("put", "k", "-v", "newer", "-n", "copy")
    rig.done("import", "-n", "copy", "--if-absent", "file")
    assert rig.done("get", "k", "-n", "copy") == b"newer"


@pytest.mark.parametrize("how", ["pipe", "others may write"])
def test_pickles_are_stored_only_if_nobody_else_can_have_made_them(rig, how):
    rig.done("export", "-o", "file")
    if how == "pipe":
        process = subprocess.Popen(["cat", rig.home / "file"], stdout=subprocess.PIPE)
        result = rig("import", "-n", "copy", stdin=process.stdout)
        process.stdout.close()
        process.wait(HUNG)
    else:
        (rig.home / "file").chmod(0o666)
        result = rig("import", "-n", "copy", "file")
    assert result.returncode == 4 and b"1 objects run code when they are loaded" in result.stderr
    assert len(listing(rig, "-n", "copy")) == 6
    rig.done("import", "-n", "copy", "--pickles", "file")
    assert len(listing(rig, "-n", "copy")) == 7


def test_every_byte_that_changes_is_noticed_and_nothing_stored(rigs):
    rig = rigs()
    rig.done("put", "k", "-v", "value", "--ttl", "1h")
    rig.done("export", "-o", "file")
    whole = (rig.home / "file").read_bytes()
    assert len(whole) < 400
    for at in range(len(whole)):
        (rig.home / "bad").write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:])
        result = rig("import", "-n", "copy", "bad")
        assert result.returncode == 5 and b"nothing was stored" in result.stderr, (at, result)
    for length in range(0, len(whole), 4):
        (rig.home / "bad").write_bytes(whole[:length])
        result = rig("import", "-n", "copy", "bad")
        assert result.returncode == 5 and b"nothing was stored" in result.stderr, (length, result)
    (rig.home / "bad").write_bytes(whole + b"x")
    assert rig("import", "-n", "copy", "bad").returncode == 5
    assert rig.done("keys", "-n", "copy") == b""


def test_of_a_pipe_that_is_cut_it_is_said_how_much_was_stored(rig):
    whole = rig.done("export")
    result = rig("import", "-n", "copy", "--pickles", input=whole[:-10])
    assert result.returncode == 5 and b"cut short" in result.stderr
    assert b"7 objects before that are stored, the rest is not" in result.stderr
    assert len(listing(rig, "-n", "copy")) == 7
    middle = whole.index((rig.home / "large").read_bytes()[:1000]) + 1_500_000
    result = rig("import", "-n", "half", input=whole[:middle])
    assert result.returncode == 5 and b"objects before that are stored" in result.stderr
    assert b"large" not in rig.done("keys", "-n", "half")


def test_what_the_daemon_refuses_is_said_and_the_rest_is_stored(rig, rigs):
    rig.done("export", "-o", "file")
    small = rigs("max_value=1M")
    result = small("import", str(rig.home / "file"))
    assert result.returncode == 4 and b"1 objects were refused" in result.stderr
    assert len(listing(small)) == 6
    assert small("import", "-n", "/nowhere", str(rig.home / "file")).returncode == 4


def test_a_file_keeps_its_old_content_when_the_export_fails(rig):
    (rig.home / "file").write_text("before")
    assert rig("export", "/nowhere", "-o", "file").returncode == 4
    assert (rig.home / "file").read_text() == "before"
    assert [path for path in rig.home.iterdir() if path.name.startswith(".brine-")] == []


def fill(rig, count, size):
    with harness.Client(rig.socket) as client:
        for number in range(count):
            client.put(b"key %d" % number, b"%d " % number * size)
        client.call(harness.SYNC)


def test_interrupted_at_any_moment_an_export_leaves_nothing_and_an_import_whole_objects(rigs):
    rig = rigs()
    fill(rig, 3000, 1000)
    rig.done("put", "large", input=b"L" * 5_000_000)
    rig.done("export", "-o", "file")
    chance = random.Random(7)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL) * 4:
        command = [BRINE, "export", "-o", "other"]
        process = subprocess.Popen(command, env=rig.env, cwd=rig.home, stderr=subprocess.DEVNULL)
        ended = wait_or_signal(process, chance.random() * 0.1, number)
        names = {path.name for path in rig.home.iterdir()}
        assert ("other" in names) == ended and not any(name.endswith(".part") for name in names)
        if ended:
            rig.done("import", "--check", "other")
            (rig.home / "other").unlink()
        rig.done("flush", "--yes", "-n", "copy")
        process = subprocess.Popen([BRINE, "import", "-n", "copy", "file"], env=rig.env, cwd=rig.home,
                                   stderr=subprocess.PIPE)
        ended = wait_or_signal(process, chance.random() * 0.2, number)
        said = process.stderr.read()
        process.stderr.close()
        assert ended or number == signal.SIGKILL or b"objects are stored, the rest is not" in said or not said
        with harness.Client(rig.socket) as client:
            for at in range(0, 3000, 97):
                reply = client.get(b"key %d" % at, namespace="copy")
                assert reply.body in (None, b"%d " % at * 1000)
            assert client.get(b"large", namespace="copy").body in (None, b"L" * 5_000_000)


def wait_or_signal(process, seconds, number):
    """Did it end by itself, in time?"""
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        return process.wait(HUNG) == 0


def disk_usage(folder):
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # the daemon replaces small files
            total += path.stat().st_blocks * 512
    return total


def test_an_export_under_full_load_keeps_to_the_limit_and_has_only_whole_objects(rigs):
    """The writers replace everything again and again, in a store that is full."""
    limit = 64 << 20
    rig = rigs("max_size=64M")
    stop = threading.Event()

    def write(seed):
        chance = random.Random(seed)
        with harness.Client(rig.socket) as client:
            while not stop.is_set():
                number = chance.randrange(4000)
                client.put(b"key %d" % number, b"%d %d;" % (number, chance.randrange(10**9)) * 1500)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(2)]
    for writer in writers:
        writer.start()
    most = 0
    try:
        for round in range(3):
            process = subprocess.Popen([BRINE, "export", "-o", f"file{round}"], env=rig.env, cwd=rig.home)
            while process.poll() is None:
                most = max(most, disk_usage(rig.daemon.data))
            assert process.returncode == 0
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert most <= 1.1 * limit
    other = rigs("max_size=1G")
    for round in range(3):
        rig.done("import", "--check", f"file{round}")
        other.done("import", "-n", f"copy{round}", str(rig.home / f"file{round}"))
        for line in other.done("keys", "-n", f"copy{round}").splitlines()[:50]:
            with harness.Client(other.socket) as client:
                value = client.get(line, namespace=f"copy{round}").body
            first = value[:value.index(b";") + 1]
            assert value == first * 1500 and first.startswith(line[4:] + b" ")
