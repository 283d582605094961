"""python -m brine: which Brine this is, where its daemon is, and whether it answers."""

import os
import sys

import brine
from brine import _brine
from brine._handle import Handle


def main() -> int:
    if sys.argv[1:]:
        asked = sys.argv[1:] in (["-h"], ["--help"])
        print("usage: python -m brine\nSays which Brine this is, where its daemon is, and whether it answers.\n"
              "The command line is the program `brine`.", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    print(f"brine {brine.__version__}, Python {sys.version.split()[0]}, {os.path.dirname(brine.__file__)}")
    try:
        cache = _Asking()
        answer = cache._ping()
    except (brine.BrineError, ValueError) as error:
        print(f"no daemon: {error}", file=sys.stderr)
        return 3
    print(f"daemon: {cache._where()}")
    if answer is not None:
        release = answer["release"]
        print(f"daemon: release {release >> 16}.{release >> 8 & 255}.{release & 255}, "
              f"runs as uid {answer['server_uid']}, sees this process as uid {answer['uid']}")
    return 0


class _Asking(Handle, _brine.Client):
    """Asks without starting a daemon."""

    def __init__(self) -> None:
        settled = self._settle(None, None, None, "pickle", (), 1.0, "raise")
        super().__init__(**dict(settled, autostart=False))


if __name__ == "__main__":
    sys.exit(main())
