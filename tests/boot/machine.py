"""A container with a systemd of its own, and commands in it.

Nothing is registered with the host's machinery: the container is a child of this process, and commands enter its
namespaces. What it needs of the host is root, namespaces and control groups.
"""

import os
import pathlib
import shutil
import subprocess
import time

# Only means "hung".
DEADLINE = 120
NEEDED = ("systemd-nspawn", "debootstrap", "nsenter", "setpriv")


def why_not():
    """Why no container can be booted here; None: one can, as far as this can be told before."""
    if os.geteuid() != 0:
        return "only root can boot a container"
    missing = [name for name in NEEDED if not shutil.which(name)]
    return f"not installed: {', '.join(missing)}" if missing else None


def wait_until(true, what, seconds=DEADLINE):
    until = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < until, f"hung: {what}"
        time.sleep(0.05)
    return answer


class CannotBoot(Exception):
    """No container comes up here. Nothing of ours is in it by then: it is this machine that cannot, and why is in the text."""


class Machine:
    def __init__(self, folder, tree):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "tree"
        self.share = self.folder / "share"
        self.share.mkdir()
        tree.copy(self.root)
        (self.root / "etc/machine-id").write_text("")  # a fresh one, as on a first boot
        self.console = self.folder / "console"
        self.process = self.leader = None

    def contain(self, *options):
        return ["systemd-nspawn", "--quiet", "--directory", str(self.root), "--register=no", "--keep-unit",
                "--console=pipe", "--private-network", f"--bind={self.share}:/share", *options]

    def probe(self):
        """One program in a container, the least that there is: does that work?"""
        try:
            result = subprocess.run(self.contain("true"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=DEADLINE)
        except subprocess.TimeoutExpired as expired:
            raise CannotBoot("systemd-nspawn hangs, running `true`") from expired
        if result.returncode:
            raise CannotBoot(f"systemd-nspawn cannot run `true` ({result.returncode}): {result.stdout.strip()}")

    def boot(self):
        """Raises CannotBoot."""
        self.probe()
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(self.contain("--boot"), stdin=subprocess.DEVNULL, stdout=console,
                                            stderr=console)
        try:
            self.leader = wait_until(self.find_leader, "no container starts")
            wait_until(self.is_up, "the container does not boot")
        except (AssertionError, subprocess.TimeoutExpired) as hung:
            raise CannotBoot(f"{hung}\n{self.said()}") from hung

    def said(self):
        return self.console.read_text(errors="replace")

    def check_running(self):
        if self.process.poll() is not None:
            raise CannotBoot(f"the container ended while it booted ({self.process.returncode}):\n{self.said()}")

    def is_up(self):
        self.check_running()
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def find_leader(self):
        self.check_running()
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        names = [pathlib.Path(f"/proc/{child}/comm").read_text().strip() for child in children]
        return int(children[0]) if names == ["systemd"] else None

    def enter(self, *command, uid=0):
        """The command, to be run from outside; groups and a home are what the account has."""
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-w", *become,
                "env", "-i", "PATH=/usr/bin:/usr/sbin:/bin:/sbin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
                *([] if uid == 0 else [f"XDG_RUNTIME_DIR=/run/user/{uid}"]), *command]

    def run(self, *command, uid=0, check=True, stdin=None, seconds=DEADLINE):
        result = subprocess.run(self.enter(*command, uid=uid), capture_output=True, text=True, check=False,
                                input=stdin or "", timeout=seconds)
        if check:
            assert result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result

    def start(self, *command, uid=0):
        return subprocess.Popen(self.enter(*command, uid=uid), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def show(self, unit, name):
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def stop(self):
        if not self.process or self.process.poll() is not None:
            return
        self.run("systemctl", "--force", "--force", "poweroff", check=False)  # nothing in it is worth a farewell
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
