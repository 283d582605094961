"""A day of an administrator: Brine's packages on a machine with systemd, from installation to purge.

The tests depend on each other, in their order.
"""

import json
import pathlib
import re

import pytest

from machine import wait_until

ADA, BOB, EVE = USERS = (1001, 1002, 1003)
SERVICE, SOCKET = "brined.service", "brined.socket"
DROP_IN = "/run/systemd/system/brined.service.d/test.conf"
# How long a call may take on a machine that does other things, too.
PATIENCE = "60"
# More than the default limits of starts (5) and of triggers (20) let pass.
CRASHES = 30
# Of each kind, while the daemon is restarted.
CALLS_MIN = 5
KILLS = 5
# Of load.py.
CHANGING_THREADS = 8


GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs/operations.md"
OTHER_MACHINE = "0123456789abcdef0123456789abcdef"


def guide(beginning):
    """What the guide tells root to enter, in the part that begins so."""
    part = GUIDE.read_text().split(f"**{beginning}**")[1].split("\n**")[0]
    return [line.removeprefix("    # ").split("  #")[0].rstrip() for line in part.splitlines()
            if line.startswith("    # ")]


@pytest.fixture
def drop_in(booted):
    """Changes the service until the test's end: drop_in("WatchdogSec=1")."""
    def change(*lines):
        booted.run("install", "-D", "/dev/stdin", DROP_IN, stdin="\n".join(("[Service]", *lines, "")))
        booted.run("systemctl", "daemon-reload")

    yield change
    booted.run("rm", "-f", DROP_IN)
    booted.run("systemctl", "daemon-reload")
    booted.run("systemctl", "restart", SERVICE)


class Load:
    def __init__(self, machine):
        self.process = machine.start("python3", "/share/load.py", PATIENCE, uid=ADA)
        assert self.process.stdout.readline() == "started\n", self.process.communicate()

    def end(self):
        """Returns the calls that were made of each kind, and the failures."""
        said, errors = self.process.communicate("", timeout=300)
        assert self.process.returncode == 0, errors
        result = json.loads(said)
        return result["calls"], result["failures"]


@pytest.fixture
def load(booted):
    loads = []

    def start():
        loads.append(Load(booted))
        return loads[-1]

    yield start
    for one in loads:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def brine(machine, *arguments, uid=ADA, **options):
    return machine.run("brine", "--timeout", f"{PATIENCE}s", *arguments, uid=uid, **options)


def main_pid(machine):
    return machine.show(SERVICE, "MainPID")


def kill(machine, name, pid):
    machine.run("sh", "-c", f"kill -{name} {pid}")


def journal(machine):
    return machine.run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE, "-u", SOCKET).stdout


def fetches(machine, count, uid=ADA):
    """Each has its own connection."""
    for _ in range(count):
        brine(machine, "get", "kept", uid=uid)


def test_an_installation_asks_nothing_and_starts_nothing(booted):
    # Only what makes dpkg wait for the disk is left out.
    booted.run("install", "/dev/stdin", "/etc/dpkg/dpkg.cfg.d/test", stdin="force-unsafe-io\n")
    booted.run("sh", "-c", "dpkg -i /share/now/*.deb")
    for uid in USERS:
        booted.run("useradd", "--create-home", f"--uid={uid}", f"user{uid}")
    assert booted.show(SOCKET, "ActiveState") == "active"
    assert booted.show(SERVICE, "ActiveState") == "inactive"
    assert booted.run("stat", "-c", "%a %U", "/run/brine/brine.sock").stdout == "666 root\n"


def test_the_first_client_starts_the_daemon(booted):
    said = json.loads(brine(booted, "ping", "--json").stdout)
    assert said["where"].startswith("/run/brine/brine.sock") and said["uid"] == ADA
    assert booted.show(SERVICE, "ActiveState") == "active"
    assert booted.show(SERVICE, "StatusText").startswith("Serving")
    pid = main_pid(booted)
    assert booted.run("stat", "-c", "%U", f"/proc/{pid}").stdout == "brine\n"
    assert booted.run("stat", "-c", "%a %U", "/var/cache/brine").stdout == "700 brine\n"


def test_users_are_told_apart_through_systemd_s_socket(booted):
    for uid in USERS:
        brine(booted, "put", "whose", "--value", f"of {uid}", uid=uid)
    for uid in USERS:
        assert brine(booted, "get", "whose", uid=uid).stdout == f"of {uid}"
        assert json.loads(brine(booted, "meta", "whose", "--json", uid=uid).stdout)["writer_uid"] == uid
        assert "Permission denied" in booted.run("ls", "/var/cache/brine", uid=uid, check=False).stderr


def test_readers_are_nicer_than_the_loop_inside_the_sandbox(booted):
    tasks = booted.run("sh", "-c", f"cat /proc/{main_pid(booted)}/task/*/stat").stdout
    nices = {line.split("(")[1].split(")")[0]: int(line.rsplit(")", 1)[1].split()[16]) for line in tasks.splitlines()}
    assert nices["brined"] == 0 and nices["brined-reader"] == 5


