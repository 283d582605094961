"""brine stats --format openmetrics, and brine top: what an administrator watches the daemon with."""

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from brine_command import BRINE, HUNG, Rig


@pytest.fixture
def rig():
    rig = Rig()
    for name in ("web", "models"):
        rig.done("put", "k", "-v", "x" * 1000, "--cost", "90s", "-n", name)
        for _ in range(9):
            rig.done("get", "k", "-n", name)
        rig("get", "absent", "-n", name)
    rig.done("del", "k", "-n", "models")
    yield rig
    rig.close()


def test_openmetrics_are_taken_by_a_parser_that_is_not_ours(rig):
    text = rig.done("stats", "--format", "openmetrics").decode()
    samples = {(sample.name, sample.labels.get("namespace"), sample.labels.get("kind")): sample.value
               for family in openmetrics(text) for sample in family.samples if "le" not in sample.labels}
    assert samples["brine_namespace_hits_total", "web", None] == 9
    assert samples["brine_namespace_saved_seconds_total", "web", None] == 810
    assert samples["brine_namespace_requests_total", "models", None] == 12
    assert samples["brine_request_duration_seconds_count", None, "get"] >= 14
    assert samples["brine_request_duration_seconds_sum", None, "disk"] > 0
    assert text.endswith("\n# EOF\n")


def test_the_textfile_collector_can_read_them_too(rig):
    """It knows the types of the older format, no time stamps, and comments."""
    rig.done("stats", "--format=openmetrics", "-o", "brine.prom")
    text = (rig.home / "brine.prom").read_text()
    assert set(re.findall(r"^# TYPE \S+ (\w+)$", text, re.MULTILINE)) == {"gauge", "counter", "histogram"}
    for line in text.splitlines():
        assert line.startswith("# ") or re.fullmatch(r'brine_\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+', line), line
    names = {sample.name for family in prometheus(text) for sample in family.samples}
    assert {"brine_namespace_hits_total", "brine_request_duration_seconds_bucket"} <= names
    assert [path.name for path in rig.home.glob(".brine-*")] == []


def test_the_file_stays_as_it_was_when_there_is_nothing_to_write(rig):
    (rig.home / "brine.prom").write_text("before")
    assert rig("stats", "--format=openmetrics", "-o", "brine.prom", "-s", "/nowhere").returncode == 3
    assert (rig.home / "brine.prom").read_text() == "before"
    assert rig("stats", "--format=table", "--json").returncode == 2


class Terminal:
    """brine top on a terminal of its own."""

    def __init__(self, rig, *arguments):
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (24, 80))
        self.before = termios.tcgetattr(self.slave)
        self.shown = b""
        self.process = subprocess.Popen([BRINE, "top", *arguments], env=rig.env, cwd=rig.home, stdin=self.slave,
                                        stdout=self.slave, stderr=self.slave, preexec_fn=self.own)

    def own(self):
        os.setsid()
        os.close(os.open(os.ttyname(self.slave), os.O_RDWR))  # the controlling terminal from now on

    def wait_for(self, words, times=1):
        until = time.monotonic() + HUNG
        while self.shown.count(words) < times:
            assert time.monotonic() < until, self.shown
            if select.select([self.master], [], [], 1)[0]:
                self.shown += os.read(self.master, 65536)

    def restored(self):
        """Once the program is gone."""
        while select.select([self.master], [], [], 0)[0]:
            self.shown += os.read(self.master, 65536)
        assert self.shown.count(b"\033[?1049h") == self.shown.count(b"\033[?1049l") > 0
        assert self.shown.rindex(b"\033[?25h") > self.shown.rindex(b"\033[?25l")
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def top(rig):
    terminals = []

    def start(*arguments):
        terminals.append(Terminal(rig, *arguments))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def test_top_shows_namespaces_and_q_ends_it(top):
    terminal = top("--interval", "100ms")
    terminal.wait_for(b"NAMESPACE", 3)
    terminal.wait_for(b"models")
    os.write(terminal.master, b"q")
    assert terminal.process.wait(HUNG) == 0
    assert terminal.restored()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_top_gives_the_terminal_back_when_a_signal_ends_it(top, number):
    terminal = top()
    terminal.wait_for(b"NAMESPACE")
    terminal.process.send_signal(number)
    assert terminal.process.wait(HUNG) == -number
    assert terminal.restored()


def test_top_gives_the_terminal_back_while_it_is_stopped(top):
    terminal = top("--interval", "100ms")
    terminal.wait_for(b"NAMESPACE")
    terminal.process.send_signal(signal.SIGTSTP)
    terminal.wait_for(b"\033[?1049l")
    terminal.process.send_signal(signal.SIGCONT)
    terminal.wait_for(b"\033[?1049h", 2)
    terminal.wait_for(b"NAMESPACE", 3)
    os.write(terminal.master, b"q")
    assert terminal.process.wait(HUNG) == 0
    assert terminal.restored()


def test_top_draws_again_when_its_terminal_changes_size(top):
    terminal = top("--interval", "1h")
    terminal.wait_for(b"NAMESPACE")
    assert b"MISS/S" not in terminal.shown
    termios.tcsetwinsize(terminal.slave, (50, 200))
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.wait_for(b"MISS/S")


def test_top_waits_for_a_daemon_that_is_gone(rig, top):
    terminal = top("--interval", "100ms")
    terminal.wait_for(b"NAMESPACE")
    rig.daemon.stop()
    terminal.wait_for(b"cannot reach", 3)  # what follows, its socket, may be cut at the edge
    rig.daemon.start()
    shown = terminal.shown.count(b"NAMESPACE")
    terminal.wait_for(b"NAMESPACE", shown + 1)


def test_top_writes_lines_where_there_is_no_terminal(rig):
    lines = rig.done("top", "--interval", "100ms", "--rounds", "2").decode().splitlines()
    assert lines[0].split()[:3] == ["time", "namespace", "requests/s"]
    assert len(lines) == 1 + 2 * 3
    assert {line.split()[1] for line in lines[1:]} == {"(daemon)", "web", "models"}
    assert len(rig.done("top", "--json", "--rounds", "2", "--interval", "100ms").splitlines()) == 2
    assert rig("top", "--interval", "1ms").returncode == 2
