"""docs/operations.md says what every figure means that the daemon shows."""

import pathlib
import re

import harness

GUIDE = (pathlib.Path(__file__).resolve().parents[2] / "docs/operations.md").read_text()
# Of each there are as many as there are commands, errors, and kinds of requests.
FAMILIES = {"requests_": "`requests_NAME`", "errors_": "`errors_NAME`", "latency_": "`latency_WHAT_p50_ns`"}


def test_every_counter_is_explained(daemon, client):
    client.put(b"k", b"v", ack=2)
    client.get(b"k")
    client.get(b"nothing")
    client.call(harness.FLUSH)
    names = {name for _, name in client.stats()}
    assert {"hits", "objects", "uptime_ms", "requests_put"} <= names
    for name in sorted(names):
        family = next((word for beginning, word in FAMILIES.items() if name.startswith(beginning)), f"`{name}`")
        assert family in GUIDE, f"{name} is a counter, and docs/operations.md does not say what of"


def test_what_is_explained_is_a_counter():
    source = "".join(path.read_text() for path in sorted(pathlib.Path(harness.__file__).parents[2].glob("daemon/*.c")))
    tables = re.findall(r"^\| (`[^|]*) \|", GUIDE, re.MULTILINE)
    words = {word for cell in tables for word in re.findall(r"`([a-z]\w*)`", cell)}
    words -= {"max_size", *(name.strip("`") for name in FAMILIES.values())}  # one is an option
    for word in sorted(words):
        assert re.search(rf'("|\\t){word}("|\\t)', source), f"docs/operations.md explains {word}, which is no counter"
