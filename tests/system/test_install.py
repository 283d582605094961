"""What `make install` writes, that it works there, and that `make uninstall` leaves nothing of it."""

import os
import pathlib
import re
import subprocess

import pytest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make(target, folder, **variables):
    # -o: what is there is built; how it was built is no matter of this make.
    command = ["make", "-s", "-o", "programs", target, f"BUILD={harness.BUILD}", f"DESTDIR={folder}",
               *(f"{name}={value}" for name, value in variables.items())]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "LD_PRELOAD"}
    subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=harness.DEADLINE)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.fixture
def installed(folder):
    make("install", folder, PREFIX="/opt/b")
    return folder


def test_what_is_installed_is_uninstalled_and_nothing_else(installed):
    assert "opt/b/bin/brined" in files(installed)
    (installed / "opt/b/bin/other").write_text("somebody else's")
    cached = next(installed.rglob("brine/__init__.py")).parent / "__pycache__"
    cached.mkdir()
    (cached / "left.pyc").write_text("python's")
    make("uninstall", installed, PREFIX="/opt/b")
    assert files(installed) == {"opt/b/bin/other"}
    assert not [path for path in installed.rglob("*") if "brine" in path.name]


def test_a_configuration_that_was_changed_stays(installed):
    config = installed / "etc/brine/brined.conf"
    assert config.read_bytes() == (ROOT / "conf/brined.conf").read_bytes()
    config.write_text("max_value = 1M\n")
    make("install", installed, PREFIX="/opt/b")
    assert config.read_text() == "max_value = 1M\n"
    make("uninstall", installed, PREFIX="/opt/b")
    assert files(installed) == {"etc/brine/brined.conf"}


def test_every_name_in_an_installed_text_is_filled_in(installed):
    for path in files(installed):
        if path.endswith((".service", ".socket", ".pc", ".conf")):
            assert not re.search(r"@[A-Z]+@", (installed / path).read_text()), path
    unit = (installed / "opt/b/lib/systemd/system/brined.service").read_text()
    assert "ExecStart=/opt/b/bin/brined --config /etc/brine/brined.conf\n" in unit


def test_a_program_is_built_with_what_pkg_config_says(installed):
    prefix = installed / "opt/b"
    source = installed / "program.c"
    source.write_text("#include <brine.h>\n#include <stdio.h>\n"
                      "int main(void) { puts(brine_version()); return 0; }\n")
    text = (prefix / "lib/pkgconfig/libbrine.pc").read_text()
    values = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    flags = [word for name in ("Cflags", "Libs")
             for word in re.search(rf"^{name}: (.*)$", text, re.MULTILINE)[1].split()]
    flags = [re.sub(r"\$\{(\w+)\}", lambda match: str(installed) + values[match[1]], word) for word in flags]
    if "asan" in harness.BUILD.name or "tsan" in harness.BUILD.name:
        pytest.skip("the library has a sanitizer in it, and the program none")
    subprocess.run(["cc", str(source), *flags, "-o", str(installed / "program")], check=True)
    said = subprocess.run([str(installed / "program")], capture_output=True, text=True, check=True,
                          env={"LD_LIBRARY_PATH": str(prefix / "lib")}).stdout
    assert said.strip() == re.search(r"^Version: (.*)$", text, re.MULTILINE)[1]
