"""Clients of several real uids, and daemons whose configuration declares something for them.

A client has the uid that its thread had when it connected: the kernel keeps credentials by thread, and the
processes that a test would otherwise need would have to live as long as their leases do.
"""

import ctypes
import os
import platform
import threading

import pytest

import harness

LIBC = ctypes.CDLL(None, use_errno=True)
# The system calls themselves: the C library would change all threads.
NUMBERS = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}
SETGROUPS, SETRESGID, SETRESUID = NUMBERS.get(platform.machine(), (None,) * 3)

REASON = "only root can be several users: run the tests as root, on x86-64 or arm64"
needs_uids = pytest.mark.skipif(os.geteuid() != 0 or SETRESUID is None, reason=REASON)

INCR, INVALIDATE, TAKE, BATCH, RELEASE, RESUME, CONFIG = 12, 13, 14, 15, 16, 17, 18
FORBIDDEN, NOT_ADMITTED, TOO_MANY = 37, 41, 38
harness.FIELDS.update({
    "stale_for": 14, "stale_ok": 15, "tags": 18, "lease": 19, "token": 20, "holder": 21, "wait": 22,
    "give_up": 23, "delta": 24, "initial": 25, "counter": 73, "entry": 75,
})
harness.NAMES.update({number: name for name, number in harness.FIELDS.items()})


def call(number, *arguments):
    if LIBC.syscall(number, *arguments) != 0:
        raise OSError(ctypes.get_errno(), "cannot change credentials")


def in_thread_as(uid, gid, groups, work):
    """work(), in a thread that is this user; its result, or what it raised."""
    outcome = {}

    def run():
        try:
            array = (ctypes.c_uint32 * len(groups))(*groups)
            call(SETGROUPS, len(groups), array)
            call(SETRESGID, gid, gid, gid)
            call(SETRESUID, uid, uid, uid)
            outcome["result"] = work()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


class Daemon(harness.Daemon):
    """With a configuration file, and a socket that everybody may connect to, as a service's is."""

    def __init__(self, folder, text, *arguments, **options):
        os.chmod(folder, 0o755)
        self.file = folder / "brined.conf"
        self.file.write_text(text)
        super().__init__(folder, "--config", str(self.file), *arguments, **options)
        self.clients = []

    def start(self):
        super().start()
        os.chmod(self.data, 0o711)
        os.chmod(self.socket, 0o666)
        return self

    def as_uid(self, uid, gid=None, groups=(), **options):
        client = in_thread_as(uid, uid if gid is None else gid, groups,
                              lambda: harness.Client(self.socket, **options))
        self.clients.append(client)
        return client

    def reload(self, text, good=True):
        said = "read the configuration again" if good else "the configuration stays as it was"
        before = self.log().count(said)
        self.file.write_text(text)
        self.signal(1)
        self.wait_log(said, before + 1)

    def kill(self):
        for client in self.clients:
            client.socket.close()
        super().kill()


@pytest.fixture
def serve(folder):
    """serve("[namespace /models]...", "--set", "name=value") starts a daemon."""
    daemons = []

    def make(text="", *arguments, **options):
        daemons.append(Daemon(folder, text, *arguments, **options))
        return daemons[-1].start()

    yield make
    for daemon in daemons:
        daemon.kill()
        if daemon.process.returncode not in (0, -9):
            print(daemon.log())


def _mapped(path, use):
    """use(address, length) of the file, mapped."""
    LIBC.mmap.restype = ctypes.c_void_p
    length = os.path.getsize(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        address = LIBC.mmap(None, ctypes.c_size_t(length), 1, 1, descriptor, ctypes.c_long(0))
        assert address not in (None, ctypes.c_void_p(-1).value)
        try:
            return use(ctypes.c_void_p(address), length)
        finally:
            LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(length))
    finally:
        os.close(descriptor)


def pages_in_memory(path):
    """How many pages of the file are in the page cache. LMDB reads no page that it does not touch."""

    def count(address, length):
        vector = ctypes.create_string_buffer((length + 4095) // 4096)
        assert LIBC.mincore(address, ctypes.c_size_t(length), vector) == 0
        return sum(byte & 1 for byte in vector.raw[:-1])

    return _mapped(path, count)


def forget_pages(path):
    """Drops the file, which nobody has open, from memory; False where the file system keeps it there."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    return pages_in_memory(path) < 8
