"""max_size holds, whatever is put, and what is too much for a daemon hurts nobody else."""

import os
import resource
import select
import subprocess
import time

import pytest

from brine_command import Measured
from peers import BUILD, HUNG, KEPT, Daemon, missing, wire
from programs import run

pytestmark = pytest.mark.skipif(missing("brined") is not None, reason=str(missing("brined")))


@pytest.mark.parametrize("kind, mib, times", [("mixed", 128, 3), ("over", 128, 3), ("small", 64, 0.7)])
def test_du_stays_within_the_limit_while_several_times_as_much_is_put(kind, mib, times):
    run("fill", kind, mib, times)


def test_every_size_and_a_large_object_pass_through_a_client_and_a_daemon_that_never_hold_it_whole():
    run("stream", 100)


def test_a_value_from_a_pipe_of_unknown_length_is_stored_and_a_source_that_dies_leaves_the_old_one():
    daemon = Daemon("max_size=512M")
    try:
        put = [BUILD / "brine", "--socket", daemon.socket, "put", "piped"]
        block = bytes(range(256)) * 4096
        source = Measured(*put, stdin=subprocess.PIPE)
        for _ in range(100):
            source.stdin.write(block)
        status, memory = source.finish()
        assert status == 0
        assert memory < (64 << 20) + KEPT
        got = subprocess.run([BUILD / "brine", "--socket", daemon.socket, "get", "piped"],
                             stdout=subprocess.PIPE, check=True).stdout
        assert got == block * 100
        # brine dies with its source: the daemon sees half a body and the end of the connection.
        source = subprocess.Popen(put, stdin=subprocess.PIPE)
        for _ in range(50):
            source.stdin.write(block)
        source.kill()
        source.wait()
        source.stdin.close()
        got = subprocess.run([BUILD / "brine", "--socket", daemon.socket, "get", "piped"],
                             stdout=subprocess.PIPE, check=True).stdout
        assert got == block * 100
    finally:
        daemon.close()


def stall(number, sock):
    """Sends a part of a PUT, in one of four ways."""
    request = wire.Frame("PUT", 1, {"KEY": b"stalled"}, b"x" * 60000).encode()
    cut = [3, 18, len(request) // 2, None][number % 4]
    if cut is None:  # a segment that promises more, and nothing behind it
        request = wire.Frame("PUT", 1, {"KEY": b"stalled"}, segments=[(wire.MORE, b"x" * 1000)]).encode()
    sock.sendall(request[:cut])


def ended(socks):
    """Waits until the daemon has closed all of these."""
    poll, left = select.poll(), {sock.fileno(): sock for sock in socks}
    for fd in left:
        poll.register(fd, select.POLLRDHUP | select.POLLHUP)
    deadline = time.monotonic() + 2 * HUNG
    while left:
        assert time.monotonic() < deadline, f"{len(left)} of {len(socks)} are still open"
        for fd, _ in poll.poll(1000):
            poll.unregister(fd)
            del left[fd]


def test_of_2000_clients_1500_stall_and_are_closed_while_500_notice_nothing():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2200:
        pytest.skip(f"2,200 descriptors are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    daemon = Daemon("max_size=256M", "max_connections=3000", "idle_timeout=2s")
    try:
        value = os.urandom(1 << 20)
        with_value = daemon.peer()
        assert with_value.ask("PUT", {"KEY": b"large"}, value).kind == wire.REPLY
        good = [daemon.peer() for _ in range(500)]
        stalled = []
        for number in range(1500):
            peer = daemon.peer()
            stalled.append(peer.sock)
            if number < 1000:
                stall(number, peer.sock)
            else:  # asks for much and takes nothing
                for _ in range(8):
                    peer.request("GET", {"KEY": b"large"})
        answers, most = 0, daemon.memory()
        for number, peer in enumerate(good):
            key = b"good-%d" % number
            assert peer.ask("PUT", {"KEY": key}, key * 100).kind == wire.REPLY
            assert peer.ask("GET", {"KEY": key}).body == key * 100
            answers += 2
            most = max(most, daemon.memory())
        assert answers == 1000
        ended(stalled)
        most = max(most, daemon.memory())
        print(f"2,000 clients: the daemon held at most {most >> 20} MiB")
        assert most < (256 << 20) + KEPT
        assert sum(peer.ask("PING").kind == wire.REPLY for peer in good) == 500
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        daemon.close()
