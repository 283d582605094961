"""The `brine` command, run against a daemon of its own, as the tests of the command line need it."""

import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
BRINE = harness.BUILD / "brine"
HUNG = harness.DEADLINE


def obey_signals():
    """What a background job of a shell would ignore."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def peer_pid(path):
    """Who listens there."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(HUNG)
        sock.connect(str(path))
        return struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def end(pid):
    """SIGTERM, and back once the process is gone, whoever its parent is."""
    watch = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGTERM)
        assert select.select([watch], [], [], HUNG)[0], f"process {pid} does not end"
    finally:
        os.close(watch)


# A small process in between, because the kernel counts what the parent held at fork as the child's.
MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


class Measured(subprocess.Popen):
    """A program whose memory finish() tells."""

    def __init__(self, *command, **options):
        super().__init__([sys.executable, "-c", MEASURE, *command], stderr=subprocess.PIPE, **options)

    def finish(self):
        """Waits, and returns (exit status, the most bytes that it held)."""
        said = self.communicate(timeout=HUNG)[1].split()
        return self.returncode, int(said[-1]) * 1024


STARTS_MAX = 30


class Rig:
    """A private home in which the command runs, and a daemon for it. With patience, a daemon that is silent counts as gone
    only where it hangs, and not on a busy machine."""

    def __init__(self, *settings, daemon=True, patience=False):
        self.first = ["--timeout", f"{HUNG}s"] if patience else []
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="brine-cli-"))
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith(("BRINE_", "XDG_")) and name != "LD_PRELOAD"}
        self.env["HOME"] = str(self.home)
        self.daemon = None
        if daemon:
            arguments = [word for setting in ("max_size=1G", *settings) for word in ("--set", setting)]
            self.daemon = harness.Daemon(self.home, *arguments).start()
            self.socket = self.daemon.socket
            self.env["BRINE_SOCKET"] = str(self.socket)

    def __call__(self, *arguments, input=b"", env=None, **more):
        if "stdin" not in more:
            more["input"] = input
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        return subprocess.run([BRINE, *self.first, *arguments], env=dict(self.env, **(env or {})), cwd=self.home,
                              timeout=HUNG, **more)

    def done(self, *arguments, **more):
        """Runs what must succeed in silence, and returns what it wrote."""
        result = self(*arguments, **more)
        for _ in range(STARTS_MAX):  # a client waits a second for the daemon that it starts, a busy machine takes longer
            if b"was started and does not answer yet" not in result.stderr:
                break
            result = self(*arguments, **more)
        assert (result.returncode, result.stderr) == (0, b""), result
        return result.stdout

    def on_terminal(self, *arguments, typed=b""):
        """Runs it with all three descriptors on one terminal. Returns (exit status, what was shown)."""
        master, slave = pty.openpty()
        process = subprocess.Popen([BRINE, *arguments], env=self.env, cwd=self.home, stdin=slave,
                                   stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        os.write(master, typed)
        shown = b""
        try:
            while True:
                shown += os.read(master, 65536)
        except OSError:  # how a terminal says that nobody is left on it
            pass
        os.close(master)
        return process.wait(HUNG), shown

    def close(self):
        status = self.daemon.stop() if self.daemon else 0
        said = self.daemon.log() if self.daemon else ""
        shutil.rmtree(self.home)
        assert status == 0, f"the daemon ended with {status}:\n{said}"
