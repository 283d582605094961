"""brine config and brine verify: what an administrator asks a daemon about itself."""

import json
import signal

import pytest
import strangers

import harness
from brine_command import Rig

CONFIG, FORBIDDEN = 18, 37


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def test_config_tells_the_value_in_effect_and_where_it_stood(rig):
    file = rig.home / "brined.conf"
    file.write_text("# mine\nmax_connections = 100\nslow_request = 50ms\n")
    rig.daemon.stop()
    rig.daemon.arguments += ["--config", str(file)]
    rig.daemon.start()
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
    assert len(lines) == len(said)


@strangers.needs_uids
def test_the_configuration_is_shown_to_administrators_alone(folder):
    daemon = strangers.Daemon(folder, "admin_group = 7001\n").start()
    try:
        assert daemon.as_uid(61001).call(CONFIG).error == FORBIDDEN
        for client in (daemon.client(), daemon.as_uid(61001, 5, (7001,))):
            assert f"admin_group\t7001\t\tlive\t{daemon.file}:1\n".encode() in client.call(CONFIG).body
    finally:
        daemon.stop()


def change(rig, what):
    """Turns one bit of these bytes in the stored file, wherever they stand in it."""
    path = rig.daemon.data / "v1/data.mdb"
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
    assert rig.done("verify").startswith(b"305 objects, ")
    rig.daemon.stop()
    change(rig, b"the small value of number 123")
    change(rig, b"value of number 3;the long value of number 3;")
    rig.daemon.start()
    before = json.loads(rig.done("stats", "--json"))["namespaces"]["default"]
    result = rig("verify", "--json")
    assert result.returncode == 5
    assert b"damaged: long 3" in result.stderr and result.stderr.count(b"damaged: ") == 1
    said = json.loads(result.stdout)
    assert (said["objects"], said["damaged_values"], said["damaged_rows"]) == (304, 1, 1)
    after = json.loads(rig.done("stats", "--json"))["namespaces"]["default"]
    assert after["hits"] == before["hits"]
    assert rig.done("verify", "other") == b"1 objects, 102: all sound\n"
    rig.done("del", "long 3")
    result = rig("verify")
    assert result.returncode == 5 and b"304 objects" not in result.stdout and b"1 damaged rows" in result.stdout


def test_a_rate_or_a_namespace_that_is_none_is_refused(rig):
    rig.done("put", "long", input=b"x" * (20 << 20))
    for wrong in ("0", "1", "63K", "10m", "-1", "1e9", "99999999999999999999T"):
        assert rig("verify", "--rate", wrong).returncode == 2
    assert rig.done("verify", "--rate", "2G").startswith(b"1 objects, 20M")
    assert rig("verify", "x", "-n", "x").returncode == 2
