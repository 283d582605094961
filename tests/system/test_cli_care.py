"""brine config and brine verify: what an administrator asks a daemon about itself."""

import contextlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest
import strangers

import harness
from brine_command import BRINE, HUNG, Rig, obey_signals

STATS, CONFIG, VERIFY, FORBIDDEN = 10, 18, 19, 37


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def start_with(rig, file, text):
    """The daemon anew, with this configuration."""
    file.write_text(text)
    rig.daemon.stop()
    rig.daemon.arguments += ["--config", str(file)]
    rig.daemon.start()


def test_config_tells_the_value_in_effect_and_where_it_stood(rig):
    file = rig.home / "brined.conf"
    start_with(rig, file, "# mine\nmax_connections = 100\nslow_request = 50ms\n")
    said = json.loads(rig.done("config", "--json"))
    assert said["max_connections"] == {"value": "100", "origin": f"{file}:2", "live": True}
    assert said["max_size"]["value"] == "1G" and said["max_size"]["origin"] == "--set"
    assert said["max_value"] == {"value": "0", "effect": "256M", "origin": "default", "live": True}
    assert said["data"] == {"value": str(rig.daemon.data), "effect": str(rig.daemon.data), "origin": "--data", "live": False}
    file.write_text("max_connections = 200\n")
    rig.daemon.signal(signal.SIGHUP)
    rig.daemon.wait_log("max_connections is now 200")
    said = json.loads(rig.done("config", "--json"))
    assert (said["max_connections"]["value"], said["max_connections"]["origin"]) == ("200", f"{file}:1")
    assert said["slow_request"]["origin"] == "default"
    lines = rig.done("config").decode().splitlines()
    [line] = [line for line in lines if line.startswith("reader_threads ")]
    assert line.split()[1:3] == ["2", "default"] and line.endswith("(changes with the next start)")
    assert said.pop("namespaces") == said.pop("users") == {}
    assert len(lines) == len(said)


def test_config_shows_the_sections_whole_and_where_each_setting_stood(rig):
    file = rig.home / "brined.conf"
    start_with(rig, file, "[namespace /models]\nreaders = *\nwriters = root,@0\nquota = 4096M\n[user *]\nquota = 1G\n")
    said = json.loads(rig.done("config", "--json"))
    none = {"value": "0", "origin": "default", "live": True}
    assert said["namespaces"] == {"/models": {
        "readers": {"value": "*", "origin": f"{file}:2", "live": True},
        "writers": {"value": "root, @0", "origin": f"{file}:3", "live": True},
        "quota": {"value": "4G", "origin": f"{file}:4", "live": True},
        "default_ttl": {**none, "effect": "never"},
        "max_value": {**none, "effect": "that of the option"},
        "codecs": {**none, "value": "", "effect": "all"},
        "allow_pickle": {**none, "value": "yes"}}}
    assert said["users"] == {"*": {"quota": {"value": "1G", "origin": f"{file}:6", "live": True}}}
    assert said["max_value"]["origin"] == "default"
    lines = rig.done("config").decode().splitlines()
    at = lines.index("[namespace /models]")
    assert lines[at - 1] == "" and lines[at + 2].split() == ["writers", "root,", "@0", f"{file}:3"]
    assert lines[at + 4].split() == ["default_ttl", "never", "default"] and lines[at + 9] == "[user *]"
    file.write_text("\n[user 7]\nquota = 2G\n")
    rig.daemon.signal(signal.SIGHUP)
    rig.daemon.wait_log("/models is not declared any more")
    said = json.loads(rig.done("config", "--json"))
    assert said["namespaces"] == {}
    assert said["users"] == {"7": {"quota": {"value": "2G", "origin": f"{file}:3", "live": True}}}


def test_a_long_list_is_shown_whole_and_no_wider_than_a_screen(rig):
    members = [str(100000 + i) for i in range(60)]
    file = rig.home / "brined.conf"
    start_with(rig, file, "[namespace /models]\nreaders = " + " ".join(members) + "\n")
    text = rig.done("config").decode().split("[namespace /models]\n")[1].split("writers")[0]
    assert text.replace(",", "").split() == ["readers", *members, f"{file}:2"]
    assert all(len(line) <= 80 for line in text.splitlines() if str(file) not in line)


def test_a_configuration_of_more_than_a_segment_is_shown_whole(rig):
    deep = rig.home / ("d" * 150)
    deep.mkdir()
    file = deep / "brined.conf"
    readers = ", ".join(str(100000 + i) for i in range(60))
    sections = "".join(f"[namespace /{'n' * 60}{i}]\nreaders = {readers}\nwriters = *\nquota = 1M\ndefault_ttl = 1s\n"
                       f"max_value = 4K\ncodecs = {' '.join(map(str, range(1, 256)))}\nallow_pickle = no\n"
                       for i in range(256))
    start_with(rig, file, sections + "".join(f"[user {i}]\nquota = 1M\n" for i in range(1024)))
    said = json.loads(rig.done("config", "--json"))
    assert len(rig.done("config", "--json")) > 1 << 20
    assert len(said["namespaces"]) == 256 and len(said["users"]) == 1024
    assert all(namespace["readers"]["value"] == readers for namespace in said["namespaces"].values())
    assert said["users"]["1023"]["quota"]["value"] == "1M"


