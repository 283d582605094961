"""A daemon that the test plays, over the plain-Python protocol of tests/golden/wire.py: it keeps objects in a
dict and says about them what the test wants, such as that another uid wrote them."""

import os
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "golden"))

import wire  # noqa: E402

NAMES = {number: name for name, number in wire.COMMANDS.items()}


class Object:
    def __init__(self, value, codec=0, writer=None, kind=0, **fields):
        self.value, self.codec, self.kind, self.fields = value, codec, kind, fields
        self.version = fields.get("VERSION", 1)
        self.writer = os.geteuid() if writer is None else writer

    def meta(self):
        return {"CODEC": self.codec, "OBJECT_KIND": self.kind, "WRITER": self.writer, "VERSION": 1,
                "LENGTH": len(self.value), "AGE": 0, **self.fields}


class PlayedDaemon:
    def __init__(self, path):
        self.path = str(path)
        self.objects = {}  # by (namespace, encoded key)
        self.requests = []  # (command name, fields)
        self.lacks = set()  # the fields of requests that it does not know
        self.errors = {}  # command name: error number to answer with
        self.stop_at = None  # a command name: close instead of answering it
        self.stops = {}  # the same, by command name: so many times
        self.hold = {}  # command name: an Event to wait for before the answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """What a kill does to a real one."""
        if self.listener.fileno() >= 0:
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def plant(self, key, value, namespace="default", **more):
        self.objects[namespace, key] = Object(value, **more)

    def stored(self, key, namespace="default"):
        return self.objects[namespace, key]

    def count(self, command):
        return sum(name == command for name, _ in self.requests)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        peer = wire.Peer(connection, timeout=None)
        try:
            while (frame := peer.receive()) is not None:
                command = NAMES[frame.kind]
                if command != "HELLO":
                    self.requests.append((command, frame.named))
                if command in self.hold:
                    self.hold[command].wait(60)
                if command == self.stop_at:
                    break
                if self.stops.get(command):
                    self.stops[command] -= 1
                    break
                peer.send(self._reply(command, frame))
        except (OSError, EOFError):
            pass
        connection.close()

    def _reply(self, command, frame):
        if command in self.errors:
            return wire.Frame("ERROR", frame.id, {"ERROR": self.errors[command], "TEXT": "as the test wants"})
        for name in self.lacks & frame.named.keys():
            return wire.Frame("ERROR", frame.id, {"ERROR": wire.ERRORS["UNSUPPORTED"], "DETAIL": wire.FIELDS[name][0]})
        answer = getattr(self, command.lower(), None)
        if answer is None:  # an older daemon's answer
            return wire.Frame("ERROR", frame.id, {"ERROR": wire.ERRORS["UNSUPPORTED"]})
        fields, body = answer(frame.named, frame.body)
        return wire.Frame("REPLY", frame.id, fields, body)

    def _object(self, fields):
        return self.objects.get((fields.get("NAMESPACE", "default"), fields["KEY"]))

    def hello(self, fields, body):
        return {"PROTOCOL": 1, "FEATURES": 0, "RELEASE": 256, "UID": os.geteuid(),
                "MAX_VALUE": 1 << 28, "EPOCH": 1}, None

    def ping(self, fields, body):
        return {}, None

    def get(self, fields, body):
        found = self._object(fields)
        return (found.meta(), found.value) if found else ({"STATUS": 1}, None)

    def meta(self, fields, body):
        found = self._object(fields)
        return (found.meta() if found else {"STATUS": 1}), None

    def put(self, fields, body):
        there = self._object(fields)
        if fields.get("OR_GET") and there and there.version != fields.get("NOT_VERSION"):
            return there.meta(), there.value
        if fields.get("OR_GET"):
            return {"STATUS": 1, **self._put(fields, body)}, None
        return self._put(fields, body), None

    def _put(self, fields, body):
        kept = {name: fields[name] for name in ("TTL", "COST") if name in fields}
        found = Object(body, fields.get("CODEC", 0), None, fields.get("OBJECT_KIND", 0))
        found.put_fields = kept
        self.objects[fields.get("NAMESPACE", "default"), fields["KEY"]] = found
        return {"VERSION": found.version}

    def delete(self, fields, body):
        found = self.objects.pop((fields.get("NAMESPACE", "default"), fields["KEY"]), None)
        return {"STATUS": 0 if found else 1}, None

    def touch(self, fields, body):
        return {"STATUS": 0 if self._object(fields) else 1}, None

    def scan(self, fields, body):
        wanted = fields.get("NAMESPACE", "default")
        keys = [key for namespace, key in sorted(self.objects)
                if namespace == wanted and key.startswith(fields.get("PREFIX", b""))]
        start = int.from_bytes(fields.get("CURSOR", b""), "big")
        page = keys[start:start + min(fields.get("LIMIT", 2), 2)]
        entries = b"".join(wire.encode_entry(key, flags=len(key) == 1024) for key in page)
        more = {"CURSOR": (start + len(page)).to_bytes(4, "big")} if start + len(page) < len(keys) else {}
        return {"COUNT": len(page), **more}, entries

    def flush(self, fields, body):
        self.objects = {at: found for at, found in self.objects.items()
                        if at[0] != fields.get("NAMESPACE", "default")}
        return {}, None

    def stats(self, fields, body):
        return {}, b"daemon\tuptime\t5\nnamespace default\thit_ratio\t0.5\nnamespace default\tname\tx\n"

    def sync(self, fields, body):
        return {}, None