def test_a_killed_daemon_is_back_at_once_with_what_is_on_the_disk(booted, load):
    brine(booted, "put", "kept", "--ack", "disk", "--value", "here")
    running = load()
    brine(booted, "sync")
    for _ in range(KILLS):
        before = main_pid(booted)
        kill(booted, "KILL", before)
        fetches(booted, 1)
        wait_until(lambda: main_pid(booted) not in (before, "0"), "no daemon comes after one that was killed")
    calls, failures = running.end()
    assert booted.run("brine", "get", "kept", uid=ADA).stdout == "here"
    # Each thread may lose what it changed last, or not know whether it was changed; whoever only reads notices nothing.
    assert not [failure for failure in failures if failure.startswith("read-")]
    assert len(failures) <= KILLS * CHANGING_THREADS
    assert calls["read"] >= CALLS_MIN
    assert booted.show(SOCKET, "ActiveState") == "active"


def test_a_crash_loop_takes_neither_the_socket_nor_those_who_wait(booted, drop_in):
    crashes = "/var/cache/brine/crashes"
    drop_in("ExecStart=", f"ExecStart=/bin/sh -c 'echo crash >>{crashes}; exit 1'")
    booted.run("systemctl", "restart", SERVICE, check=False)
    waiting = booted.start("brine", "--timeout", "120s", "get", "kept", uid=ADA)

    def crashed():
        return booted.run("cat", crashes, check=False).stdout.count("crash") >= CRASHES

    wait_until(crashed, "the service gave up")
    assert booted.show(SOCKET, "ActiveState") == "active"
    booted.run("rm", "-f", DROP_IN)
    booted.run("systemctl", "daemon-reload")
    said, errors = waiting.communicate(timeout=120)
    assert said == "here", errors
    booted.run("rm", crashes)


def test_a_daemon_that_hangs_is_ended_by_the_watchdog(booted, drop_in):
    drop_in("WatchdogSec=2")
    booted.run("systemctl", "restart", SERVICE)
    before = main_pid(booted)
    wait_until(lambda: re.match(r"Serving \d+ clients; \d+ of \d+ MiB used", booted.show(SERVICE, "StatusText")),
               "the watchdog is not fed")
    kill(booted, "STOP", before)
    assert brine(booted, "get", "kept").stdout == "here"
    assert main_pid(booted) not in (before, "0")
    assert "Watchdog timeout" in booted.run("journalctl", "--no-pager", "-o", "cat").stdout


def test_a_reload_with_a_mistake_is_refused_and_changes_nothing(booted):
    before = main_pid(booted)
    config = "/etc/brine/brined.conf.d/10-test.conf"
    booted.run("install", "-D", "/dev/stdin", config, stdin="max_value = soup\n")
    assert booted.run("systemctl", "reload", SERVICE, check=False).returncode != 0
    assert f"{config}:1" in journal(booted)
    assert main_pid(booted) == before and booted.show(SERVICE, "ActiveState") == "active"
    booted.run("install", "/dev/stdin", config, stdin="max_value = 5M\n")
    booted.run("systemctl", "reload", SERVICE)
    wait_until(lambda: json.loads(brine(booted, "ping", "--json").stdout)["max_value"] == 5 << 20,
               "the daemon does not take a good file")
    assert main_pid(booted) == before
    assert booted.show(SERVICE, "ActiveState") == "active"


def test_what_is_refused_is_in_the_journal_with_fields_of_its_own(booted):
    config = "/etc/brine/brined.conf.d/20-test.conf"
    booted.run("install", "/dev/stdin", config, stdin=f"[namespace /models]\nreaders = user{ADA}\n")
    booted.run("systemctl", "reload", SERVICE)
    wait_until(lambda: brine(booted, "--namespace", "/models", "get", "x", check=False).returncode == 1,
               "the namespace is not declared")
    assert brine(booted, "--namespace", "/models", "get", "x", uid=EVE, check=False).returncode == 4
    entry = wait_until(lambda: booted.run("journalctl", "--no-pager", "-o", "json", "-u", SERVICE, f"BRINE_UID={EVE}",
                                          check=False).stdout, "the refusal is not in the journal")
    assert json.loads(entry.splitlines()[0])["BRINE_ERROR"].lower() == "forbidden"


def test_an_upgrade_under_load_fails_no_call(booted, load):
    running = load()
    before = main_pid(booted)
    booted.run("sh", "-c", "echo max_namespaces = 300 >>/etc/brine/brined.conf")
    booted.run("dpkg", "-i", "/share/later/brined.deb")
    assert "max_namespaces = 300" in booted.run("cat", "/etc/brine/brined.conf").stdout
    wait_until(lambda: json.loads(brine(booted, "ping", "--json").stdout)["release"] == "9.0.0", "the upgrade is not there")
    assert main_pid(booted) != before
    for _ in range(3):
        booted.run("systemctl", "restart", SERVICE)
    calls, failures = running.end()
    assert not failures
    assert min(calls.values()) >= CALLS_MIN
    assert brine(booted, "get", "kept").stdout == "here"


