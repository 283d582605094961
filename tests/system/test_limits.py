"""max_size holds, whatever is put, and what is too much for a daemon hurts nobody else."""

import pytest

from peers import missing
from programs import run

pytestmark = pytest.mark.skipif(missing("brined") is not None, reason=str(missing("brined")))


@pytest.mark.parametrize("kind, mib, times", [("mixed", 128, 3), ("over", 128, 3), ("small", 64, 1)])
def test_du_stays_within_the_limit_while_several_times_as_much_is_put(kind, mib, times):
    run("fill", kind, mib, times)
