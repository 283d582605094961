#!/usr/bin/python3
"""What Brine is for, on real input: which documents of this machine are nearly the same?

    PYTHONPATH=build/python python3 client/python/demo/alike.py [FOLDER]

Reads texts (of /usr/share/common-licenses and /usr/share/doc, or of FOLDER), makes a signature of each in pure
Python, which takes seconds, and keeps the signatures with Brine. Then does the same again in another process,
after the daemon was killed, and in eight processes at once. Uses a temporary directory and a daemon of
its own, and leaves nothing behind.
"""

import gzip
import hashlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import brine

ENOUGH_S = 4.0  # the first run takes as many documents as keep it busy for so long
FOLDERS = ("/usr/share/common-licenses", "/usr/share/doc")
TEXTS = re.compile(r"(?i)(copyright|license|licence|readme|news|changelog|gpl|mit|bsd|.*\.(txt|md|rst))[^/]*$|"
                   r"^/usr/share/common-licenses/")
WORKERS = 8

# ---- the program: all that it has to do with Brine are the next line and the decorator

cache = brine.Cache("demo")
computed = 0

ROUNDS = [hashlib.blake2b(bytes([n]), digest_size=16).digest() for n in range(64)]
ROUNDS = [(int.from_bytes(pair[:8], "big") | 1, int.from_bytes(pair[8:], "big")) for pair in ROUNDS]
MASK = 2**64 - 1


