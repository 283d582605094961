"""The wire in plain Python, written from proto/PROTOCOL.md alone.

It shares nothing with Brine's own code, so that the page, the C code and this file must agree. Used by
the golden examples and by the tests that talk to a daemon or a client byte by byte.
"""

import hashlib
import struct

PREAMBLE = struct.Struct("<BBHIII")
HEADER_MAX = 65536
SEGMENT_MAX = 1 << 20
FIELDS_MAX = 64
DEPTH_MAX = 4

NONE, MORE, LAST, ABORT = range(4)
MARKS = {"none": NONE, "more": MORE, "last": LAST, "abort": ABORT}

REPLY, ERROR, GOAWAY = 128, 129, 130
COMMANDS = {"HELLO": 1, "PING": 2, "GET": 3, "PUT": 4, "DELETE": 5, "TOUCH": 6, "META": 7,
            "SCAN": 8, "FLUSH": 9, "STATS": 10, "SYNC": 11, "INCR": 12, "INVALIDATE": 13,
            "TAKE": 14, "BATCH": 15, "RELEASE": 16, "RESUME": 17, "CONFIG": 18, "VERIFY": 19}
KINDS = dict(COMMANDS, REPLY=REPLY, ERROR=ERROR, GOAWAY=GOAWAY)

# name: (number, type)
FIELDS = {
    "NAMESPACE": (1, "text"), "KEY": (2, "bytes"), "TTL": (3, "number"), "CODEC": (4, "number"),
    "OBJECT_KIND": (5, "number"), "COST": (6, "number"), "CONDITION": (7, "number"),
    "VERSION": (8, "number"), "ACK": (9, "number"), "LENGTH": (10, "number"),
    "LIMIT": (11, "number"), "CURSOR": (12, "bytes"), "PREFIX": (13, "bytes"),
    "STALE_FOR": (14, "number"), "STALE_OK": (15, "number"),
    "MAX_AGE": (16, "number"), "NOT_VERSION": (17, "number"), "TAGS": (18, "bytes"),
    "LEASE": (19, "number"), "TOKEN": (20, "bytes"), "HOLDER": (21, "number"),
    "WAIT": (22, "number"), "GIVE_UP": (23, "number"), "DELTA": (24, "number"),
    "INITIAL": (25, "number"), "REFRESH": (26, "number"), "LEASE_TIME": (27, "number"),
    "QUIET": (28, "number"), "OR_GET": (29, "number"),
    "STATUS": (64, "number"), "ERROR": (65, "number"), "TEXT": (66, "text"),
    "DETAIL": (67, "number"), "AGE": (68, "number"), "TTL_LEFT": (69, "number"),
    "WRITER": (70, "number"), "COUNT": (71, "number"), "LAST_ID": (72, "number"),
    "COUNTER": (73, "number"), "STALE": (74, "number"), "ENTRY": (75, "number"), "DAMAGED": (76, "number"),
    "PROTOCOL": (80, "number"), "FEATURES": (81, "number"), "RELEASE": (82, "number"),
    "UID": (83, "number"), "MAX_VALUE": (84, "number"), "EPOCH": (85, "number"),
    "MAKES_ROOM": (86, "number"), "SUCCESSOR": (87, "number"),
}
FIELD_NAMES = {number: name for name, (number, _) in FIELDS.items()}
FIELD_TYPES = {number: type_ for number, type_ in FIELDS.values()}

ERRORS = {
    "SHUTTING_DOWN": 1, "DISK_FULL": 2, "NO_MEMORY": 3, "BUSY": 4, "DAMAGED": 5, "INTERNAL": 6,
    "BAD_REQUEST": 32, "UNSUPPORTED": 33, "TOO_LARGE": 34, "BAD_KEY": 35, "BAD_NAMESPACE": 36,
    "FORBIDDEN": 37, "TOO_MANY": 38, "ABORTED": 39, "NOT_A_COUNTER": 40, "NOT_ADMITTED": 41,
    "ABSENT": 64, "EXISTS": 65, "CHANGED": 66, "OLD_TOKEN": 67, "OVERFLOW": 68,
}


class ProtocolError(Exception):
    """The connection must be closed."""


class Malformed(Exception):
    """The header is not what the protocol allows."""


# ---- msgpack, as much of it as headers need


