"""python -m brine: which Brine this is, where its daemon is, and what is held there; starts the daemon."""

import os
import sys

import brine
from brine._stats import Stats, size_text

_USAGE = """usage: python -m brine
Says which Brine this is, where its daemon is, what this user holds and what the limit is; where no daemon runs it
starts this user's (not with BRINE_AUTOSTART=0). The command line is the program `brine`."""


def _limit(stats: Stats) -> str:
    of = stats.get("", {})
    if "max_size_bytes" in of:
        return f"{size_text(int(of['max_size_bytes']))}, which is {of.get('max_size_why', 'configured')}"
    if "quota_bytes" in of:
        return f"{size_text(int(of['quota_bytes']))}, this user's quota"
    return "not said by this daemon"


def main() -> int:
    if sys.argv[1:]:
        asked = sys.argv[1:] in (["-h"], ["--help"])
        print(_USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    print(f"brine {brine.__version__}, Python {sys.version.split()[0]}, {os.path.dirname(brine.__file__)}")
    try:
        cache = brine.Cache(on_error="raise")
        answer = cache._ping()
        stats = cache.stats()
    except (brine.BrineError, ValueError) as error:
        if getattr(error, "name", "") == "DISABLED":
            print("switched off by BRINE_DISABLE")
            return 0
        print(f"no daemon: {error}", file=sys.stderr)
        return 3
    assert answer is not None  # or it had raised
    release = answer["release"]
    print(f"daemon: release {release >> 16}.{release >> 8 & 255}.{release & 255} at {cache._where()}")
    print(f"        listens as uid {answer['server_uid']}, sees this process as uid {answer['uid']}")
    print(f"limit: {_limit(stats)}")
    print(stats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
