"""What a cache holds does not grow with what was done with it. steady.py alone does the same at length."""

import pathlib
import subprocess
import sys

import pytest
from harness import DEADLINE

STEADY = pathlib.Path(__file__).parent / "steady.py"


@pytest.mark.parametrize("kind", [[], ["asyncio"]], ids=["sync", "asyncio"])
def test_memory_and_references_stay_the_same_whatever_is_called(daemon, kind):
    done = subprocess.run([sys.executable, STEADY, daemon.socket, "1000", *kind], capture_output=True, text=True, timeout=DEADLINE * 4)
    assert done.returncode == 0, done.stdout + done.stderr