def test_a_control_character_in_the_name_of_a_file_is_no_end_of_a_word(rig):
    file = rig.home / "a\tb\nc.conf"
    start_with(rig, file, "[user 7]\nquota = 2G\n")
    said = json.loads(rig.done("config", "--json"))
    assert said["users"]["7"]["quota"]["origin"] == f"{rig.home}/a?b?c.conf:2"


@strangers.needs_uids
def test_the_configuration_is_shown_to_administrators_alone(folder):
    daemon = strangers.Daemon(folder, "admin_group = 7001\n[user 61001]\nquota = 1M\n").start()
    try:
        assert daemon.as_uid(61001).call(CONFIG).error == FORBIDDEN
        for client in (daemon.client(), daemon.as_uid(61001, 5, (7001,))):
            assert f"admin_group\t7001\t\tlive\t{daemon.file}:1\n".encode() in client.call(CONFIG).body
            assert client.call(CONFIG).body.endswith(f"\n[user 61001] quota\t1M\t\tlive\t{daemon.file}:3\n".encode())
    finally:
        daemon.stop()


def change(daemon, what):
    """Turns one bit of these bytes in the stored file, wherever they stand in it."""
    path = daemon.data / "v1/data.mdb"
    stored = bytearray(path.read_bytes())
    at = stored.find(what)
    assert at >= 0
    while at >= 0:
        stored[at] ^= 1
        at = stored.find(what, at + 1)
    path.write_bytes(stored)


def test_verify_finds_what_is_damaged_and_nothing_else(rig):
    with harness.Client(rig.socket) as client:
        for number in range(300):
            client.put(b"small %d" % number, b"the small value of number %d" % number)
        for number in range(5):
            client.put(b"long %d" % number, b"the long value of number %d;" % number * 10000)
        client.put(b"k", b"v", namespace="other")
    assert rig.done("verify", "default").startswith(b"305 objects, ")
    assert rig.done("verify").startswith(b"the whole store, ") and rig.done("verify").endswith(b": all sound\n")
    rig.daemon.stop()
    change(rig.daemon, b"the small value of number 123")
    change(rig.daemon, b"value of number 3;the long value of number 3;")
    rig.daemon.start()
    before = json.loads(rig.done("stats", "--json"))["namespaces"]["default"]
    result = rig("verify", "--json", env={"BRINE_NAMESPACE": "default"})
    assert result.returncode == 5
    assert b"damaged: long 3" in result.stderr and result.stderr.count(b"damaged: ") == 1
    said = json.loads(result.stdout)
    assert (said["objects"], said["damaged_values"], said["damaged_rows"]) == (304, 1, 1)
    after = json.loads(rig.done("stats", "--json"))["namespaces"]["default"]
    assert after["hits"] == before["hits"]
    assert rig.done("verify", "other") == b"1 objects, 102: all sound\n"
    whole = rig("verify", "--json")
    assert (whole.returncode, whole.stderr) == (5, b"")
    said = json.loads(whole.stdout)
    assert said["damaged"] >= 2  # of a long value each part
    assert (said["incomplete"], said["misplaced"], said["unowned"], said["wrong_figures"]) == (0, 0, 0, 0)
    assert rig("verify").stdout.endswith(b": %d damaged rows\n" % said["damaged"])
    rig.done("del", "long 3")
    result = rig("verify", "-n", "default")
    assert result.returncode == 5 and b"304 objects" not in result.stdout and b"1 damaged rows" in result.stdout


def test_a_rate_or_a_namespace_that_is_none_is_refused(rig):
    rig.done("put", "long", input=b"x" * (20 << 20))
    for wrong in ("0", "1", "63K", "10m", "-1", "1e9", "99999999999999999999T"):
        assert rig("verify", "--rate", wrong).returncode == 2
    assert rig.done("verify", "default", "--rate", "2G").startswith(b"1 objects, 20M")
    assert b" rows, 20M: all sound" in rig.done("verify", "--rate", "2G")
    assert rig("verify", "x", "-n", "x").returncode == 2


def verify_as(daemon, uid, *arguments):
    """brine verify, as this user, who may not look into the folder that it was built in."""
    program = shutil.copy(BRINE, daemon.folder)
    return subprocess.run([program, "--socket", daemon.socket, "verify", *arguments], user=uid, group=uid, extra_groups=[],
                          env={"HOME": "/nonexistent"}, capture_output=True, timeout=HUNG, text=True)


