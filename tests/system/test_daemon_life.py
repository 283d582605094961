"""How a daemon starts, listens, reloads and ends."""

import array
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys

import pytest

import harness
from harness import DELETE, GOAWAY, PING, PUT, REPLY, SYNC


def test_version_and_help_answer_and_leave():
    assert harness.run("--version").stdout.startswith("brined 0.")
    assert "--check-config" in harness.run("--help").stdout


@pytest.mark.parametrize("arguments, said", [
    (["--nonsense"], "--nonsense"),
    (["operand"], "operand"),
    (["--set", "max_size=12"], "max_size"),
    (["--set", "no_such=1"], "no_such"),
    (["--set", "max_size"], "max_size"),
    (["--data", "relative/path"], "relative/path"),
    (["--socket", "relative"], "relative"),
])
def test_a_wrong_option_is_named_with_a_hint(arguments, said):
    result = harness.run(*arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert "--help" in result.stderr


def test_check_config_says_where_it_is_wrong(folder):
    config = folder / "brined.conf"
    config.write_text("max_size = 100M\n")
    assert harness.run("--config", str(config), "--check-config").returncode == 0
    config.write_text("max_size = 100M\n\nmax_value = soup\n")
    result = harness.run("--config", str(config), "--check-config")
    assert result.returncode == 1
    assert f"{config}:3" in result.stderr and "soup" in result.stderr
    assert harness.run("--config", str(folder / "none"), "--check-config").returncode == 1


def test_the_folder_beside_the_configuration_is_read_too(make_daemon, folder):
    (folder / "brined.conf").write_text("max_value = 1M\n")
    (folder / "brined.conf.d").mkdir()
    (folder / "brined.conf.d/10-more.conf").write_text("max_value = 2M\n")
    daemon = make_daemon("--config", str(folder / "brined.conf"))
    with daemon.client() as client:
        assert client.hello.max_value == 2 << 20


def test_the_users_own_configuration_is_found(make_daemon, folder):
    (folder / ".config/brine").mkdir(parents=True)
    (folder / ".config/brine/brined.conf").write_text("max_value = 3M\n")
    daemon = make_daemon()
    with daemon.client() as client:
        assert client.hello.max_value == 3 << 20


def test_the_data_directory_is_made_and_closed_to_others(make_daemon, folder):
    daemon = make_daemon("--data", str(folder / "a/b/c"), data=False)
    assert stat.S_IMODE((folder / "a/b/c").stat().st_mode) == 0o700
    mode = (folder / "a/b/c/brine.sock").stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    assert daemon.stop() == 0
    assert not (folder / "a/b/c/brine.sock").exists()


def test_an_open_directory_with_other_things_in_it_is_refused(make_daemon):
    daemon = make_daemon(start=False)
    daemon.data.mkdir(mode=0o755)
    daemon.start()  # it was empty: closed, and said
    assert stat.S_IMODE(daemon.data.stat().st_mode) == 0o700
    assert "closed the data directory" in daemon.log()
    daemon.stop()
    other = daemon.folder / "other"
    other.mkdir(mode=0o755)
    (other / "thesis.tex").write_text("...")
    result = harness.run("--data", str(other))
    assert result.returncode == 1
    assert f"chmod 700 {other}" in result.stderr
    assert sorted(os.listdir(other)) == ["thesis.tex"]


def test_the_default_directory_is_below_the_home(make_daemon, folder):
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    make_daemon(data=False, env={"XDG_RUNTIME_DIR": str(runtime)})
    for path in folder / ".cache/brine/brine.sock", runtime / "brine/brine.sock":
        with harness.Client(path) as client:
            assert client.call(PING).kind == REPLY


def test_a_chosen_directory_has_the_only_socket(make_daemon, folder):
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    make_daemon(data=False, env={"XDG_RUNTIME_DIR": str(runtime),
                                 "BRINE_DATA": str(folder / "mine")})
    with harness.Client(folder / "mine/brine.sock") as client:
        assert client.call(PING).kind == REPLY
    assert not (runtime / "brine").exists()


def test_a_socket_elsewhere_is_served_beside_the_data_directorys(make_daemon, folder):
    daemon = make_daemon("--socket", str(folder / "elsewhere.sock"))
    for path in folder / "elsewhere.sock", daemon.socket:
        with harness.Client(path) as client:
            assert client.call(PING).kind == REPLY


def test_a_socket_path_of_any_length_is_served(make_daemon, folder):
    long = folder / ("d" * 100) / ("e" * 100)
    make_daemon("--data", str(long), data=False)
    handle = os.open(long, os.O_PATH)
    with harness.Client(f"/proc/self/fd/{handle}/brine.sock") as client:
        assert client.call(PING).kind == REPLY
    os.close(handle)


def test_one_directory_has_one_daemon(make_daemon):
    daemon = make_daemon()
    second = harness.run("--data", str(daemon.data))
    assert second.returncode == 1
    assert str(daemon.data) in second.stderr
    with daemon.client() as client:
        assert client.call(PING).kind == REPLY


def test_a_socket_on_which_somebody_listens_is_not_taken(make_daemon, folder):
    path = folder / "taken.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        result = harness.run("--data", str(folder / "data"), "--socket", str(path))
        assert result.returncode == 1
        assert str(path) in result.stderr
        assert path.exists()
    make_daemon("--socket", str(path))  # and one that is left over is
    with harness.Client(path) as client:
        assert client.call(PING).kind == REPLY


def test_a_file_at_the_sockets_path_is_not_removed(folder):
    path = folder / "precious"
    path.write_text("data")
    result = harness.run("--data", str(folder / "data"), "--socket", str(path))
    assert result.returncode == 1
    assert path.read_text() == "data"


def test_after_a_kill_the_next_daemon_takes_over(make_daemon):
    daemon = make_daemon()
    with daemon.client() as client:
        client.put(b"k", b"v", ack=2)
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    with daemon.client() as client:
        assert client.get(b"k").body == b"v"


def test_sigterm_says_goaway_answers_and_leaves(make_daemon):
    daemon = make_daemon("--set", "commit_delay=200ms", "--set", "max_unflushed=5s")
    with daemon.client() as client, daemon.client() as idle:
        client.put(b"k", b"v")
        numbers = [client.send(DELETE, {"key": b"k"}), client.send(SYNC)]
        idle.call(PING)
        client.call(PING)
        daemon.signal(signal.SIGTERM)
        away = idle.read()
        assert (away.kind, away.id, away.last_id) == (GOAWAY, 0, 1)
        with pytest.raises(harness.Closed):
            idle.read()
        assert client.reply(numbers[0]).status == 0
        assert client.reply(numbers[1]).kind == REPLY
        with pytest.raises(harness.Closed):
            client.read()
    assert daemon.wait() == 0
    assert not daemon.socket.exists()


def test_whoever_hears_goaway_finds_nobody_listening(make_daemon):
    daemon = make_daemon()
    clients = [daemon.client() for _ in range(300)]
    poller = select.poll()
    for client in clients:
        poller.register(client.socket)
        poller.modify(client.socket, select.POLLIN)
    daemon.signal(signal.SIGTERM)
    assert poller.poll(1000 * harness.DEADLINE)
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        harness.Client(daemon.socket, hello=False)
    for client in clients:
        assert client.read().kind == GOAWAY
        client.socket.close()
    assert daemon.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_orderly_end_keeps_what_was_acknowledged(make_daemon, number):
    daemon = make_daemon("--set", "commit_delay=1s", "--set", "max_unflushed=10s")
    with daemon.client() as client:
        for i in range(100):
            client.put(b"k%d" % i, b"v")
    daemon.signal(number)
    assert daemon.wait() == 0
    daemon.start()
    with daemon.client() as client:
        assert all(client.get(b"k%d" % i).body == b"v" for i in range(100))


def test_a_client_that_takes_nothing_delays_the_end_by_the_grace_only(make_daemon):
    daemon = make_daemon()
    with daemon.client() as client:
        client.put(b"big", os.urandom(1 << 20))
        for _ in range(5):
            client.send(harness.GET, {"key": b"big"})
        with daemon.client() as other:  # the daemon has seen those
            other.call(PING)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert "did not take their last answers" in daemon.log()


def test_a_second_signal_leaves_at_once(make_daemon):
    daemon = make_daemon()
    with daemon.client() as client:
        client.put(b"big", os.urandom(1 << 20))
        for _ in range(5):
            client.send(harness.GET, {"key": b"big"})
        with daemon.client() as other:
            other.call(PING)
        daemon.signal(signal.SIGTERM)
        daemon.wait_log("answering")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert "leaving at once" in daemon.log()


def test_sighup_takes_what_can_change_and_names_what_cannot(make_daemon, folder):
    config = folder / "brined.conf"
    config.write_text("max_value = 1M\n")
    daemon = make_daemon("--config", str(config))
    with daemon.client() as client:
        config.write_text("max_value = 2M\nreader_threads = 3\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("reader_threads = 3: only the next start takes it")
        with daemon.client() as later:
            assert later.hello.max_value == 2 << 20
        config.write_text("max_value = soup\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_log("stays as it was")
        assert client.call(PING).kind == REPLY
    with daemon.client() as later:
        assert later.hello.max_value == 2 << 20


def test_idle_exit_counts_only_while_nobody_is_connected(make_daemon):
    daemon = make_daemon("--set", "idle_exit=1s")
    with daemon.client() as client:
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(1.5)
        assert client.call(PING).kind == REPLY
    assert daemon.wait() == 0
    assert "idle_exit" in daemon.log()


@pytest.mark.parametrize("deleted", ["v1", "."])
def test_a_store_that_is_deleted_is_started_anew(make_daemon, deleted):
    daemon = make_daemon()
    with daemon.client() as client:
        client.put(b"k", b"v", ack=2)
    shutil.rmtree(daemon.data / deleted)
    daemon.wait_log("starting anew")
    daemon.wait_log("listening at", times=2)
    with daemon.client() as client:
        assert client.get(b"k").status == 1
        assert client.put(b"k", b"v", ack=2).kind == REPLY
    assert daemon.stop() == 0


LISTEN = """
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_service_manager_may_hand_over_the_socket(make_daemon, folder):
    daemon = make_daemon(start=False)
    path = folder / "handed.sock"
    real, harness.BRINED = harness.BRINED, pathlib.Path(sys.executable)
    try:
        daemon.arguments = ["-c", LISTEN, str(path), str(real), *daemon.arguments]
        daemon.start()
    finally:
        harness.BRINED = real
    with harness.Client(path) as client:
        assert client.call(PING).kind == REPLY
    assert daemon.stop() == 0
    assert path.exists()  # it is the service manager's


@pytest.mark.parametrize("count", ["5", "-1", "soup", "", "1x", " 1", "99999999999999999999", "1"])
def test_sockets_that_nobody_hands_over_are_missed(folder, count):
    start = ("import os, sys; os.close(3) if os.path.exists('/proc/self/fd/3') else None; "
             "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[1]); "
             "os.execv(sys.argv[2], sys.argv[2:])")
    result = subprocess.run([sys.executable, "-c", start, count, str(harness.BRINED), "--data", str(folder / "data")],
                            capture_output=True, text=True, timeout=harness.DEADLINE, check=False)
    assert result.returncode == 1
    assert "LISTEN_FDS" in result.stderr


def test_sockets_that_are_somebody_elses_are_left_alone(make_daemon):
    daemon = make_daemon(env={"LISTEN_PID": "1", "LISTEN_FDS": "3"})
    with daemon.client() as client:
        assert client.call(PING).kind == REPLY


def test_a_path_at_which_the_service_manager_listens_is_not_taken_from_it(make_daemon, folder):
    daemon = make_daemon(start=False)
    path = folder / "handed.sock"
    daemon.arguments = ["-c", LISTEN, str(path), str(harness.BRINED), *daemon.arguments, "--socket", str(path)]
    daemon.program = sys.executable
    daemon.start()
    assert "cannot listen" not in daemon.log()
    with harness.Client(path) as client:
        assert client.call(PING).kind == REPLY
    assert daemon.stop() == 0
    assert path.exists()


def test_the_service_manager_hears_of_the_start_a_reload_and_the_end(make_daemon, folder):
    config = folder / "brined.conf"
    config.write_text("max_value = 1M\n")
    daemon = make_daemon("--config", str(config), start=False)
    daemon.launch()
    daemon.ready.settimeout(harness.DEADLINE)
    first = daemon.ready.recv(1000).decode().splitlines()
    assert first[0].startswith("STATUS=") and first[1] == "EXTEND_TIMEOUT_USEC=300000000"
    assert "READY=1" in daemon.ready.recv(1000).decode().splitlines()
    config.write_text("max_value = soup\n")
    daemon.signal(signal.SIGHUP)
    reloading = daemon.ready.recv(1000).decode().splitlines()
    assert reloading[0] == "RELOADING=1" and reloading[1].startswith("MONOTONIC_USEC=")
    assert "READY=1" in daemon.ready.recv(1000).decode().splitlines()
    daemon.signal(signal.SIGTERM)
    assert "STOPPING=1" in daemon.ready.recv(1000).decode().splitlines()
    assert daemon.wait() == 0


def test_a_watchdog_is_fed(make_daemon):
    daemon = make_daemon(env={"WATCHDOG_USEC": "200000"})
    daemon.ready.settimeout(harness.DEADLINE)
    for _ in range(3):
        fed = daemon.ready.recv(1000).decode().splitlines()
        assert fed[0] == "WATCHDOG=1" and fed[1].startswith("STATUS=Serving 0 clients; ")


def test_descriptors_that_a_client_sends_are_released(daemon, client):
    before = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
    reader, writer = os.pipe()
    for _ in range(100):
        number, raw = client.frame(PING)
        client.socket.sendmsg([raw], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                       array.array("i", [writer]))])
        assert client.reply(number).kind == REPLY
    os.close(writer)
    assert os.read(reader, 1) == b""  # nobody holds the other end
    os.close(reader)
    assert len(os.listdir(f"/proc/{daemon.process.pid}/fd")) == before


def another_or_skip():
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    return pwd.getpwnam("daemon").pw_uid  # not nobody: its number is the overflow uid's


AS_ANOTHER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import harness
os.setgroups([]); os.setgid({0}); os.setuid({0})
client = harness.Client("open.sock")  # relative: what stands above may be closed
assert client.hello.uid == {0}
assert client.get(b"k", namespace="web").status == 1
assert client.put(b"k", b"theirs", namespace="web").kind == harness.REPLY
assert client.get(b"k", namespace="web").writer == {0}
assert not any(scope.startswith("0:") for scope, _ in client.stats())
"""


def test_two_users_namespaces_never_meet(make_daemon, folder):
    uid = another_or_skip()
    daemon = make_daemon("--socket", str(folder / "open.sock"))
    folder.chmod(0o711)
    (folder / "open.sock").chmod(0o666)
    with daemon.client() as client:
        client.put(b"k", b"mine", namespace="web")
        subprocess.run([sys.executable, "-c", AS_ANOTHER.format(uid),
                        str(pathlib.Path(__file__).parent)],
                       cwd=folder, check=True, timeout=harness.DEADLINE)
        assert client.get(b"k", namespace="web").body == b"mine"
        scopes = {scope for scope, _ in client.stats()}
        assert {"web", f"{uid}:web"} <= scopes


def test_a_directory_of_another_user_is_refused(folder):
    uid = another_or_skip()
    (folder / "theirs").mkdir(mode=0o700)
    os.chown(folder / "theirs", uid, -1)
    result = harness.run("--data", str(folder / "theirs"))
    assert result.returncode == 1
    assert f"belongs to uid {uid}" in result.stderr
