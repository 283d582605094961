#!/usr/bin/python3
"""Checks the systemd units: that systemd takes them, and how much the system's daemon is exposed.

    tests/lint/units.py FOLDER

FOLDER holds brined beside the units as they are installed: system/ and user/.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

# What systemd-analyze calls the exposure of the system's unit, 0 to 10. A user's unit is rated near 10 whatever
# stands in it.
EXPOSURE_MAX = 0.8
# It would make all clients look like one: see SECURITY.md.
FORBIDDEN = re.compile(r"^(PrivateUsers|DynamicUser)=(?!no$)", re.MULTILINE)


def run(*command):
    with tempfile.TemporaryDirectory() as runtime:  # a user's manager has one
        result = subprocess.run(command, capture_output=True, text=True, check=False,
                                env={**os.environ, "XDG_RUNTIME_DIR": runtime})
    return result.returncode, (result.stdout + result.stderr).strip()


def verify(scope, folder):
    """Yields each thing that systemd has to say."""
    units = sorted(str(path) for path in (folder / scope).glob("brined.*") if path.is_file())
    status, said = run("systemd-analyze", "verify", f"--{scope}", "--man=no", *units)
    if status or said:
        yield f"systemd-analyze verify --{scope}: {said or f'exit status {status}'}"


def exposure(folder):
    unit = folder / "system/brined.service"
    if FORBIDDEN.search(unit.read_text()):
        yield f"{unit}: the daemon could not tell its clients apart (SO_PEERCRED)"
    status, said = run("systemd-analyze", "security", "--offline=true", "--no-pager",
                       f"--threshold={int(EXPOSURE_MAX * 10)}", str(unit))
    overall = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
    if not overall or status or float(overall[1]) > EXPOSURE_MAX:
        yield f"{unit} is exposed by more than {EXPOSURE_MAX}:\n{said}"


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    broken = [*verify("system", folder), *verify("user", folder), *exposure(folder)]
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