def pack(value):
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        if value < 0:
            return struct.pack(">b", value) if value >= -32 else b"\xd3" + struct.pack(">q", value)
        if value < 0x80:
            return bytes([value])
        for tag, size in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
            if value < 1 << 8 * size:
                return bytes([tag]) + value.to_bytes(size, "big")
        raise OverflowError(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        if len(data) < 32:
            return bytes([0xA0 | len(data)]) + data
        return _sized((0xD9, 0xDA, 0xDB), len(data)) + data
    if isinstance(value, bytes):
        return _sized((0xC4, 0xC5, 0xC6), len(value)) + value
    if isinstance(value, (list, tuple)):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdc" + struct.pack(">H", len(value))
        return head + b"".join(map(pack, value))
    head = bytes([0x80 | len(value)]) if len(value) < 16 else b"\xde" + struct.pack(">H", len(value))
    return head + b"".join(pack(key) + pack(item) for key, item in value.items())


def _sized(tags, length):
    for tag, size in zip(tags, (1, 2, 4)):
        if length < 1 << 8 * size:
            return bytes([tag]) + length.to_bytes(size, "big")
    raise OverflowError(length)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if len(self.data) - self.at < size:
            raise Malformed("it ends too early")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, size, signed=False):
        return int.from_bytes(self.take(size), "big", signed=signed)

    def value(self, depth):
        tag = self.number(1)
        if tag < 0x80:
            return tag
        if tag >= 0xE0:
            return tag - 256
        if tag < 0x90:
            return self.map(tag & 15, depth)
        if tag < 0xA0:
            return self.array(tag & 15, depth)
        if tag < 0xC0:
            return self.text(tag & 31)
        simple = {0xC0: None, 0xC2: False, 0xC3: True}
        if tag in simple:
            return simple[tag]
        if tag in (0xC4, 0xC5, 0xC6):
            return self.take(self.number(1 << tag - 0xC4))
        if tag in (0xC7, 0xC8, 0xC9):
            return ("ext", self.take(self.number(1 << tag - 0xC7) + 1))
        if tag in (0xCA, 0xCB):
            return struct.unpack(">f" if tag == 0xCA else ">d", self.take(4 << tag - 0xCA))[0]
        if 0xCC <= tag <= 0xCF:
            return self.number(1 << tag - 0xCC)
        if 0xD0 <= tag <= 0xD3:
            return self.number(1 << tag - 0xD0, signed=True)
        if 0xD4 <= tag <= 0xD8:
            return ("ext", self.take((1 << tag - 0xD4) + 1))
        if tag in (0xD9, 0xDA, 0xDB):
            return self.text(self.number(1 << tag - 0xD9))
        if tag == 0xDC:
            return self.array(self.number(2), depth)
        if tag == 0xDE:
            return self.map(self.number(2), depth)
        raise Malformed(f"tag {tag:#x}")

    def text(self, size):
        return Text(self.take(size))

    def array(self, count, depth):
        self.deeper(depth)
        return [self.value(depth + 1) for _ in range(count)]

    def map(self, count, depth):
        self.deeper(depth)
        return [(self.value(depth + 1), self.value(depth + 1)) for _ in range(count)]

    @staticmethod
    def deeper(depth):
        if depth >= DEPTH_MAX:
            raise Malformed("nested too deep")


class Text(bytes):
    """The bytes of a str: told from a bin by its type alone."""


def decode_header(data):
    """Returns {field number: value}; text as str. Unknown fields are in it too."""
    if not data:
        return {}
    reader = _Reader(data)
    pairs = reader.value(0)
    if not 0x80 <= data[0] <= 0x8F and data[0] != 0xDE:
        raise Malformed("not a map")
    if reader.at != len(data):
        raise Malformed("something follows the map")
    if len(pairs) > FIELDS_MAX:
        raise Malformed("too many fields")
    header = {}
    for field, value in pairs:
        if isinstance(field, bool) or not isinstance(field, int) or field < 0:
            raise Malformed("a field's number is not one")
        type_ = FIELD_TYPES.get(field)
        if type_ and field in header:
            raise Malformed("a field given twice")
        header[field] = _typed(type_, value)
    return header


def _typed(type_, value):
    if type_ == "number":
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Malformed("not an unsigned number")
        return value
    if type_ == "text":
        if not isinstance(value, Text):
            raise Malformed("not a text")
        return value.decode(errors="replace")
    if type_ == "bytes":
        if not isinstance(value, bytes):
            raise Malformed("not bytes")
        return bytes(value)
    return value


def encode_header(fields):
    """fields: {number or name: value}."""
    numbers = {FIELDS[key][0] if isinstance(key, str) else key: value for key, value in fields.items()}
    return pack(dict(sorted(numbers.items())))


