import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import machine  # noqa: E402
import packages  # noqa: E402
import tree  # noqa: E402


@pytest.fixture(scope="session")
def booted():
    """One machine for all tests, which are a day in its life, in their order."""
    why = machine.why_not()
    if why:
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="brine-boot-", dir="/var/tmp") as folder:
        try:
            this = machine.Machine(folder, tree)
        except tree.CannotMake as why_not:
            pytest.skip(str(why_not))
        for program in ("load.py", "compute.py"):
            shutil.copy(HERE / program, this.share)
        packages.put(this.share)
        try:
            try:
                this.boot()
            except machine.CannotBoot as why_not:
                pytest.skip(str(why_not))
            yield this
        finally:
            this.stop()