def test_who_computes_goes_on_through_a_restart_and_who_waits_gets_it(booted):
    holder = booted.start("python3", "/share/compute.py", PATIENCE, "holder", uid=ADA)
    assert holder.stdout.readline() == "computing\n"
    waiter = booted.start("python3", "/share/compute.py", PATIENCE, "waiter", uid=ADA)
    assert waiter.stdout.readline() == "asking\n"
    booted.run("systemctl", "restart", SERVICE)
    said, errors = holder.communicate("go on\n", timeout=120)
    assert said == "by holder\n", errors
    said, errors = waiter.communicate("", timeout=120)
    assert said == "by holder\n", errors


@pytest.fixture
def another_machine(booted):
    """As the store sees it, whose directory was brought there."""
    here = booted.run("cat", "/etc/machine-id").stdout
    booted.run("install", "-m", "444", "/dev/stdin", "/etc/machine-id", stdin=f"{OTHER_MACHINE}\n")
    booted.run("systemctl", "restart", SERVICE)
    yield
    booted.run("install", "-m", "444", "/dev/stdin", "/etc/machine-id", stdin=here)


def test_the_guide_s_commands_adopt_a_store_of_another_machine(booted, another_machine):
    assert brine(booted, "get", "kept", check=False).returncode == 1
    stop, adopt, start = guide("Everything is a miss.")
    booted.run("sh", "-c", stop)
    adopting = booted.start("sh", "-c", adopt)
    said = []
    while not said or "listening at" not in said[-1]:
        said.append(adopting.stderr.readline())
        assert said[-1], said
    assert any("of another machine are adopted" in line for line in said), said
    kill(booted, "INT", "$(cat /var/cache/brine/lock)")
    adopting.communicate(timeout=120)
    booted.run("sh", "-c", start)
    assert brine(booted, "get", "kept").stdout == "here"


def test_a_cache_that_the_guide_s_commands_clean_is_an_empty_one(booted):
    stop, clean, start = guide("To empty it")
    booted.run("sh", "-c", stop)
    booted.run("sh", "-c", clean)
    assert booted.run("ls", "/var/cache", check=False).stdout.count("brine") == 0
    # Who asks meanwhile neither gets an answer nor starts a daemon of his own.
    assert booted.run("brine", "put", "kept", "--value", "alone", uid=ADA, check=False).returncode == 3
    booted.run("sh", "-c", start)
    assert brine(booted, "get", "kept", check=False).returncode == 1
    brine(booted, "put", "kept", "--ack", "disk", "--value", "again")


def test_a_user_s_own_units_take_the_place_of_what_a_client_started(booted):
    booted.run("loginctl", "enable-linger", f"user{BOB}")
    wait_until(lambda: booted.run("systemctl", "--user", "is-system-running", uid=BOB, check=False).stdout.strip()
               in ("running", "degraded"), "no manager for the user")
    automatic = booted.start("brined", "--automatic", uid=BOB)
    wait_until(lambda: booted.run("test", "-S", f"/run/user/{BOB}/brine/brine.sock", check=False).returncode == 0,
               "no daemon for the user")
    brine(booted, "put", "mine", "--value", "from before", uid=BOB)
    booted.run("systemctl", "--user", "start", SOCKET, uid=BOB)
    assert brine(booted, "get", "mine", uid=BOB).stdout == "from before"
    assert automatic.wait(120) == 0
    said = json.loads(brine(booted, "ping", "--json", uid=BOB).stdout)
    assert said["where"].startswith(f"/run/user/{BOB}/brine/brine.sock") and said["server_uid"] == BOB
    booted.run("systemctl", "--user", "reload", SERVICE, uid=BOB)
    booted.run("systemctl", "--user", "stop", SOCKET, SERVICE, uid=BOB)


def test_a_removal_keeps_data_and_configuration(booted):
    booted.run("dpkg", "-r", "brined")
    assert booted.run("ls", "/run/brine", check=False).returncode != 0
    assert booted.show(SERVICE, "ActiveState") == "inactive"
    assert "brined.conf" in booted.run("ls", "/etc/brine").stdout
    booted.run("sh", "-c", "dpkg -i /share/now/brined_*.deb")
    assert brine(booted, "get", "kept").stdout == "again"


def test_a_purge_leaves_nothing_but_the_account(booted):
    booted.run("dpkg", "-P", "brined", "brine", "libbrine0", "libbrine-dev", "python3-brine")
    left = booted.run("sh", "-c", "find / -xdev -ipath '*brine*' -not -path '/share*' -not -path '/proc/*' -not "
                      "-path '/home/*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/*'").stdout
    assert left == ""
    assert "brine" in booted.run("getent", "passwd", "brine").stdout
    assert booted.run("systemctl", "list-unit-files", "brined.*", check=False).stdout.count("brined") == 0