@strangers.needs_uids
def test_the_whole_store_is_for_administrators_and_others_have_their_own_verified(folder):
    daemon = strangers.Daemon(folder, "").start()
    try:
        for uid in (61001, 61002):
            with daemon.as_uid(uid) as client:
                client.put(b"small", b"a small value of uid %d" % uid, namespace="web")
                client.put(b"long", b"a long value of uid %d;" % uid * 10000, namespace="other")
        assert daemon.as_uid(61001).call(VERIFY).error == FORBIDDEN
        assert verify_as(daemon, 61001).stdout.startswith("2 objects, ")
        assert verify_as(daemon, 0).stdout.startswith("the whole store, ")
        daemon.stop()
        change(daemon, b"a small value of uid 61002")
        change(daemon, b"a long value of uid 61002;a long value of uid 61002;")
        daemon.start()
        sound = verify_as(daemon, 61001)
        assert sound.returncode == 0 and sound.stdout.startswith("2 objects, "), sound
        theirs = verify_as(daemon, 61002)
        assert theirs.returncode == 5 and "damaged: long" in theirs.stderr
        assert theirs.stdout.endswith(": 1 damaged values, 1 damaged rows whose keys cannot be read\n"), theirs
        whole = verify_as(daemon, 0)
        assert (whole.returncode, whole.stderr) == (5, "") and whole.stdout.endswith(" damaged rows\n"), whole
    finally:
        daemon.stop()


def namespace_rows(stored, name):
    """Where the figures of this namespace stand in the file, whose rows end with the name."""
    row = bytes([0, 0, 0, 0]) + struct.pack("<I", os.getuid())
    at = stored.find(row)
    while at >= 0:
        if stored[at + 40:at + 40 + len(name)] == name:
            yield at + 8
        at = stored.find(row, at + 1)


def test_verify_finds_a_namespace_that_is_recorded_to_hold_something_else(rig):
    with harness.Client(rig.socket) as client:
        for number in range(10):
            client.put(b"key %d" % number, b"value", namespace="counted-wrongly")
    rig.daemon.stop()
    path = rig.daemon.data / "v1/data.mdb"
    stored = bytearray(path.read_bytes())
    places = list(namespace_rows(stored, b"counted-wrongly"))
    assert places
    for at in places:
        stored[at:at + 8] = struct.pack("<Q", 11)
    path.write_bytes(stored)
    rig.daemon.start()
    result = rig("verify")
    assert result.returncode == 5 and result.stdout.endswith(b": 1 wrong figures of namespaces\n"), result
    assert f"{os.getuid()}:counted-wrongly: 11 of objects are recorded, 10 are there".encode() in result.stderr


def test_a_verification_that_is_broken_off_leaves_a_daemon_that_serves(rig):
    rig.done("put", "long", input=b"x" * (20 << 20))
    running = subprocess.Popen([BRINE, "verify", "--rate", "64K"], env=rig.env, stdout=subprocess.PIPE,
                               preexec_fn=obey_signals)
    try:
        limit = time.monotonic() + HUNG
        with harness.Client(rig.socket) as client:
            while b"\trequests_verify\t" not in client.call(STATS).body:
                assert time.monotonic() < limit
        running.send_signal(signal.SIGINT)
        assert running.wait(HUNG) == -signal.SIGINT and running.stdout.read() == b""
    finally:
        running.kill()
        running.communicate()
    assert rig.done("verify").endswith(b": all sound\n")


def change_at_random(socket, seed):
    """Until the daemon is gone."""
    chance = random.Random(seed)
    with contextlib.suppress(OSError, harness.Closed), harness.Client(socket) as client:
        while True:
            what, name = chance.random(), f"space-{chance.randrange(3)}"
            key = b"key %d" % chance.randrange(500)
            if what < 0.8:
                tags = {"tags": b"\x05tag-%d" % chance.randrange(9)} if what < 0.3 else {}
                times = {"ttl": chance.randrange(1, 3000)} if what < 0.5 else {}
                size = chance.choice((10, 100, 1500, 5000, 70_000, 300_000, 1_500_000))
                client.put(key, bytes(size), namespace=name, **tags, **times)
            elif what < 0.95:
                client.call(harness.DELETE, {"key": key, "namespace": name, "ack": 1})
            elif what < 0.99:
                client.call(strangers.INVALIDATE, {"namespace": name, "tags": b"\x05tag-%d" % chance.randrange(9)})
            else:
                client.call(harness.FLUSH, {"namespace": name})


def test_the_store_of_a_daemon_that_was_killed_is_sound_and_counts_what_it_holds():
    """A store that is full all the while, verified also while it is written."""
    rig = Rig("max_size=64M", patience=True)
    try:
        for round in range(2):
            threads = [threading.Thread(target=change_at_random, args=(rig.socket, 10 * round + number))
                       for number in range(3)]
            for thread in threads:
                thread.start()
            puts, limit = 0, time.monotonic() + HUNG
            try:
                while puts < 200:
                    beside = rig("verify", "--json", "--rate", "1G")
                    assert (beside.returncode, beside.stderr) == (0, b""), beside
                    with harness.Client(rig.socket) as client:
                        puts = int(client.stats()["", "puts"])
                    assert time.monotonic() < limit
            finally:
                rig.daemon.kill()
                for thread in threads:
                    thread.join()
            rig.daemon.start()
            after = json.loads(rig.done("verify", "--json"))
            assert after["rows"] > 0 and after["not_counted"] <= 3
    finally:
        rig.close()