# ---- frames


class Frame:
    """kind, id, fields by number, segments as [(mark, bytes or error number)]."""

    def __init__(self, kind, id_, fields=None, body=None, *, segments=None, version=1, flags=0,
                 header=None):
        self.kind = KINDS.get(kind, kind)
        self.id, self.version, self.flags = id_, version, flags
        self.header = encode_header(fields or {}) if header is None else header
        if segments is None:
            segments = [(NONE, b"")] if body is None else cut(body)
        self.segments = segments

    @property
    def fields(self):
        return decode_header(self.header)

    @property
    def named(self):
        """The fields by name; unknown ones by number."""
        return {FIELD_NAMES.get(number, number): value for number, value in self.fields.items()}

    @property
    def mark(self):
        return self.segments[-1][0]

    @property
    def body(self):
        """The whole body, or None if there is none or it is void."""
        if self.mark != LAST:
            return None
        return b"".join(data for _, data in self.segments)

    def __repr__(self):
        return f"Frame(kind={self.kind}, id={self.id}, {self.named}, segments={len(self.segments)})"

    def encode(self):
        data = PREAMBLE.pack(self.version, self.kind, self.flags, self.id & 0xFFFFFFFF,
                             len(self.header), segment_word(*self.segments[0])) + self.header
        for index, (mark, content) in enumerate(self.segments):
            if index:
                data += struct.pack("<I", segment_word(mark, content))
            if mark != ABORT:
                data += content
        return data


def cut(body, size=SEGMENT_MAX):
    parts = [body[at:at + size] for at in range(0, len(body), size)] or [b""]
    return [(MORE, part) for part in parts[:-1]] + [(LAST, parts[-1])]


def segment_word(mark, content):
    return mark << 30 | (content if mark == ABORT else len(content))


def split_word(word, first):
    mark, low = word >> 30, word & (1 << 30) - 1
    if mark == ABORT:
        if not 1 <= low <= 255:
            raise ProtocolError(f"abort with error {low}")
    elif low > SEGMENT_MAX:
        raise ProtocolError(f"segment of {low} bytes")
    elif mark == NONE and (low or not first):
        raise ProtocolError("a segment without a mark")
    return mark, low


def read_frame(read):
    """read(n) returns exactly n bytes, or fewer at the end of the stream. None at its end."""
    start = read(PREAMBLE.size)
    if not start:
        return None
    if len(start) < PREAMBLE.size:
        raise EOFError("the stream ends within a preamble")
    version, kind, flags, id_, header_len, word = PREAMBLE.unpack(start)
    if version == 0 or kind == 0 or header_len > HEADER_MAX:
        raise ProtocolError(f"preamble {start.hex()}")
    mark, low = split_word(word, True)

    def exactly(size):
        data = read(size) if size else b""
        if len(data) < size:
            raise EOFError("the stream ends within a frame")
        return data

    header = exactly(header_len)
    segments = [(mark, low if mark == ABORT else exactly(low))]
    while mark == MORE:
        mark, low = split_word(struct.unpack("<I", exactly(4))[0], False)
        segments.append((mark, low if mark == ABORT else exactly(low)))
    return Frame(kind, id_, segments=segments, version=version, flags=flags, header=header)


def read_all(data):
    """Every frame of these bytes."""
    at = 0

    def read(size):
        nonlocal at
        at += size
        return data[at - size:at]

    frames = []
    while at < len(data):
        frames.append(read_frame(read))
    return frames


# ---- keys

SHORTENED = 1024
HEAD = 992


def encode_item(value):
    """The whole encoding of a key, or of an item of a tuple."""
    if value is None:
        return b"\xf9"
    if isinstance(value, bool):
        return b"\xf8\x01" if value else b"\xf8\x00"
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return b"\xf5" + value
    if isinstance(value, int):
        size = ((value if value >= 0 else ~value).bit_length() + 8) // 8 if value else 0
        return b"\xf6" + value.to_bytes(size, "big", signed=True)
    if isinstance(value, float):
        return b"\xf7" + (bytes.fromhex("7ff8000000000000") if value != value else struct.pack(">d", value))
    data = b"\xfa"
    for item in value:
        encoded = encode_item(item)
        data += leb128(len(encoded)) + encoded
    return data


def leb128(number):
    data = b""
    while number >= 0x80:
        data += bytes([number & 0x7F | 0x80])
        number >>= 7
    return data + bytes([number])


