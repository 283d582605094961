"""A real daemon on a private directory and socket, and a client of its protocol.

The client is written from PROTOCOL.md alone, so that it tells what the daemon says on the
wire, not what libbrine makes of it.
"""

import contextlib
import itertools
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("BRINE_BUILD", "build")).resolve()
BRINED = BUILD / "brined"
# Only means "hung".
DEADLINE = 60
LAUNCHES = itertools.count()

HELLO, PING, GET, PUT, DELETE, TOUCH, META, SCAN, FLUSH, STATS, SYNC = range(1, 12)
REPLY, ERROR_KIND, GOAWAY = 128, 129, 130
NONE, MORE, LAST, ABORT = range(4)

FIELDS = {
    "namespace": 1, "key": 2, "ttl": 3, "codec": 4, "object_kind": 5, "cost": 6,
    "condition": 7, "version": 8, "ack": 9, "length": 10, "limit": 11, "cursor": 12,
    "prefix": 13, "max_age": 16, "not_version": 17, "refresh": 26, "or_get": 29, "status": 64,
    "error": 65, "text": 66, "detail": 67, "age": 68, "ttl_left": 69, "writer": 70,
    "count": 71, "last_id": 72, "protocol": 80, "features": 81, "release": 82,
    "uid": 83, "max_value": 84, "epoch": 85, "makes_room": 86, "successor": 87,
}
NAMES = {number: name for name, number in FIELDS.items()}

BUSY, BAD_REQUEST, UNSUPPORTED, TOO_LARGE, BAD_KEY, BAD_NAMESPACE = 4, 32, 33, 34, 35, 36
ABORTED, ABSENT, EXISTS, CHANGED = 39, 64, 65, 66


def pack(value):
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        raw = value.encode()
        return b"\xda" + struct.pack(">H", len(raw)) + raw
    return b"\xc5" + struct.pack(">H", len(value)) + value


def pack_map(fields):
    pairs = [pack(FIELDS.get(name, name)) + pack(value) for name, value in fields.items()]
    return b"\xde" + struct.pack(">H", len(pairs)) + b"".join(pairs)


def unpack(raw, at):
    tag = raw[at]
    at += 1
    if tag < 0x80:
        return tag, at
    if 0xcc <= tag <= 0xcf:
        size = 1 << (tag - 0xcc)
        return int.from_bytes(raw[at:at + size], "big"), at + size
    if 0xa0 <= tag <= 0xbf:
        size, text = tag & 0x1f, True
    else:
        kinds = {0xc4: (1, False), 0xc5: (2, False), 0xd9: (1, True), 0xda: (2, True)}
        width, text = kinds[tag]
        size = int.from_bytes(raw[at:at + width], "big")
        at += width
    run = raw[at:at + size]
    return (run.decode() if text else run), at + size


def unpack_map(raw):
    if not raw:
        return {}
    assert 0x80 <= raw[0] <= 0x8f
    fields, at = {}, 1
    for _ in range(raw[0] & 0xf):
        number, at = unpack(raw, at)
        value, at = unpack(raw, at)
        fields[NAMES.get(number, number)] = value
    assert at == len(raw)
    return fields


class Closed(Exception):
    """The daemon closed the connection."""


class Frame:
    """A reply: its kind and id, its fields as attributes (None when absent), its body."""

    def __init__(self, kind, number, fields, body, mark, header=b""):
        self.kind, self.id, self.fields, self.header = kind, number, fields, header
        self.body, self.mark = body, mark  # body None: there was none

    def __getattr__(self, name):
        if name not in FIELDS:
            raise AttributeError(name)
        return self.fields.get(name)

    def __repr__(self):
        body = None if self.body is None else f"{len(self.body)} bytes"
        return f"Frame(kind={self.kind}, id={self.id}, {self.fields}, body={body})"


