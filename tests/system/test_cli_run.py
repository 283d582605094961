"""brine run: a command runs once, and what it wrote and how it ended comes back."""

import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from brine_command import BRINE, HUNG, Measured, Rig, end, obey_signals, peer_pid

USAGE, OTHER = 2, 5
NOT_FOUND, NOT_EXECUTABLE = 127, 126


@pytest.fixture(scope="module")
def daemon():
    rig = Rig()
    yield rig
    rig.close()


class Bench:
    """A folder with a namespace of its own, and scripts that leave a line in `count` each time they run."""

    def __init__(self, rig, folder):
        self.rig, self.folder = rig, folder
        self.env = dict(rig.env)
        self.scripts = 0
        self.started = []

    def script(self, body, name=None):
        self.scripts += 1
        path = self.folder / (name or f"script-{self.scripts}")
        path.write_text(f"#!/bin/sh\necho ran >>{self.folder}/count\n{body}\n")
        path.chmod(0o755)
        return path

    def ran(self):
        try:
            return len((self.folder / "count").read_text().splitlines())
        except FileNotFoundError:
            return 0

    def waiting(self):
        """How many wait, or waited, for what another computes."""
        spaces = json.loads(self.rig.done("stats", "--json"))["namespaces"]
        return spaces.get(self.env["BRINE_NAMESPACE"], {"waits": 0})["waits"]

    def start(self, *arguments, env=None, **more):
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        more.setdefault("cwd", self.folder)
        more.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([BRINE, "run", *arguments], env=dict(self.env, **(env or {})),
                                   start_new_session=True, preexec_fn=obey_signals, **more)
        self.started.append(process)
        return process

    def close(self):
        """Ends what a test that failed left behind."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def __call__(self, *arguments, input=None, **more):
        """(exit status, standard output, standard error)"""
        if input is not None:
            more["stdin"] = subprocess.PIPE
        process = self.start(*arguments, **more)
        output, error = process.communicate(input, timeout=HUNG)
        return process.returncode, output, error


@pytest.fixture
def run(daemon, folder, request):
    bench = Bench(daemon, folder)
    bench.env["BRINE_NAMESPACE"] = "t" + re.sub(r"[^\w.-]", "-", request.node.name)[-60:]
    yield bench
    bench.close()


def until(condition):
    limit = time.monotonic() + HUNG
    while not condition():
        assert time.monotonic() < limit


# ---- once, and then again without it

def test_a_replay_is_the_same_byte_for_byte(run):
    script = run.script("printf 'out\\0\\377'; printf 'error\\n\\1' >&2; printf more")
    expected = (0, b"out\0\xffmore", b"error\n\1")
    assert [run(script) for _ in range(3)] == [expected] * 3
    assert run.ran() == 1


def test_a_command_that_writes_nothing_is_replayed_too(run):
    script = run.script("")
    assert [run("--", script) for _ in range(2)] == [(0, b"", b"")] * 2
    assert run.ran() == 1


@pytest.mark.parametrize("size", [(256 << 10) - 100, 256 << 10, 5 << 20], ids=["inline", "just-apart", "apart"])
def test_output_of_any_size_comes_back(run, size):
    (run.folder / "data").write_bytes(os.urandom(size))
    script = run.script("cat data; cat data >&2")
    data = (run.folder / "data").read_bytes()
    assert [run(script) for _ in range(2)] == [(0, data, data)] * 2
    assert run.ran() == 1


def test_much_output_passes_through_little_memory(run):
    size = 120 << 20
    script = run.script(f"head -c {size} /dev/zero")
    for _ in range(2):
        process = Measured(BRINE, "run", script, env=run.env, cwd=run.folder, stdout=subprocess.DEVNULL)
        status, memory = process.finish()
        assert status == 0 and memory < size / 2
    assert run.ran() == 1


def test_the_two_streams_keep_their_order_where_they_meet(run):
    # Each piece is written once the one before has come out.
    script = run.script("exec 3<>pipe\n"
                        "for i in 1 2 3 4; do echo out $i; read go <&3; echo error $i >&2; read go <&3; done")
    os.mkfifo(run.folder / "pipe")
    process = run.start(script, stderr=subprocess.STDOUT)
    seen = b""
    with open(run.folder / "pipe", "r+b", buffering=0) as pipe:
        for _ in range(8):
            seen += process.stdout.readline()
            pipe.write(b"go\n")
    assert process.wait(HUNG) == 0
    assert seen == b"".join(b"out %d\nerror %d\n" % (i, i) for i in (1, 2, 3, 4))
    process.stdout.close()
    assert run(script, stderr=subprocess.STDOUT) == (0, seen, None)


def test_output_streams_through_while_the_command_runs(run):
    os.mkfifo(run.folder / "pipe")
    script = run.script("echo first; read go <pipe; echo second")
    process = run.start(script)
    assert process.stdout.readline() == b"first\n"
    assert process.poll() is None
    (run.folder / "pipe").write_text("go\n")
    assert process.communicate(timeout=HUNG)[0] == b"second\n"


def test_twenty_shells_that_run_the_same_command_run_it_once(run):
    os.mkfifo(run.folder / "pipe")
    script = run.script("echo slow; read go <pipe; echo done")
    shells = [run.start(script)]
    until(run.ran)
    shells += [run.start(script) for _ in range(19)]
    until(lambda: run.waiting() == 19)
    (run.folder / "pipe").write_text("go\n")
    assert [shell.communicate(timeout=HUNG) for shell in shells] == [(b"slow\ndone\n", b"")] * 20
    assert [shell.returncode for shell in shells] == [0] * 20
    assert run.ran() == 1


def test_it_is_kept_for_an_hour_or_as_the_option_says(run):
    def left(*options):
        run(*options, "true")
        [entry] = [json.loads(line) for line in run.rig.done("keys", "-j", env=run.env).splitlines()]
        run.rig.done("flush", env=run.env)
        return entry["ttl_left_ms"]
    assert 3500_000 < left() <= 3600_000
    assert 86_000_000 < left("--ttl", "1d") <= 86_400_000
    assert left("-t", "never") is None


def test_an_older_run_than_max_age_is_run_again(run):
    script = run.script("echo $$")
    first = run(script)
    assert run(script, "--max-age", "1h")[1] != first[1], "behind the command it is the command's"
    assert run("--max-age", "1h", script) == first
    until(lambda: run("--max-age", "1ms", script) != first)


def test_what_it_cost_is_known(run):
    run("sleep", "0.05")
    [key] = [json.loads(line) for line in run.rig.done("keys", "-j", env=run.env).splitlines()]
    meta = json.loads(run.rig.done("meta", "-k", "base64", key["raw"], "-j", env=run.env))
    assert meta["cost_us"] >= 50_000
    assert key["key"].startswith(("('brine run', 'sleep 0.05', b'", "('brine run', 'sleep 0.05', b\""))


# ---- what the key holds

def test_the_program_its_arguments_and_the_working_directory_are_the_key(run):
    script = run.script("pwd; echo $*")
    other = run.folder / "other"
    other.mkdir()
    answers = {run(*words, cwd=where)[1] for words in ((script,), (script, "a"), (script, "a", "b"), (script, "a b"))
               for where in (run.folder, other)}
    assert run.ran() == 8 and len(answers) == 6
    run(script, "a", cwd=other)
    assert run.ran() == 8


def test_a_program_that_changed_runs_again(run):
    script = run.script("echo one")
    assert run(script)[1] == b"one\n"
    stat = script.stat()
    os.utime(script, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert run(script)[1] == b"one\n" and run.ran() == 2
    os.utime(script, ns=(stat.st_atime_ns + 10**9, stat.st_mtime_ns))
    assert run(script)[1] == b"one\n" and run.ran() == 2
    run.script("echo three", script.name)
    os.utime(script, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert run(script)[1] == b"three\n", "another size"


def test_a_name_is_looked_up_in_the_path(run):
    for name in ("a", "b"):
        (run.folder / name).mkdir()
        run.script(f"echo {name}", f"{name}/tool")
    paths = [f"{run.folder / name}:{run.env['PATH']}" for name in ("a", "b")]
    assert [run("tool", env={"PATH": path})[1] for path in paths * 2] == [b"a\n", b"b\n"] * 2
    assert run.ran() == 2


def test_a_file_that_an_argument_names_is_part_of_the_key(run):
    data = run.folder / "data"
    data.write_text("old")
    script = run.script("cat $1")
    assert run(script, "data")[1] == b"old"
    data.write_text("newer")
    assert run(script, "data")[1] == b"newer"
    assert run(script, "data")[1] == b"newer" and run.ran() == 2
    stat = data.stat()
    os.utime(data, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert run(script, "data")[1] == b"newer" and run.ran() == 3
    data.unlink()
    assert run(script, "data")[0] == 1


def test_only_the_named_variables_are_part_of_the_key(run):
    script = run.script("echo $A-$B")
    assert run("--env", "A", script, env={"A": "1", "B": "1"})[1] == b"1-1\n"
    assert run("--env", "A", script, env={"A": "1", "B": "2"})[1] == b"1-1\n"
    assert run("--env", "A", script, env={"A": "2", "B": "2"})[1] == b"2-2\n"
    assert run("-e", "A", "-e", "B", script, env={"A": "1", "B": "2"})[1] == b"1-2\n"
    assert run("-e", "B", "-e", "A", "-e", "B", script, env={"A": "1", "B": "2"})[1] == b"1-2\n"
    assert run.ran() == 3
    assert run("-e", "A", script, env={"A": ""})[1] == b"-\n"
    assert run("-e", "A", script)[1] == b"-\n" and run.ran() == 5, "empty and unset are two"


def test_the_content_of_named_files_is_part_of_the_key(run):
    data = run.folder / "data"
    data.write_text("old")
    script = run.script("cat data")
    assert run("--file", "data", script)[1] == b"old"
    stat = data.stat()
    os.utime(data, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert run("-f", "data", script)[1] == b"old" and run.ran() == 1, "its time is not"
    data.write_text("new")
    os.utime(data, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert run("-f", "data", script)[1] == b"new" and run.ran() == 2
    data.write_text("old")
    assert run("-f", "data", script)[1] == b"old" and run.ran() == 2


def test_a_named_file_that_changes_meanwhile_is_not_believed(run):
    data = run.folder / "data"
    data.write_text("old")
    script = run.script("printf longer >data; cat data")
    status, output, error = run("--file", "data", script)
    assert (status, output) == (0, b"longer") and b"not kept: a file of --file changed" in error
    data.write_text("old")
    run("--file", "data", script)
    assert run.ran() == 2


@pytest.mark.parametrize("path, part", [("absent", b"No such file"), (".", b"Is a directory"),
                                        ("pipe", b"no regular file")])
def test_a_named_file_that_cannot_be_read_stops_it(run, path, part):
    os.mkfifo(run.folder / "pipe")
    script = run.script("echo x")
    status, output, error = run("--file", path, script)
    assert (status, output, run.ran()) == (OTHER, b"", 0) and part in error


# ---- standard input

def test_a_command_has_no_input_unless_it_is_asked_for(run):
    script = run.script("cat; readlink /proc/self/fd/0")
    assert [run(script, input=text)[1] for text in (b"one", b"two")] == [b"/dev/null\n"] * 2
    assert run.ran() == 1


def test_standard_input_is_given_and_is_part_of_the_key(run):
    script = run.script("cat; echo end")
    large = os.urandom(3 << 20)
    for text in (b"one", b"two", b"", large, b"one", large):
        assert run("--stdin", script, input=text) == (0, text + b"end\n", b"")
    assert run.ran() == 4
    run(script)
    assert run.ran() == 5, "no input is not an empty one"


def test_what_cannot_be_known_beforehand_is_run_each_time(run):
    os.mkfifo(run.folder / "pipe")
    script = run.script("cat $1")
    for text in ("one", "two"):
        process = run.start(script, "pipe")
        (run.folder / "pipe").write_text(text)
        output, error = process.communicate(timeout=HUNG)
        assert output == text.encode() and b"not kept: pipe is a pipe" in error
    assert run("--stdin", "cat", "/dev/stdin", input=b"x") == (0, b"x", b"")


# ---- failures

def test_a_failure_is_not_kept_unless_asked(run):
    script = run.script("echo out; echo error >&2; exit 7")
    expected = (7, b"out\n", b"error\n")
    assert [run(script) for _ in range(2)] == [expected] * 2 and run.ran() == 2
    assert [run("--keep-failures", script) for _ in range(3)] == [expected] * 3 and run.ran() == 3
    assert run(script) == expected and run.ran() == 4, "who does not ask for it does not get it"


def test_refresh_runs_it_and_keeps_what_comes(run):
    (run.folder / "state").write_text("one")
    script = run.script("cat state")
    assert run(script)[1] == b"one"
    (run.folder / "state").write_text("two")
    assert run(script)[1] == b"one"
    assert run("--refresh", script)[1] == b"two"
    assert run(script)[1] == b"two" and run.ran() == 2


def test_a_tag_makes_it_run_again(run):
    (run.folder / "state").write_text("one")
    script = run.script("cat state")
    assert run("--tag", "state", script)[1] == b"one"
    (run.folder / "state").write_text("two")
    run.rig.done("invalidate", "state", env=run.env)
    assert run("--tag", "state", script)[1] == b"two"


def test_what_cannot_be_run_has_the_exit_status_of_shells(run):
    status, output, error = run("no-such-command")
    assert (status, output) == (NOT_FOUND, b"") and b"no-such-command: command not found" in error
    assert run("./no-such-command")[0] == NOT_FOUND
    plain = run.folder / "plain"
    plain.write_text("echo x")
    assert run("./plain")[0] == NOT_EXECUTABLE
    assert run(".")[0] == run("/etc")[0] == NOT_EXECUTABLE
    plain.write_text("#!/no/such/interpreter\n")
    plain.chmod(0o755)
    assert run("./plain")[0] == NOT_FOUND
    plain.write_text("echo $# $1\n")
    assert run("./plain", "a b") == (0, b"1 a b\n", b""), "shells run what has no first line, too"
    assert run("sh", "-c", "kill -KILL $$")[0] == 128 + signal.SIGKILL
    assert run("--keep-failures", run.script("kill -TERM $$"))[0] == 128 + signal.SIGTERM


def test_output_that_nobody_takes_ends_it(run):
    script = run.script("while echo line; do :; done")
    process = run.start(script)
    assert process.stdout.readline() == b"line\n"
    process.stdout.close()
    assert process.wait(HUNG) == -signal.SIGPIPE
    process.stderr.close()
    with open("/dev/full", "wb") as full:
        status, _, error = run(run.script("echo x; true"), stdout=full)
    assert status == OTHER and b"No space left on device" in error


# ---- signals

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_goes_to_the_command_and_the_next_one_computes_at_once(run, number):
    os.mkfifo(run.folder / "pipe")
    script = run.script(f"trap 'echo caught; read go <pipe; exit 3' {number.name[3:]}\n"
                        "[ -e second ] && { echo second; exit; }\necho started; while :; do read x <pipe; done")
    first = run.start(script)
    assert first.stdout.readline() == b"started\n"
    second = run.start(script)
    until(lambda: run.waiting() == 1)
    (run.folder / "second").touch()
    first.send_signal(number)
    assert second.communicate(timeout=HUNG)[0] == b"second\n", "while the first still runs"
    assert first.poll() is None
    while first.poll() is None:
        try:
            with open(os.open(run.folder / "pipe", os.O_WRONLY | os.O_NONBLOCK), "w") as pipe:
                pipe.write("go\n")
        except OSError:
            pass
    assert (first.communicate(timeout=HUNG)[0], first.returncode) == (b"caught\n", 3)
    assert run(script)[1] == b"second\n" and run.ran() == 2


def test_a_signal_ends_it_though_what_the_command_started_holds_the_output(run):
    process = run.start("sh", "-c", "sleep 1000 & echo $!; wait")
    sleeper = int(process.stdout.readline())
    process.terminate()
    assert process.wait(HUNG) == 128 + signal.SIGTERM
    os.kill(sleeper, signal.SIGKILL)
    process.communicate()


def test_the_death_of_one_that_computes_passes_it_on(run):
    os.mkfifo(run.folder / "pipe")
    script = run.script("[ -e second ] && { echo second; exit; }\necho started $$; read x <pipe")
    first = run.start(script)
    command = int(first.stdout.readline().split()[1])
    second = run.start(script)
    until(lambda: run.waiting() == 1)
    (run.folder / "second").touch()
    first.kill()
    assert second.communicate(timeout=HUNG)[0] == b"second\n"
    os.kill(command, signal.SIGKILL)
    first.communicate()


# ---- what a person is told

def on_terminal(run, *arguments):
    """Standard error is a terminal, standard output a pipe. Returns (exit status, output, what was shown)."""
    master, slave = pty.openpty()
    process = run.start(*arguments, stderr=slave)
    os.close(slave)
    output = process.communicate(timeout=HUNG)[0]
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:
        pass
    os.close(master)
    return process.returncode, output, shown


def test_a_person_is_told_that_it_is_a_replay_and_how_old(run):
    script = run.script("echo out")
    assert on_terminal(run, script) == (0, b"out\n", b"")
    status, output, shown = on_terminal(run, script)
    assert (status, output) == (0, b"out\n")
    assert re.fullmatch(rb"brine: run: replayed from [\w.]+ ago; --refresh runs it anew\r\n", shown), shown
    assert on_terminal(run, "--quiet", script) == (0, b"out\n", b"")
    assert on_terminal(run, "--refresh", script) == (0, b"out\n", b"")


@pytest.mark.parametrize("line, part", [
    (["--json", "true"], b"no --json"), ([], b"a COMMAND is missing"), (["--"], b"a COMMAND is missing"),
    (["--ttl", "5", "true"], b"5s"), (["--env", "A=1", "true"], b"env A=1 brine run"),
    (["--tll", "5s", "true"], b"did you mean --ttl?"), (["--value", "x", "true"], b"not an option of run")],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "")
def test_a_wrong_command_line_says_what_to_do(run, line, part):
    status, output, error = run(*line)
    assert (status, output) == (USAGE, b"") and part in error


def test_the_options_of_the_command_are_its_own(run):
    script = run.script("echo $*")
    assert run(script, "--ttl", "-x", "--", "--help")[1] == b"--ttl -x -- --help\n"
    assert run("--ttl", "1h", "--", script, "-q", "--")[1] == b"-q --\n"


# ---- without a cache

def test_without_a_daemon_the_command_simply_runs(run):
    script = run.script("cat; echo out; exit 3")
    for env in ({"BRINE_SOCKET": "/nonexistent"}, {"BRINE_DISABLE": "1"}):
        status, output, error = run(script, input=b"in", env=env)
        assert (status, output) == (3, b"out\n")
        assert (b"not kept: " in error) == ("BRINE_SOCKET" in env)
        assert run("--quiet", "--stdin", script, input=b"in", env=env) == (3, b"inout\n", b"")
        assert run("no-such-command", env=env)[0] == NOT_FOUND
    assert run.ran() == 4


def test_it_starts_a_daemon(folder):
    bench = Bench(Rig(daemon=False), folder)
    bench.env["BRINE_DATA"] = str(folder / "data")
    script = bench.script("echo out")
    try:
        assert [bench(script) for _ in range(2)] == [(0, b"out\n", b"")] * 2
        assert bench.ran() == 1
    finally:
        end(peer_pid(folder / "data/brine.sock"))
        bench.rig.close()


def test_a_daemon_that_dies_meanwhile_harms_nothing(folder, make_daemon):
    daemon = make_daemon()
    bench = Bench(Rig(daemon=False), folder)
    bench.env["BRINE_SOCKET"] = str(daemon.socket)
    os.mkfifo(folder / "pipe")
    script = bench.script("echo first; read go <pipe; echo second")
    try:
        process = bench.start(script)
        assert process.stdout.readline() == b"first\n"
        daemon.kill()
        (folder / "pipe").write_text("go\n")
        output, error = process.communicate(timeout=HUNG)
        assert (process.returncode, output) == (0, b"second\n") and b"not kept: " in error
    finally:
        bench.rig.close()


def test_output_over_the_limit_passes_through_and_is_not_kept():
    rig = Rig("max_value=100K")
    bench = Bench(rig, rig.home)
    try:
        script = bench.script("head -c 200000 /dev/zero; echo end")
        for _ in range(2):
            status, output, error = bench(script)
            assert (status, output) == (0, bytes(200000) + b"end\n")
            assert b"not kept: the output is larger than this daemon takes (max_value, 100K)" in error
        assert bench.ran() == 2
    finally:
        rig.close()


# ---- what was kept may be damaged

def kept(run):
    """The encoded keys of what is kept, the head first."""
    keys = [json.loads(line) for line in run.rig.done("keys", "-j", env=run.env).splitlines()]
    return [key["raw"] for key in sorted(keys, key=lambda key: len(key["raw"]))]


@pytest.mark.parametrize("damage", ["cut", "version", "status", "byte", "other", "text"])
def test_a_damaged_one_is_run_again(run, damage):
    script = run.script("echo out; exit 0")
    run(script)
    [key] = kept(run)
    value = bytearray(run.rig.done("get", "-k", "base64", key, env=run.env))
    if damage == "cut":
        del value[-1]
    elif damage == "version":
        value[8] = 2
    elif damage == "status":
        value[13] = 1
    elif damage == "byte":
        value[-2] ^= 1
    elif damage == "other":
        value += b"\1\1\0\0\0x"
    else:
        value = b"hello"
    run.rig.done("put", "-k", "base64", key, env=run.env, input=bytes(value))
    assert run(script) == (0, b"out\n", b"") and run.ran() == 2
    assert run(script) == (0, b"out\n", b"") and run.ran() == 2


@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_large_one_whose_parts_do_not_fit_is_run_again(run, damage):
    script = run.script("head -c 1000000 /dev/zero")
    run(script)
    head, pieces = kept(run)
    if damage == "gone":
        run.rig.done("del", "-k", "base64", pieces, env=run.env)
    else:
        value = bytearray(run.rig.done("get", "-k", "base64", pieces, env=run.env))
        value[-1] ^= 1
        run.rig.done("put", "-k", "base64", pieces, env=run.env, input=bytes(value[:-1] if damage == "cut" else value))
    assert run(script) == (0, bytes(1000000), b"") and run.ran() == 2
    assert run(script) == (0, bytes(1000000), b"") and run.ran() == 2


# ---- commands that run commands

def test_a_command_that_runs_itself_does_not_wait_for_itself(run):
    script = run.script(f"[ $(wc -l <{run.folder}/count) -gt 1 ] || exec {BRINE} run $0\necho inner")
    status, output, _ = run(script)
    assert (status, output) == (0, b"inner\n")


def test_two_that_need_each_other_end(run):
    for name, other in (("a", "b"), ("b", "a")):
        run.script(f"[ $(wc -l <{run.folder}/count) -gt 6 ] || {BRINE} run ./{other}\necho {name}", name)
    processes = [run.start(f"./{name}") for name in ("a", "b")]
    for process in processes:
        assert process.communicate(timeout=HUNG)[0] and process.returncode == 0
