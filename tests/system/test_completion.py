"""What bash completes behind brine and brined: what their tables of commands and options name."""

import pathlib
import re
import subprocess

import pytest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "client/cli/brine.bash"
ANSWER = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_brine "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, program="brine", cwd=None):
    result = subprocess.run(["bash", "-c", ANSWER, "bash", str(SCRIPT), str(harness.BUILD / program), *words],
                            capture_output=True, text=True, check=True, cwd=cwd, timeout=harness.DEADLINE)
    assert not result.stderr
    return set(result.stdout.split("\n")) - {""}


def table(name):
    text = (ROOT / "client/cli" / name).read_text()
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


COMMANDS = dict(re.findall(r'^C\(\w+, \w+, "(\w+)",(.*?)"', table("commands.def"), re.DOTALL | re.MULTILINE))
OPTIONS = dict(re.findall(r'^O\((\w+), "([a-z-]+)"', table("options.def"), re.MULTILINE))
COMMON = [name for name in OPTIONS.values()][:list(OPTIONS).index("VERSION") + 1]


def test_the_commands_of_the_table_are_offered():
    assert len(COMMANDS) > 10
    assert complete("") == set(COMMANDS)
    assert complete("help", "") == set(COMMANDS)
    assert complete("ge") == {"get"}


def test_an_option_before_the_command_does_not_hide_it():
    assert complete("--socket", "put", "ge") == {"get"}
    assert "--ttl" in complete("--json", "put", "--t")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_options_of_the_table_are_offered(command):
    entry = re.search(rf'^C\(\w+, \w+, "{command}".*?(?=^C\(|\Z)', table("commands.def"), re.DOTALL | re.MULTILINE)[0]
    own = {OPTIONS[name] for name in re.findall(r"\bO\((\w+)\)", entry)}
    common = set() if command == "help" else set(COMMON)
    assert complete(command, "--") == {f"--{name}" for name in own | common}


def test_words_are_offered_where_an_option_takes_one_of_some():
    assert complete("put", "--ack", "") == {"memory", "disk"}
    assert complete("put", "--ack", "=", "m") == {"memory"}
    assert complete("put", "--ack", "=") == {"memory", "disk"}
    assert complete("put", "--ttl", "") == set()


def test_files_are_offered_where_one_is_wanted(folder):
    (folder / "a file").write_text("")
    assert complete("put", "", cwd=folder) == set()
    assert complete("put", "key", "", cwd=folder) == {"a file"}
    assert complete("get", "key", "--output", "a", cwd=folder) == {"a file"}
    assert complete("--config", "a", program="brined", cwd=folder) == {"a file"}


def test_the_daemon_s_options_are_offered():
    said = harness.run("--help").stdout
    assert complete("--", program="brined") == set(re.findall(r"^  (--[a-z-]+)", said, re.MULTILINE))
