"""A daemon in plain Python that keeps everything in a dict: what PROTOCOL.md says, and nothing more.

It stands in for older and newer daemons in tests of our clients: `lacks` names the commands and fields that
it does not know, `newer` lets it say all that a later release might say."""

import os
import re
import threading
import time

import peers
import wire

TAKES = {
    "PING": (), "STATS": (), "SYNC": (),
    "GET": ("NAMESPACE", "KEY", "MAX_AGE", "NOT_VERSION", "REFRESH"),
    "PUT": ("NAMESPACE", "KEY", "TTL", "CODEC", "OBJECT_KIND", "COST", "CONDITION", "VERSION", "ACK", "LENGTH"),
    "DELETE": ("NAMESPACE", "KEY", "VERSION", "ACK"),
    "TOUCH": ("NAMESPACE", "KEY", "TTL", "ACK"),
    "SCAN": ("NAMESPACE", "PREFIX", "CURSOR", "LIMIT"),
    "FLUSH": ("NAMESPACE", "ACK"),
}
TAKES["META"] = TAKES["GET"]
COMMANDS = {number: name for name, number in wire.COMMANDS.items()}
WITH_KEY = ("GET", "META", "PUT", "DELETE", "TOUCH")
SCAN_LIMIT = 256


class Refused(Exception):
    def __init__(self, error, detail=None, text="the model says no"):
        self.error, self.detail, self.text = error, detail, text