@cache.memoize()
def signature(text):
    """MinHash: 64 numbers; the share of them that two documents have in common is about the share of
    five-word runs that they have in common."""
    global computed
    computed += 1
    words = re.findall(r"\w+", text.lower())
    runs = {" ".join(words[at:at + 5]) for at in range(max(1, len(words) - 4))}
    hashes = [int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big") for run in runs]
    return [min((factor * value + offset) & MASK for value in hashes) for factor, offset in ROUNDS]


def most_alike(signatures):
    """(share, one, other), the most similar first. Only documents that agree in one of 16 bands are compared."""
    bands, pairs = {}, set()
    for name, numbers in signatures.items():
        for band in range(16):
            bands.setdefault((band, *numbers[4 * band:4 * band + 4]), []).append(name)
    for names in bands.values():
        pairs.update((one, other) for at, one in enumerate(names) for other in names[at + 1:at + 20])
    shares = ((sum(map(int.__eq__, signatures[one], signatures[other])) / 64, one, other) for one, other in pairs)
    return sorted(shares, key=lambda pair: (-pair[0], pair[1:]))


def documents(folders):
    """(name, text) of each text that is not exactly another one's."""
    seen = set()
    for folder in folders:
        for place, below, names in os.walk(folder):
            below.sort()
            for path in sorted(os.path.join(place, name) for name in names):
                if not TEXTS.search(path) or os.path.islink(path):
                    continue
                try:
                    raw = pathlib.Path(path).read_bytes()
                    raw = gzip.decompress(raw) if path.endswith(".gz") else raw
                except (OSError, EOFError):
                    continue
                digest = hashlib.blake2b(raw).digest()
                if 500 <= len(raw) <= 40_000 and digest not in seen:
                    seen.add(digest)
                    yield path, raw.decode("utf-8", "replace")


def run(folders, count):
    """The whole program, timed. count: how many documents, or 0 for as many as fill ENOUGH_S."""
    start = time.perf_counter()
    signatures, characters = {}, 0
    for name, text in documents(folders):
        signatures[name] = signature(text)
        characters += len(text)
        if len(signatures) == count or not count and time.perf_counter() - start >= ENOUGH_S:
            break
    alike = most_alike(signatures)
    return {"seconds": time.perf_counter() - start, "computed": computed, "documents": len(signatures),
            "characters": characters, "alike": alike[:3], "pairs": len(alike),
            "result": hashlib.blake2b(json.dumps([signatures, alike]).encode()).hexdigest()}


# ---- the tour: runs the program several times, each time in a new process


class Tour:
    def __init__(self, folders, home):
        self.folders, self.home = folders, home
        self.failed = False
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("BRINE_", "XDG_"))}
        for name in ("CACHE_HOME", "CONFIG_HOME", "RUNTIME_DIR"):
            path = home / name.lower()
            path.mkdir(mode=0o700)
            self.environment["XDG_" + name] = str(path)

    def start(self, count):
        return subprocess.Popen([sys.executable, __file__, "--run", str(count), *self.folders], env=self.environment,
                                stdout=subprocess.PIPE)

    def finish(self, process):
        output = process.communicate()[0]
        if process.returncode:
            sys.exit(f"the program failed with exit status {process.returncode}")
        return json.loads(output)

    def daemon(self):
        """The process id of this tour's own daemon, by who is at its socket; None if nobody is."""
        with socket.socket(socket.AF_UNIX) as asking:
            if asking.connect_ex(str(self.home / "cache_home/brine/brine.sock")):
                return None
            return struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def end_daemon(self, how):
        pid = self.daemon()
        if pid is None:
            return None
        process = os.pidfd_open(pid)
        signal.pidfd_send_signal(process, how)
        select.select([process], [], [], 30)
        os.close(process)
        return pid

    def tell(self, first, done, computed, times=1):
        same = done["result"] == first["result"]
        work = f"{times} times {first['seconds']:.2f} s of computing" if times > 1 else "the computing"
        print(f"   {computed} computed, {done['seconds']:.2f} s: {times * first['seconds'] / done['seconds']:.0f} times as fast as "
              f"{work}, {'the same result' if same else 'ANOTHER RESULT'}.")
        self.failed |= computed > 0 or not same

    def first(self):
        print("1. The first run. Nothing is stored yet, and no daemon runs.", flush=True)
        done = self.finish(self.start(0))
        print(f"   {done['computed']} signatures of {done['documents']} texts computed ({done['characters'] / 1e6:.1f} million "
              f"characters), {done['seconds']:.2f} s.\n   The first call started brined, process {self.daemon()}. "
              f"{done['pairs']} pairs are much alike, such as")
        for share, one, other in done["alike"]:
            print(f"   {share:4.0%}  {one}\n         {other}")
        return done

    def tour(self):
        if next(documents(self.folders), None) is None:
            sys.exit(f"no texts in {' and '.join(self.folders) or 'no folder'}: name a folder that has some")
        print(f"Which texts of {' and '.join(self.folders)} are nearly the same?\n")
        first = self.first()
        count = first["documents"]
        print("\n2. The same program in a new process: what one computed, the next one finds.", flush=True)
        done = self.finish(self.start(count))
        self.tell(first, done, done["computed"])
        print("\n3. The daemon is killed with signal 9, then the program runs again.", flush=True)
        killed = self.end_daemon(signal.SIGKILL)
        done = self.finish(self.start(count))
        self.tell(first, done, done["computed"])
        print(f"   In this time it started a new daemon, {self.daemon()} for {killed}, which had it all on the disk.")
        print(f"\n4. {WORKERS} processes at once share it, on {os.cpu_count()} processors.", flush=True)
        workers = [self.start(count) for _ in range(WORKERS)]
        done = [self.finish(worker) for worker in workers]
        slowest = max(done, key=lambda one: (one["result"] != first["result"], one["seconds"]))
        self.tell(first, slowest, sum(one["computed"] for one in done), WORKERS)
        print("   (That is the time of the slowest of them.)")
        return self.failed


def main():
    if sys.argv[1:2] == ["--run"]:
        json.dump(run(sys.argv[3:], int(sys.argv[2])), sys.stdout)
        return 0
    folders = sys.argv[1:] or [folder for folder in FOLDERS if os.path.isdir(folder)]
    home = pathlib.Path(tempfile.mkdtemp(prefix="brine-demo-"))
    tour = Tour(folders, home)
    try:
        return int(tour.tour())
    finally:
        tour.end_daemon(signal.SIGTERM)
        shutil.rmtree(home)


if __name__ == "__main__":
    sys.exit(main())
