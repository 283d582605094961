"""What survives the daemon's sudden death. `make crash` does the same a thousand times."""

import pytest

from peers import missing
from programs import run


@pytest.mark.skipif(missing("brined") is not None, reason=str(missing("brined")))
def test_after_kill_9_under_load_everything_acknowledged_is_there_and_nothing_is_wrong():
    run("kill", 8)
