"""The systems under measurement: how each is started, placed on cores, and ended.

Each has a private directory and socket, and ends with its parent whatever
happens to that.
"""

import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import time

START_SECONDS = 20
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
BUILD = pathlib.Path(os.environ.get("BRINE_BUILD", "build")).resolve()


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """One running process; speaks `system`, is called `name` in the tables."""

    system = None
    fills = True  # holds objects

    def __init__(self, name, folder):
        self.name = name
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.socket = str(self.folder / "s")
        self.objects = 0
        self.process = None
        self.start()

    def command(self):
        raise NotImplementedError

    def start(self):
        """Returns the seconds from the start to the first connection."""
        log = open(self.folder / "log", "ab")
        begun = time.monotonic()
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.PIPE, stdout=log, stderr=log,
            cwd=self.folder, preexec_fn=die_with_parent)
        log.close()
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.socket)
                    return time.monotonic() - begun
                except OSError:
                    pass
            if self.process.poll() is not None or time.monotonic() > begun + START_SECONDS:
                raise RuntimeError(f"{self.name} does not start:\n{self.log_end()}")
            time.sleep(0.0005)

    def log_end(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def stop(self):
        if not self.process:
            return
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        pathlib.Path(self.socket).unlink(missing_ok=True)

    def place(self, cores):
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(task), cores)

    def memory_mib(self):
        """RssAnon + RssShmem: resident pages of files are page cache."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines()
                   if line.startswith(("RssAnon", "RssShmem"))) / 1024


class Echo(Server):
    system = "echo"
    fills = False

    def command(self):
        return [BUILD / "bench/echo", self.socket]


class Brine(Server):
    system = "brine"
    max_size = "16G"

    def command(self):
        data = self.folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        return [BUILD / "brined", "--data", data, "--socket", self.socket,
                "--set", f"max_size={self.max_size}", "--set", "min_free=0"]

    def file(self):
        return self.folder / "data/v1/data.mdb"


class Redis(Server):
    system = "redis"
    options = ["--save", "", "--appendonly", "no"]

    def command(self):
        return ["redis-server", "--port", "0", "--unixsocket", self.socket,
                "--dir", str(self.folder), "--daemonize", "no", *self.options]


class RedisAlways(Redis):
    options = ["--save", "", "--appendonly", "yes", "--appendfsync", "always",
               "--auto-aof-rewrite-percentage", "0"]


class Memcached(Server):
    system = "memcached"

    def command(self):
        user = ["-u", "root"] if os.geteuid() == 0 else []
        return ["memcached", "-s", self.socket, "-a", "700", "-t", "1", "-m", "8192", "-I", "64m", *user]
