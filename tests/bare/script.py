"""What a newcomer writes first. Its argument says whether the result is to be there already."""

import sys

import brine

expected = sys.argv[1]
cache = brine.Cache("bare", on_error="raise", timeout=20)
computed = []


@cache.memoize(ttl="1d")
def square(number):
    computed.append(number)
    return number * number


assert square(12) == 144
assert bool(computed) == (expected == "first"), f"computed {computed}, expected {expected}"
print(f"script.py {expected}: brine {brine.__version__} from {brine.__file__}: computed {computed}")
