"""Runs the C programs of tests/crash."""

import os
import subprocess

import pytest

from peers import BUILD, HUNG


def run(program, *arguments, seconds=10 * HUNG):
    """What the program says is printed, and is the message if it fails."""
    path = BUILD / "crash" / program
    if not path.exists():
        pytest.skip(f"{path} is not built")
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    ended = subprocess.run([path, *map(str, arguments)], env=env, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
