"""What becomes of the store when its file is not what it was."""

import contextlib
import os

import harness


def fill(client, count):
    for number in range(count):
        client.put(b"key-%d" % number, b"x" * 1500)
    client.call(harness.SYNC)


def test_a_file_cut_short_while_in_use_is_given_up_and_moved_aside(make_daemon, folder):
    daemon = make_daemon()
    with daemon.client() as client:
        fill(client, 2000)
    data = next(folder.rglob("data.mdb"))
    os.truncate(data, 8192)
    with contextlib.suppress(harness.Closed, OSError), daemon.client() as client:
        for number in range(2000):
            client.get(b"key-%d" % number)
    daemon.wait()
    assert "SIGBUS" in daemon.log()
    daemon.start()
    assert "moved aside" in daemon.log()
    with daemon.client() as client:
        assert client.get(b"key-1").status == 1
        assert client.put(b"key-1", b"again").kind == harness.REPLY


def test_a_store_deleted_while_in_use_is_said_and_replaced(make_daemon, folder):
    daemon = make_daemon()
    with daemon.client() as client:
        fill(client, 10)
    next(folder.rglob("data.mdb")).unlink()
    daemon.wait_log("deleted")
    daemon.wait_log("listening at", times=2)
    with daemon.client() as client:
        assert client.get(b"key-1").status == 1
        assert client.put(b"key-1", b"again", ack=2).kind == harness.REPLY
    assert any(folder.rglob("data.mdb"))