class Client:
    """One connection. Requests are sent at once; replies are matched by their ids."""

    def __init__(self, path, hello=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(str(path))
        self.next_id = 0
        self.replies = {}
        self.goaway = None
        if hello:
            self.hello = self.call(HELLO)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def frame(self, kind, fields=(), body=None, mark=LAST, version=1, flags=0):
        """The bytes of the next request, which gets its id."""
        header = pack_map(dict(fields)) if fields else b""
        word = (0 if body is None else mark << 30 | len(body))
        number = self.next_id
        self.next_id = (self.next_id + 1) % 2**32
        return number, struct.pack("<BBHIII", version, kind, flags, number, len(header),
                                   word) + header + (body or b"")

    def send(self, kind, fields=(), body=None, mark=LAST):
        number, raw = self.frame(kind, fields, body, mark)
        self.socket.sendall(raw)
        return number

    def segment(self, mark, body=b"", error=0):
        self.socket.sendall(struct.pack("<I", mark << 30 | (error or len(body))) + body)

    def exactly(self, count):
        run = bytearray()
        while len(run) < count:
            some = self.socket.recv(min(count - len(run), 1 << 20))
            if not some:
                raise Closed
            run += some
        return bytes(run)

    def read(self):
        """The next frame, whosever it is."""
        version, kind, flags, number, length, word = struct.unpack(
            "<BBHIII", self.exactly(16))
        assert (version, flags) == (1, 0)
        header = self.exactly(length)
        fields = unpack_map(header)
        mark, body = word >> 30, None
        if mark:
            body = b"" if mark == ABORT else self.exactly(word & 0x3fffffff)
        while mark == MORE:
            word, = struct.unpack("<I", self.exactly(4))
            mark = word >> 30
            if mark != ABORT:
                body += self.exactly(word & 0x3fffffff)
        return Frame(kind, number, fields, body, mark, header)

    def reply(self, number):
        while number not in self.replies:
            frame = self.read()
            if frame.kind == GOAWAY:
                self.goaway = frame
                continue
            self.replies[frame.id] = frame
        return self.replies.pop(number)

    def call(self, kind, fields=(), body=None, mark=LAST):
        return self.reply(self.send(kind, fields, body, mark))

    def put(self, key, value, **fields):
        fields = {"key": key, **fields}
        if len(value) <= 1 << 20:
            return self.call(PUT, fields, value)
        parts = [value[at:at + (1 << 20)] for at in range(0, len(value), 1 << 20)]
        number = self.send(PUT, fields, parts[0], MORE)
        for part in parts[1:-1]:
            self.segment(MORE, part)
        self.segment(LAST, parts[-1])
        return self.reply(number)

    def get(self, key, **fields):
        return self.call(GET, {"key": key, **fields})

    def stats(self):
        lines = self.call(STATS).body.decode().splitlines()
        return {tuple(line.split("\t")[:2]): line.split("\t")[2] for line in lines}


class Daemon:
    """brined in the foreground, with its own data directory."""

    def __init__(self, folder, *arguments, env=(), data=True, descriptors=None,
                 program=None):
        self.program = program
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.socket = self.data / "brine.sock"
        self.log_path = self.folder / "log"
        self.arguments = [*(["--data", str(self.data)] if data else []), *arguments]
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.folder),
                    **{name: value for name, value in os.environ.items()
                       if name.endswith("SAN_OPTIONS")}, **dict(env)}
        self.descriptors = descriptors
        self.process = None
        self.ready = None

    def start(self):
        """Returns when the daemon serves; raises with its log when it does not."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self):
        # Its own: the daemon before it may have something to say yet.
        notify = self.folder / f"notify-{next(LAUNCHES)}"
        if self.ready:
            self.ready.close()
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ready.bind(str(notify))
        command = [str(self.program or BRINED), *self.arguments]
        if self.descriptors:
            command = ["prlimit", f"--nofile={self.descriptors}", "--", *command]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**self.env, "NOTIFY_SOCKET": str(notify)}, cwd="/")

    def wait_ready(self):
        pidfd = os.pidfd_open(self.process.pid)
        try:
            readable, _, _ = select.select([self.ready, pidfd], [], [], DEADLINE)
            assert self.ready in readable, f"brined did not start:\n{self.log()}"
            # Before it is ready it says what it is at.
            if b"READY=1" not in self.ready.recv(1000).splitlines():
                self.wait_ready()
        finally:
            os.close(pidfd)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, text, times=1):
        """Waits until the log has the text."""
        until = time.monotonic() + DEADLINE
        while self.log().count(text) < times:
            assert time.monotonic() < until, f"no '{text}' in the log:\n{self.log()}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Returns the exit status."""
        return self.process.wait(DEADLINE)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait() if self.process else None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE)
        if self.ready:
            self.ready.close()

    def client(self, **options):
        return Client(self.socket, **options)


def run(*arguments, env=()):
    """brined to its end, for what does not serve."""
    return subprocess.run([str(BRINED), *arguments], capture_output=True, text=True,
                          timeout=DEADLINE, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], **dict(env)}, check=False)


@contextlib.contextmanager
def private_folder():
    with tempfile.TemporaryDirectory(prefix="brine-") as folder:
        yield pathlib.Path(folder)
