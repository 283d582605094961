"""libbrine.so through ctypes: its structs, and a handle whose calls are as short as Python allows."""

import ctypes
import os

import pytest

import harness

HIT, MISS = 0, 1

u8, u32, u64, size_t = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t
s64 = ctypes.c_int64
pointer, text, byref = ctypes.c_void_p, ctypes.c_char_p, ctypes.byref


def struct(name, *fields):
    return type(name, (ctypes.Structure,), {"_fields_": list(fields)})


Meta = struct("Meta", ("version", u64), ("length", u64), ("age_ms", u64), ("ttl_left_ms", u64),
              ("cost_us", u64), ("stale_ms", u64), ("codec", u32), ("kind", u32),
              ("writer_uid", u32), ("stale_for_ms", u64))
GetOptions = struct("GetOptions", ("namespace_name", text), ("max_age_ms", u64),
                    ("not_version", u64), ("refresh_ms", u64), ("stale_ok", u8),
                    ("quiet", u8))
PutOptions = struct("PutOptions", ("namespace_name", text), ("ttl_ms", u64), ("cost_us", u64),
                    ("version", u64), ("codec", u32), ("kind", u8), ("condition", u8), ("ack", u8),
                    ("stale_ms", u64), ("tags", text), ("tags_len", size_t), ("token", text))
DeleteOptions = struct("DeleteOptions", ("namespace_name", text), ("version", u64), ("ack", u8))
TouchOptions = struct("TouchOptions", ("namespace_name", text), ("ttl_ms", u64), ("ack", u8))
ScanOptions = struct("ScanOptions", ("namespace_name", text), ("prefix", text),
                     ("prefix_len", size_t), ("page", u32))
Options = struct("Options", ("socket", text), ("namespace_name", text), ("timeout_ms", ctypes.c_int64),
                 ("retry_ms", u32), ("autostart", ctypes.c_int), ("daemon", text),
                 ("trust_server_uid", ctypes.c_int), ("server_uid", u32),
                 ("interrupted", pointer), ("interrupted_arg", pointer), ("silence", pointer))
LeaseOptions = struct("LeaseOptions", ("namespace_name", text), ("max_age_ms", u64),
                      ("not_version", u64), ("stale_ok", u8), ("only_wait", u8), ("holder", u64),
                      ("wait_ms", u64), ("lease_ms", u64))
Lease = struct("Lease", ("state", u8), ("token", u8 * 16))
IncrOptions = struct("IncrOptions", ("namespace_name", text), ("initial", s64), ("ttl_ms", u64),
                     ("only_if_present", u8), ("ack", u8))
Request = struct("Request", ("command", ctypes.c_int), ("namespace_name", text), ("key", text),
                 ("key_len", size_t), ("value", text), ("value_len", size_t), ("ttl_ms", u64),
                 ("cost_us", u64), ("version", u64), ("max_age_ms", u64), ("not_version", u64),
                 ("refresh_ms", u64), ("codec", u32), ("kind", u8), ("condition", u8), ("ack", u8),
                 ("prefix", text), ("prefix_len", size_t), ("cursor", text),
                 ("cursor_len", size_t), ("limit", u32), ("stale_ok", u8), ("quiet", u8),
                 ("or_get", u8), ("lease", u8), ("give_up", u8), ("wait_ms", u64), ("lease_ms", u64), ("holder", u64),
                 ("token", text), ("stale_ms", u64), ("tags", text), ("tags_len", size_t),
                 ("delta", s64), ("initial", s64))
Reply = struct("Reply", ("token", u64), ("result", ctypes.c_int), ("value", pointer),
               ("meta", Meta), ("cursor", u8 * 64), ("cursor_len", size_t), ("detail", u64),
               ("again", ctypes.c_int), ("lease", Lease), ("counter", s64), ("entry", u64))
Entry = struct("Entry", ("key", pointer), ("key_len", size_t), ("shortened", ctypes.c_int),
               ("meta", Meta))


@pytest.fixture(scope="module")
def library():
    # A library under the thread sanitizer cannot be loaded into a plain Python.
    if b"__tsan_init" in (harness.BUILD / "libbrine.so").read_bytes():
        pytest.skip("libbrine.so is built for the thread sanitizer")
    library = ctypes.CDLL(str(harness.BUILD / "libbrine.so"))
    library.brine_message.restype = text
    library.brine_value_data.restype = pointer
    library.brine_value_len.restype = size_t
    library.brine_value_meta.restype = ctypes.POINTER(Meta)
    library.brine_key_text.restype = size_t
    return library


class Handle:
    """The calls of one struct brine, as short as Python allows."""

    def __init__(self, library, path, **options):
        self.library, self.brine = library, pointer()
        if path:
            os.environ["BRINE_SOCKET"] = str(path)
        try:
            assert library.brine_open(byref(Options(**options)), byref(self.brine)) == 0
        finally:
            os.environ.pop("BRINE_SOCKET", None)

    def __getattr__(self, name):
        function = getattr(self.library, f"brine_{name}")
        return lambda *arguments: function(self.brine, *arguments)

    def message(self):
        return self.library.brine_message(self.brine).decode()

    def close(self):
        self.library.brine_close(byref(self.brine))

    def read(self, key, **options):
        """(value, meta), or the result when it is no hit."""
        value = pointer()
        result = self.get(key, size_t(len(key)), byref(GetOptions(**options)), byref(value))
        return self.taken(value) if result == HIT else result

    def taken(self, value):
        """The bytes and the metadata of a value, which is released."""
        data = ctypes.string_at(self.library.brine_value_data(value),
                                self.library.brine_value_len(value))
        meta = Meta.from_buffer_copy(self.library.brine_value_meta(value).contents)
        self.library.brine_value_release(byref(value))
        return data, meta

    def lease(self, key, **options):
        """(result, or the value when it is a hit; state; token)."""
        value, lease = pointer(), Lease()
        result = self.get_or_lease(key, size_t(len(key)), byref(LeaseOptions(**options)),
                                   byref(value), byref(lease))
        return (self.taken(value)[0] if result == HIT else result), lease.state, bytes(lease.token)

    def many(self, function, requests, *arguments):
        """The result, and a list of each reply's result, or value when it has one."""
        replies = (Reply * len(requests))()
        result = getattr(self.library, f"brine_{function}")(
            self.brine, (Request * len(requests))(*requests), size_t(len(requests)),
            *arguments, replies, *([None] if function == "batch" else []))
        return result, [self.taken(pointer(reply.value))[0] if reply.value else reply.result
                        for reply in replies]

    def write(self, key, value, **options):
        """(result, version)."""
        version = u64()
        result = self.put(key, size_t(len(key)), value, size_t(len(value)),
                          byref(PutOptions(**options)), byref(version))
        return result, version.value

    def keys(self, **options):
        scan, entry, found = pointer(), Entry(), []
        assert self.scan_begin(byref(ScanOptions(**options)), byref(scan)) == 0
        while (result := self.library.brine_scan_next(scan, byref(entry))) == HIT:
            found.append((ctypes.string_at(entry.key, entry.key_len), entry.meta.length,
                          entry.shortened))
        assert result == MISS, self.message()
        self.library.brine_scan_end(byref(scan))
        return found


@pytest.fixture
def handle(library, daemon):
    handle = Handle(library, daemon.socket)
    yield handle
    handle.close()
