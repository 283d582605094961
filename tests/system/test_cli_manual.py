"""man/brine.1 against the tables of the command line, and its examples run."""

import re
import subprocess

import pytest

from brine_command import BRINE, HUNG, ROOT, Rig

PAGE = (ROOT / "man/brine.1").read_text()
COMMANDS = (ROOT / "client/cli/commands.def").read_text()
OPTIONS = (ROOT / "client/cli/options.def").read_text()


def commands():
    return re.findall(r'^C\(\w+, \w+, "(\w+)"', COMMANDS, re.MULTILINE)


def options():
    """(name, letter or None, argument or None) of each."""
    found = re.findall(r'^O\(\w+,\s+"([\w-]+)", (?:\'(.)\'|0), (?:"([^"]*)"|NULL)', OPTIONS, re.MULTILINE)
    assert len(found) == len(re.findall(r"^O\(", OPTIONS, re.MULTILINE))
    return [(name, letter or None, argument or None) for name, letter, argument in found]


def plain(text):
    """What is left of mdoc when only the words matter."""
    text = re.sub(r" Ns Op = Ns Ar (\w+)", r" [=\1]", text)
    return re.sub(r" Ns \| Ns (?:Cm )?", "|", text)


def examples():
    section = PAGE[PAGE.index(".Sh EXAMPLES"):]
    blocks = re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    return [block.replace("\\e", "\\") for block in blocks]


@pytest.mark.parametrize("name", commands())
def test_every_command_stands_in_the_manual(name):
    assert re.search(rf"^\.It Cm {name}\b", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name, letter, argument", options())
def test_every_option_stands_in_the_manual_with_its_argument(name, letter, argument):
    forms = rf"Fl {letter} , Fl -{name}" if letter else rf"Fl -{name}"
    items = re.findall(rf"^\.It {forms}(?: (.*))?$", plain(PAGE), re.MULTILINE)
    words = {re.sub(r"\b(Ar|Cm) ", "", item).lower() for item in items}
    assert (argument or "").lower() in words, f".It {forms}"
    assert words <= {(other or "").lower() for other_name, _, other in options() if other_name == name}


def test_no_option_stands_in_the_manual_that_there_is_not():
    known = {name for name, _, _ in options()}
    for name in re.findall(r"\bFl -(\w[\w-]*)", PAGE):
        assert name in known


@pytest.fixture
def rig():
    rig = Rig()
    (rig.home / "data.csv").write_text("2,b\n1,a\n")
    (rig.home / "make-report").write_text("#!/bin/sh\necho the report\n")
    (rig.home / "make-report").chmod(0o755)
    rig.env["PATH"] = f"{BRINE.parent}:{rig.home}:{rig.env['PATH']}"
    yield rig
    rig.close()


def script(rig, *arguments):
    return subprocess.run(arguments, env=rig.env, cwd=rig.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=HUNG)


def test_the_tour_of_the_readme_runs(rig):
    readme = (ROOT / "README.md").read_text()
    tour = readme[readme.index("### Shell"):readme.index("### C\n")]
    lines = re.findall(r"^    \$ (.*?)(?:  +# .*)?$", tour, re.MULTILINE)
    assert len(lines) > 10
    (rig.home / "report.html").write_text("<p>")
    result = script(rig, "bash", "-e", "-c", "\n".join(lines))
    assert (result.returncode, result.stderr) == (0, b""), result
    assert result.stdout.endswith(b"make-reportthe report\n")
    assert (rig.home / "copy.html").read_text() == "<p>"
    recipe = re.search(r"miss: `(.*?)`", tour).group(1)
    assert [script(rig, "bash", "-c", recipe).stdout for _ in range(3)] == [b"the report\n"] * 3


def test_the_examples_run(rig):
    (rig.home / "logo.png").write_bytes(b"\x89PNG\r\n" * 1000)
    rig.done("put", "user:1", "-v", "x")
    rig.done("put", "user:\x02\n", "-v", "x")
    result = script(rig, "sh", "-c", "set -e\n" + "".join(examples()))
    assert (result.returncode, result.stderr) == (0, b""), result
    assert b"the report" in result.stdout and b"17" in result.stdout
    assert (rig.home / "copy.png").read_bytes() == (rig.home / "logo.png").read_bytes()
    assert rig.done("keys", "user:") == b""
    assert rig.done("get", "report") == b"the report\n"
