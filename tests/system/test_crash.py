"""What survives the daemon's sudden death. `make crash` does the same a thousand times."""

import os
import subprocess

import pytest

from peers import BUILD, HUNG, missing


def run(program, *arguments):
    """One of the programs of tests/crash; what it says is the message if it fails."""
    path = BUILD / "crash" / program
    if not path.exists():
        pytest.skip(f"{path} is not built")
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    ended = subprocess.run([path, *map(str, arguments)], env=env, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=5 * HUNG, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.mark.skipif(missing("brined") is not None, reason=str(missing("brined")))
def test_after_kill_9_under_load_everything_acknowledged_is_there_and_nothing_is_wrong():
    run("kill", 8)
