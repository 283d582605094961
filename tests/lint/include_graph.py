#!/usr/bin/python3
"""Checks who may include whom: ARCHITECTURE's include graph, as tables.

A file includes only what stands on a lower level; files of one level never
include each other; each foreign library has one file that knows it. A new
file of the daemon needs a line in LEVELS, so that its place is a decision.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

FOLDERS = ("proto", "conf", "daemon", "client", "tests")

# The daemon, bottom up.
LEVELS = [
    {"clock", "limit", "log", "pace", "pulse", "ration", "recency", "share", "text"},  # include nothing of ours
    {"record", "datadir", "deadlines"},
    {"store_lmdb"},  # the inside of the store, for its own parts
    {"freelist", "snapshot", "store", "write"},
    {"identity", "namespace"},
    {"stamp"},
    {"arrival", "change", "object"},
    {"apply", "expiry", "policy", "reclaim", "sweep", "verify"},
    {"room"},
    {"mailbox"},
    {"writer_core"},  # the inside of the writer, for its own parts
    {"lease_core"},  # the inside of the leases, for their own parts
    {"entry", "lease", "peer", "waiter", "pending", "reader", "commit", "writer"},
    {"leasefile"},
    {"cache_core"},  # the inside of the cache, for its own parts
    {"cache", "admission", "bundling", "counting", "decide", "download", "getting", "health", "invalidate",
     "leasing", "listing", "lookup", "measuring", "naming", "origin", "parking", "payer", "putting", "request", "startup", "upload", "verifying"},
    {"user"},
    {"counters", "input", "listener", "notify", "rights", "place", "settings", "stream", "usermap", "watch"},
    {"handover", "outbox"},
    {"session"},
    {"reply"},
    {"call", "gather"},
    {"put", "showing"},
    {"batch"},
    {"dispatch"},
    {"conn"},
    {"intake"},
    {"exchange"},
    {"conns"},
    {"announce", "door", "watchdog"},
    {"server"},
    {"main"},
]
# The parts behind a front door see it as well.
PARTS = {
    "daemon/cache.h": {"cache_core", "admission", "bundling", "counting", "decide", "download", "getting", "health",
                       "invalidate", "leasing", "listing", "lookup", "measuring", "naming", "origin", "parking", "payer", "putting", "request",
                       "startup", "upload", "verifying"},
    "daemon/lease.h": {"lease_core", "entry", "peer", "waiter"},
    "daemon/writer.h": {"writer_core", "commit"},
    "daemon/store.h": {"freelist", "snapshot", "store_lmdb", "write"},
}
# And these headers are for the parts alone.
INSIDE = {"daemon/lease_core.h": "daemon/lease.h", "daemon/writer_core.h": "daemon/writer.h",
          "daemon/cache_core.h": "daemon/cache.h", "daemon/store_lmdb.h": "daemon/store.h"}
LEVEL = {module: level for level, modules in enumerate(LEVELS) for module in modules}

# What the daemon may use of proto/: all of it where requests are read and answered,
# and below that only the headers of plain values.
PROTO_USERS = {"cache", "cache_core", "request", "counters", "rights", "stream", "outbox", "session",
               "reply", "call", "put", "showing", "batch", "gather", "dispatch", "conn", "intake", "conns",
               "handover", "server", "main"}
PROTO_VALUES = {"proto/blake2b.h", "proto/bytes.h", "proto/errors.h", "proto/key.h",
                "proto/latency.h", "proto/slice.h", "proto/tag.h"}

# Foreign header -> the only files that may include it.
FOREIGN = {
    "lmdb.h": {"daemon/store_lmdb.h"},
    "msgpack": {"proto/message.c"},
    "uv.h": {"daemon/main.c", "daemon/server.c", "daemon/announce.h", "daemon/door.h", "daemon/conn.h",
             "daemon/conns.h", "daemon/watch.h", "daemon/watchdog.h"},
    "ini.h": {"conf/conf.c"},
    "Python.h": "client/python/",
}

# Headers that must not even speak of what is behind them.
SILENT = {
    "daemon/cache.h": r"\b(uv_\w+|mdb_\w+|MDB_\w+|lmdb\w*)",
    "daemon/store.h": r"\b(uv_\w+|mdb_\w+|MDB_\w+|lmdb\w*)",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def module(path):
    return pathlib.PurePath(path).stem


def ours_allowed(path, target):
    """Returns None, or why path may not include our own target."""
    if not (ROOT / target).is_file():
        return "no such file (include by the path from the top of the tree)"
    folder, other = path.split("/")[0], target.split("/")[0]
    if folder == "proto" or folder == "conf":
        return None if other == folder else f"{folder}/ includes {folder}/ only"
    if folder == "client":
        if path == "client/brine.h":
            return "the public header includes system headers only"
        return None if other in ("client", "proto") else "client/ includes client/ and proto/ only"
    if folder != "daemon":
        return None
    if other == "proto":
        if module(path) in PROTO_USERS or target in PROTO_VALUES:
            return None
        return f"below {min(PROTO_USERS, key=LEVEL.get)} only {', '.join(sorted(PROTO_VALUES))}"
    if other == "conf":
        return None if LEVEL[module(path)] else "the lowest level includes nothing of ours"
    if other != "daemon":
        return "daemon/ includes daemon/, conf/ and proto/ only"
    if module(path) == module(target):
        return None
    if module(path) in PARTS.get(target, ()):
        return None
    door = INSIDE.get(target)
    if door and module(path) != module(door) and module(path) not in PARTS[door]:
        return f"it is the inside of {door}"
    if module(target) not in LEVEL:
        return "it has no level yet: give it one in tests/lint/include_graph.py"
    if LEVEL[module(target)] >= LEVEL[module(path)]:
        return "it is not on a lower level"
    return None


def foreign_allowed(path, target):
    for header, users in FOREIGN.items():
        if target != header and not target.startswith(header.removesuffix(".h") + "/"):
            continue
        allowed = path in users if isinstance(users, set) else path.startswith(users)
        if not allowed and not path.startswith("tests/"):
            where = ", ".join(sorted(users)) if isinstance(users, set) else users
            return f"it belongs to {where} alone"
    return None


def check(path, text):
    """Yields a sentence for each rule that the file breaks."""
    if path.startswith("daemon/") and module(path) not in LEVEL:
        yield f"{path} has no level yet: give it one in tests/lint/include_graph.py"
        return
    for kind, target in INCLUDE.findall(text):
        allowed = ours_allowed if kind == '"' else foreign_allowed
        why = allowed(path, target)
        if why:
            yield f"{path} includes {target}: {why}"
    if path in SILENT:
        for word in re.findall(SILENT[path], COMMENT.sub(" ", text)):
            yield f"{path} mentions {word}"


def main():
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]"))]
    broken = [line for file in files
              for line in check(str(file.relative_to(ROOT)), file.read_text())]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