class Model:
    """answer() is for peers.FakeDaemon."""

    def __init__(self, lacks=(), newer=False):
        self.lacks, self.newer = set(lacks), newer
        self.lock = threading.Lock()
        self.spaces = {}
        self.version = 1000
        self.max_value = 1 << 24

    def answer(self, peer, frame):
        with self.lock:
            return self.dispatch(peer, frame)

    def dispatch(self, peer, frame):
        name = COMMANDS.get(frame.kind)
        if name == "HELLO":
            return self.reply(peer, frame, {**peers.HELLO, "MAX_VALUE": self.max_value,
                                            **self.of_later("HELLO")})
        try:
            self.check(name, frame)
            fields, body = getattr(self, name.lower())(frame.named, frame)
        except Refused as refused:
            return peers.error(peer, frame, refused.error, refused.detail, refused.text)
        return self.reply(peer, frame, {**fields, **self.of_later(name)}, body)

    @staticmethod
    def reply(peer, frame, fields, body=None):
        peers.reply(peer, frame, fields, body)

    def of_later(self, name):
        """Fields that a later release might add to a reply."""
        if not self.newer:
            return {}
        if name == "HELLO":
            return {"PROTOCOL": 9, "FEATURES": 2**64 - 1, "RELEASE": 0x090909, 90: [1, {2: b"x"}], 200: "new"}
        return {28: 1, 100: [None, 1.5], 127: {1: "x"}, 128: -5, 300: b"bytes"}

    def check(self, name, frame):
        if name is None or name in self.lacks or frame.version != 1 or frame.flags:
            raise Refused("UNSUPPORTED")
        try:
            fields = frame.named
        except wire.Malformed:
            raise Refused("BAD_REQUEST")
        for number in sorted(frame.fields):
            known = wire.FIELD_NAMES.get(number)
            if number < 128 and (known not in TAKES[name] or known in self.lacks):
                raise Refused("UNSUPPORTED", number)
        if (name == "PUT") != (frame.mark != wire.NONE):
            raise Refused("BAD_REQUEST")
        if name not in ("PING", "STATS", "SYNC"):
            self.check_namespace(fields.get("NAMESPACE", "default"))
        if name in WITH_KEY:
            self.check_key(fields)
        for choice, most in (("CONDITION", 3), ("ACK", 2), ("OBJECT_KIND", 1)):
            if fields.get(choice, 0) > most:
                raise Refused("UNSUPPORTED", wire.FIELDS[choice][0])
        if fields.get("TTL") == 0:
            raise Refused("BAD_REQUEST")

    @staticmethod
    def check_namespace(name):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name):
            raise Refused("BAD_NAMESPACE", None, "Brine has namespaces, not directories; your data is in RAM")

    @staticmethod
    def check_key(fields):
        if "KEY" not in fields:
            raise Refused("BAD_REQUEST")
        key = fields["KEY"]
        if not 1 <= len(key) <= 1024:
            raise Refused("BAD_KEY")
        if key[0] >= 0xF5:
            return
        text = key[:992] if len(key) == 1024 else key
        try:
            text.decode()
        except UnicodeDecodeError as error:
            if len(key) < 1024 or error.reason != "unexpected end of data":
                raise Refused("BAD_KEY")

    # ---- objects

    def space(self, fields):
        objects = self.spaces.setdefault(fields.get("NAMESPACE", "default"), {})
        now = time.monotonic()
        for key in [key for key, found in objects.items() if found["ends"] and found["ends"] <= now]:
            del objects[key]
        return objects

    @staticmethod
    def ends(ttl):
        return None if ttl is None or ttl >= 2**63 else time.monotonic() + ttl / 1000

    @staticmethod
    def left(found):
        return {} if found["ends"] is None else {"TTL_LEFT": int((found["ends"] - time.monotonic()) * 1000) + 1}

    def get(self, fields, frame):
        found = self.space(fields).get(fields["KEY"])
        if found is None or found["VERSION"] == fields.get("NOT_VERSION", 0):
            return {"STATUS": 1}, None
        age = int((time.monotonic() - found["written"]) * 1000)
        if age > fields.get("MAX_AGE", 2**64):
            return {"STATUS": 1}, None
        said = {name: found[name] for name in ("VERSION", "CODEC", "OBJECT_KIND", "COST") if found[name]}
        said |= {"LENGTH": len(found["value"]), "AGE": age, "WRITER": os.getuid(), **self.left(found)}
        if "REFRESH" in fields:
            found["ttl"] = fields["REFRESH"] or found["ttl"]
            found["ends"] = self.ends(found["ttl"])
        return said, found["value"]

    def meta(self, fields, frame):
        return self.get(fields, frame)[0], None

    def put(self, fields, frame):
        if fields.get("LENGTH", 0) > self.max_value:
            raise Refused("TOO_LARGE", self.max_value)
        if frame.mark == wire.ABORT:
            raise Refused("ABORTED")
        value = frame.body
        if len(value) > self.max_value:
            raise Refused("TOO_LARGE", self.max_value)
        condition = fields.get("CONDITION", 0)
        if ("VERSION" in fields) != (condition == 3) or fields.get("CODEC", 0) >= 1 << 32 \
                or fields.get("LENGTH", len(value)) != len(value) \
                or fields.get("OBJECT_KIND") and len(value) != 8:
            raise Refused("BAD_REQUEST")
        space = self.space(fields)
        found = space.get(fields["KEY"])
        if condition == 1 and found:
            raise Refused("EXISTS")
        if condition in (2, 3) and not found:
            raise Refused("ABSENT")
        if condition == 3 and found["VERSION"] != fields["VERSION"]:
            raise Refused("CHANGED")
        self.version += 1
        space[fields["KEY"]] = {
            "value": value, "VERSION": self.version, "written": time.monotonic(),
            "ttl": fields.get("TTL"), "ends": self.ends(fields.get("TTL")),
            **{name: fields.get(name, 0) for name in ("CODEC", "OBJECT_KIND", "COST")}}
        return {"VERSION": self.version}, None

    def delete(self, fields, frame):
        space = self.space(fields)
        found = space.get(fields["KEY"])
        if not found:
            return {"STATUS": 1}, None
        if found["VERSION"] != fields.get("VERSION", found["VERSION"]):
            raise Refused("CHANGED")
        del space[fields["KEY"]]
        return {"STATUS": 0}, None

    def touch(self, fields, frame):
        found = self.space(fields).get(fields["KEY"])
        if not found:
            return {"STATUS": 1}, None
        found["ttl"] = fields.get("TTL")
        found["ends"] = self.ends(found["ttl"])
        return {"STATUS": 0, "VERSION": found["VERSION"]}, None

    def scan(self, fields, frame):
        limit = fields.get("LIMIT", SCAN_LIMIT)
        prefix, cursor = fields.get("PREFIX", b""), fields.get("CURSOR", b"\0" * 8)
        if not 1 <= limit <= 4096 or len(prefix) > 1024 or len(cursor) != 8 or cursor[0]:
            raise Refused("BAD_REQUEST")
        # By version: a position that stays right while objects come and go.
        after = int.from_bytes(cursor, "big")
        found = sorted((item["VERSION"], key, item) for key, item in self.space(fields).items()
                       if key.startswith(prefix) and item["VERSION"] > after)
        page = found[:limit]
        behind = b"of a later release" if self.newer else b""
        body = b"".join(wire.encode_entry(
            key, (len(key) == 1024) | item["OBJECT_KIND"] << 1 | (0xFFF0 if self.newer else 0), item["CODEC"],
            os.getuid(), len(item["value"]), version, self.left(item).get("TTL_LEFT"), behind)
            for version, key, item in page)
        more = {"CURSOR": page[-1][0].to_bytes(8, "big")} if len(found) > limit else {}
        return {"COUNT": len(page), **more}, body if page else None

    def flush(self, fields, frame):
        self.space(fields).clear()
        return {"STATUS": 0}, None

    def stats(self, fields, frame):
        lines = ["\tobjects\t%d\n" % sum(map(len, self.spaces.values()))]
        lines += [f"{name}\tobjects\t{len(objects)}\n" for name, objects in self.spaces.items()]
        return {}, "".join(lines).encode()

    def ping(self, fields, frame):
        return {}, None

    sync = ping
