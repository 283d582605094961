"""One who computes a value, or waits for it.

    python3 compute.py SECONDS NAME

Says "asking" before the call where NAME is waiter, "computing" when it is its turn, for which it waits for a line; at the
end, the value.
"""

import sys

import brine

seconds, name = float(sys.argv[1]), sys.argv[2]


def compute():
    print("computing", flush=True)
    sys.stdin.readline()
    return f"by {name}"


with brine.Cache("compute", timeout=seconds, on_error="raise") as cache:
    if name == "waiter":
        print("asking", flush=True)
    print(cache.get_or_set("value", compute), flush=True)
