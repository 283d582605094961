"""The real daemon of tests/system, with a limit that suits these tests."""

import os
import select
import signal
import socket
import struct

import harness


class Daemon(harness.Daemon):
    """A brined of this build with a directory of its own, which stays when it is killed."""

    def __init__(self, folder):
        super().__init__(folder, "--set", "max_size=64M")
        self.socket = str(self.socket)


def end_daemon_of(data):
    """Ends the daemon that listens in this directory, if any."""
    with socket.socket(socket.AF_UNIX) as asking:
        if asking.connect_ex(str(data / "brine.sock")):
            return
        peer, _, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    exited = os.pidfd_open(peer)
    os.kill(peer, signal.SIGTERM)
    assert select.select([exited], [], [], harness.DEADLINE)[0]
    os.close(exited)