def shorten(encoding):
    if len(encoding) < SHORTENED:
        return encoding
    return encoding[:HEAD] + hashlib.blake2b(encoding, digest_size=32).digest()


def encode_key(value):
    key = shorten(encode_item(value))
    if not key:
        raise ValueError("an empty text is no key")
    return key


# ---- entries of SCAN

ENTRY = struct.Struct("<HHIIIQQQ")
NEVER = 2**64 - 1


def read_entries(body):
    """Yields dicts; passes over what a later release put behind a key."""
    at = 0
    while at < len(body):
        length, key_len, flags, codec, writer, size, version, ttl = ENTRY.unpack_from(body, at)
        if length < ENTRY.size + key_len or at + length > len(body):
            raise Malformed("an entry is longer than it says")
        start = at + ENTRY.size
        yield {"key": body[start:start + key_len], "flags": flags, "codec": codec, "writer": writer,
               "length": size, "version": version, "ttl_left": None if ttl == NEVER else ttl}
        at += length


def encode_entry(key, flags=0, codec=0, writer=0, length=0, version=0, ttl_left=None, behind=b""):
    return ENTRY.pack(ENTRY.size + len(key) + len(behind), len(key), flags, codec, writer, length,
                      version, NEVER if ttl_left is None else ttl_left) + key + behind


# ---- the field TAGS, and entries of BATCH

TAGS_MAX = 16
TAG_MAX = 255
BATCH_HEAD = struct.Struct("<BBHI")


def encode_tags(tags):
    assert 1 <= len(tags) <= TAGS_MAX and all(1 <= len(tag) <= TAG_MAX for tag in tags)
    return b"".join(bytes([len(tag)]) + tag for tag in tags)


def read_tags(field):
    """A list of tags, each bytes."""
    tags, at = [], 0
    while at < len(field):
        length = field[at]
        if length == 0 or at + 1 + length > len(field):
            raise Malformed("a tag is empty, or longer than the field")
        tags.append(field[at + 1:at + 1 + length])
        at += 1 + length
    if not 1 <= len(tags) <= TAGS_MAX:
        raise Malformed(f"{len(tags)} tags")
    return tags


def encode_batch_item(kind, fields, value=b""):
    """One entry of a batch."""
    header = encode_header(fields)
    return BATCH_HEAD.pack(KINDS.get(kind, kind), 0, len(header), len(value)) + header + value


def read_batch(body):
    """Yields (kind, fields by number, value) for each entry of a batch."""
    at = 0
    while at < len(body):
        if len(body) - at < BATCH_HEAD.size:
            raise Malformed("an entry ends too early")
        kind, zero, header_len, value_len = BATCH_HEAD.unpack_from(body, at)
        at += BATCH_HEAD.size
        if zero or header_len + value_len > len(body) - at:
            raise Malformed("an entry is longer than its batch, or byte 1 is not 0")
        yield kind, decode_header(body[at:at + header_len]), body[at + header_len:at + header_len + value_len]
        at += header_len + value_len


# ---- requests over a socket


class Peer:
    """One end of a connection, blocking, with a deadline that only means "hung"."""

    def __init__(self, sock, timeout=30):
        self.sock = sock
        self.sock.settimeout(timeout)
        self.next_id = 0

    def read(self, size):
        data = bytearray()
        while len(data) < size:
            part = self.sock.recv(min(size - len(data), 1 << 16))
            if not part:
                break
            data += part
        return bytes(data)

    def receive(self):
        """The next frame, or None at the end of the stream."""
        return read_frame(self.read)

    def send(self, frame):
        self.sock.sendall(frame.encode() if isinstance(frame, Frame) else frame)

    def request(self, kind, fields=None, body=None, **more):
        """Sends a request with the next id; returns the id."""
        id_ = self.next_id
        self.next_id = (id_ + 1) & 0xFFFFFFFF
        self.send(Frame(kind, id_, fields, body, **more))
        return id_

    def ask(self, kind, fields=None, body=None, **more):
        """Sends a request and returns its reply, which must be the next frame."""
        id_ = self.request(kind, fields, body, **more)
        reply = self.receive()
        assert reply is not None, f"closed instead of a reply to {kind}"
        assert reply.id == id_, f"reply to {reply.id} instead of {id_}"
        assert reply.kind in (REPLY, ERROR), reply
        return reply

    def hello(self, **fields):
        return self.ask("HELLO", {"FEATURES": 0, "RELEASE": 256, **fields})

    def close(self):
        self.sock.close()
