"""A real daemon in a private folder, and a fake one in a thread, for tests that speak the wire themselves."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))

import wire  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BRINE_BUILD", ROOT / "build"))
# Deadlines only mean "hung".
HUNG = 60
# A sanitizer keeps what was freed, and takes notes on all that is touched: its memory is not judged.
KEPT = 1 << 40 if BUILD.name in ("asan", "tsan") else 0


def missing(program):
    """A reason to skip, or None."""
    return None if (BUILD / program).exists() else f"{BUILD / program} is not built"


def connect(path, timeout=HUNG):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    sock.connect(str(path))
    return sock


class Daemon:
    """build/brined on its own socket and data; ends, with everything of it, on close()."""

    def __init__(self, *settings):
        self.folder = tempfile.mkdtemp(prefix="brine-test-")
        self.socket = os.path.join(self.folder, "s")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        command = [BUILD / "brined", "--socket", self.socket, "--data", os.path.join(self.folder, "data")]
        for setting in ("max_size=64M", *settings):
            command += ["--set", setting]
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("BRINE_") and name != "LD_PRELOAD"}
        env["HOME"] = self.folder
        for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            env.pop(name, None)
        self.command, self.env, self.peers = command, env, []
        self.restart()

    def restart(self):
        self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + HUNG
        while True:
            try:
                connect(self.socket).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the daemon did not start:\n{self.said()}")
                time.sleep(0.005)

    def peer(self, hello=True):
        peer = wire.Peer(connect(self.socket), HUNG)
        self.peers.append(peer)
        if hello:
            reply = peer.hello()
            assert reply.kind == wire.REPLY, reply
        return peer

    def close_peers(self):
        for peer in self.peers:
            peer.close()
        self.peers = []

    def said(self):
        self.log.flush()
        with open(self.log.name) as log:
            return log.read()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        """Resident bytes that are the daemon's own: anonymous and shared memory."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return 1024 * sum(int(line.split()[1]) for line in status
                              if line.startswith(("RssAnon:", "RssShmem:")))

    def expect_growth_below(self, limit, before):
        grown = self.memory() - before
        assert grown < limit + KEPT, f"{grown >> 20} MiB more than before"

    def alive(self):
        """Does it still serve others?"""
        assert self.process.poll() is None, self.said()
        peer = self.peer()
        assert peer.ask("PING").kind == wire.REPLY
        peer.close()

    def close(self):
        """SIGTERM; the daemon must end by itself and without an error."""
        self.close_peers()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(HUNG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = "hung"
        said = self.said()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert status == 0, f"the daemon ended with {status}:\n{said}"


class FakeDaemon:
    """Listens in a private folder and gives every frame of a client to answer(peer, frame), in one thread
    for each connection. answer returns False to close the connection."""

    def __init__(self, answer):
        self.answer = answer
        self.folder = tempfile.mkdtemp(prefix="brine-test-")
        self.socket = os.path.join(self.folder, "s")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket)
        self.listener.listen(64)
        self.lock = threading.Lock()
        self.connections = []  # of each: the frames that came; the first is peer.number 1
        self.failures = []
        self.threads = []
        self.start(self.accept)

    def start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.start(self.serve, sock)

    def serve(self, sock):
        peer = wire.Peer(sock, HUNG)
        frames = []
        with self.lock:
            self.connections.append(frames)
            peer.number = len(self.connections)
        try:
            while True:
                frame = peer.receive()
                if frame is None:
                    return
                frames.append(frame)
                if self.answer(peer, frame) is False:
                    return
        except (ConnectionError, BrokenPipeError, EOFError):
            pass
        except Exception as error:  # shown by close()
            self.failures.append(error)
        finally:
            sock.close()

    @property
    def frames(self):
        return [frame for frames in self.connections for frame in frames]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(HUNG)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not self.failures, self.failures


def reply(peer, request, fields=None, body=None, kind="REPLY", **more):
    peer.send(wire.Frame(kind, request.id, fields, body, **more))


def error(peer, request, name, detail=None, text="no"):
    fields = {"ERROR": wire.ERRORS.get(name, name), "TEXT": text}
    if detail is not None:
        fields["DETAIL"] = detail
    reply(peer, request, fields, kind="ERROR")


HELLO = {"PROTOCOL": 1, "FEATURES": 0, "RELEASE": 256, "UID": os.getuid(), "MAX_VALUE": 1 << 24, "EPOCH": 7}
