"""Cache over a real daemon: across processes, forks, crashes, and by starting one."""

import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import brine
import pytest
from harness import BUILD, DEADLINE
from private import Daemon, end_daemon_of


def test_a_value_outlives_the_program_that_stored_it(daemon, run_python):
    run_python("import brine; brine.Cache()['key'] = {'answer': [42, None]}", BRINE_SOCKET=daemon.socket)
    done = run_python("import brine; print(brine.Cache()['key'])", BRINE_SOCKET=daemon.socket)
    assert done.out == "{'answer': [42, None]}\n"


def test_a_value_outlives_a_killed_daemon(daemon, cache):
    cache["key"] = [1]
    cache.sync()
    daemon.kill()
    daemon.start()
    assert brine.Cache(socket=daemon.socket)["key"] == [1]


def test_a_daemon_that_is_gone_is_a_miss_and_that_is_back_a_hit(daemon):
    cache = brine.Cache(socket=daemon.socket)
    cache["key"] = [1]
    cache.sync()
    daemon.kill()
    with pytest.warns(brine.BrineWarning, match="goes on without its cache"):
        assert cache.get("key") is None
    daemon.start()
    # The object tries again after a second; until then it answers at once.
    end = time.monotonic() + DEADLINE
    while cache.get("key") is None:
        assert time.monotonic() < end
    assert cache["key"] == [1]


@pytest.mark.parametrize("key", ["text", b"bytes", 7, 2**70, -7.5, True, None, ("user", 1, ("x", None)), "long" * 500])
def test_every_kind_of_key_works(cache, key):
    cache[key] = "value"
    assert cache[key] == "value" and key in cache and cache.get_many([key]) == {key: "value"}
    (found,) = cache
    assert found == key or found.shortened
    assert cache.touch(found, "1h") and cache.delete(found) and not cache.delete(key)


def test_many_keys_are_scanned(cache):
    keys = {("key", number) for number in range(2500)}
    cache.set_many({key: key for key in keys})
    assert set(cache) == keys and cache.get_many(keys) == {key: key for key in keys}
    cache.clear()
    assert list(cache) == []


def test_values_of_every_size_come_back_whole(cache):
    for size in (0, 1, 1000, 4096, 65536, 1 << 20, (1 << 20) + 1, 5_000_000):
        value = os.urandom(size)
        cache["key"] = value
        assert cache["key"] == value


def test_a_value_over_the_limit_is_refused_with_the_limit(cache):
    with pytest.raises(brine.Refused) as raised:
        cache.set("key", bytes(20 << 20))
    assert raised.value.name == "TOO_LARGE" and "key" not in cache
    assert str(raised.value).startswith("set: the value is larger")
    cache["key"] = "next"
    assert cache["key"] == "next"


def test_a_namespace_that_is_none_is_refused(daemon):
    for name in ("a b", "../x", "/undeclared"):
        with pytest.raises(brine.Refused) as raised:
            brine.Cache(name, socket=daemon.socket).set("key", 1)
        assert raised.value.name == "BAD_NAMESPACE"


def test_an_expired_value_is_a_miss(cache):
    cache.set("key", "value", ttl=0.02)
    end = time.monotonic() + DEADLINE
    while "key" in cache:
        assert time.monotonic() < end
    assert cache.get("key") is None


def test_what_the_command_line_stores_is_read_and_the_other_way(daemon, cache):
    def command(*words, **more):
        return subprocess.run([BUILD / "brine", "--socket", daemon.socket, *words], check=True, timeout=DEADLINE,
                              stdout=subprocess.PIPE, **more).stdout

    command("put", "from-shell", input=b"\xff\x00plain")
    assert cache["from-shell"] in (b"\xff\x00plain", "plain")
    cache["from-python"] = 42
    assert command("get", "from-python") in (b"42", b"42\n", (42).to_bytes(8, "little"))


def test_stats_know_the_namespace(cache):
    cache["key"] = 1
    cache.get("key")
    stats = cache.stats()
    assert len(stats) > 1 and "client" in stats


def work(socket, number):
    cache = brine.Cache(socket=socket)
    for at in range(200):
        cache[number, at] = [number, at]
    return sum(cache[number, at] == [number, at] for at in range(200))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_share_one_cache(daemon, method):
    with multiprocessing.get_context(method).Pool(4) as pool:
        assert pool.starmap(work, [(daemon.socket, number) for number in range(4)]) == [200] * 4
    assert len(list(brine.Cache(socket=daemon.socket))) == 800


def test_parent_and_children_use_one_object_at_the_same_time(cache):
    for number in range(50):
        cache[number] = [number]
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            right = all(cache.get(number) == [number] for number in range(50) for _ in range(20))
            os._exit(0 if right else 1)
        children.append(child)
    right = all(cache.get(number) == [number] for number in range(50) for _ in range(20))
    assert right and [os.waitpid(child, 0)[1] for child in children] == [0] * 4


def test_a_class_of_the_script_is_read_by_the_script_and_a_miss_elsewhere(daemon, run_python):
    source = """
import brine
class Thing:
    value = 7
cache = brine.Cache()
found = cache.get("thing")
if found is None:
    cache["thing"] = Thing()
print(found and found.value)
"""
    runs = [run_python(source, BRINE_SOCKET=daemon.socket) for _ in range(2)]
    outs = [run.out for run in runs]
    assert runs[0].err.count("BrineWarning: __main__.Thing is stored by this name") == 1 and runs[1].err == ""
    elsewhere = run_python("import brine; print(brine.Cache().get('thing', brine.MISS))", BRINE_SOCKET=daemon.socket)
    assert outs == ["None\n", "7\n"] and elsewhere.out == "brine.MISS\n"
    assert elsewhere.err.count("BrineWarning") == 1 and "Thing" in elsewhere.err


def test_a_memoized_call_is_computed_in_one_process_and_read_in_the_next(daemon, run_python):
    source = """
import brine
@brine.Cache().memoize(ttl="1d")
def slow(*args):
    print("computing")
    return sorted(args)
print(slow(3, 1, 2))
"""
    outs = [run_python(source, BRINE_SOCKET=daemon.socket, PYTHONHASHSEED=seed).out for seed in "12"]
    assert outs == ["computing\n[1, 2, 3]\n", "[1, 2, 3]\n"]


@pytest.fixture
def open_daemon(monkeypatch):
    """A daemon that every user can reach, as the system's is; in /tmp, since TMPDIR may be closed to others."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another uid: what another uid meets is not tested")
    # That uid cannot read the suppressions of a leak checker.
    monkeypatch.setenv("LSAN_OPTIONS", "detect_leaks=0")
    with tempfile.TemporaryDirectory(prefix="brine-py-", dir="/tmp") as folder:
        daemon = Daemon(pathlib.Path(folder)).start()
        for path in (folder, daemon.data):
            os.chmod(path, 0o755)
        os.chmod(daemon.socket, 0o666)
        yield daemon
        daemon.stop()


def test_another_uid_sees_none_of_our_objects(open_daemon, run_python):
    cache = brine.Cache(socket=open_daemon.socket)
    cache["key"] = "ours"
    done = run_python("""
import os, sys
import brine
os.setgid(65000), os.setuid(65000)
cache = brine.Cache()
print(cache.get("key"), list(cache))
cache["key"] = "theirs"
print(cache["key"])
""", BRINE_SOCKET=open_daemon.socket)
    assert done.out == "None []\ntheirs\n" and cache["key"] == "ours"


def test_a_process_that_gives_up_root_goes_on_as_the_other_uid(open_daemon, run_python):
    done = run_python("""
import os
import brine
cache = brine.Cache()
cache["key"] = ["root's"]
os.seteuid(65000)
print(cache.get("key"))
cache["key"] = ["65000's"]
print(cache["key"])
os.seteuid(0)
print(cache["key"])
""", BRINE_SOCKET=open_daemon.socket)
    assert done.out == "None\n[\"65000's\"]\n[\"root's\"]\n"


def test_the_first_set_starts_a_daemon(folder, run_python):
    place = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "BRINE_AUTOSTART": "1"}
    source = "import brine; cache = brine.Cache(); cache['key'] = [1]; print(cache['key'], cache._where())"
    try:
        done = run_python(source, **place)
        assert done.out.startswith("[1] " + str(folder / "cache" / "brine" / "brine.sock")), done.err
        assert run_python("import brine; print(brine.Cache()['key'])", **place).out == "[1]\n"
    finally:
        end_daemon_of(folder / "cache" / "brine")


def test_python_m_brine_says_where_the_daemon_is(daemon):
    def ask(*words, **environment):
        return subprocess.run([sys.executable, "-m", "brine", *words], env=dict(os.environ, **environment), text=True,
                              capture_output=True, timeout=DEADLINE)

    done = ask(BRINE_SOCKET=daemon.socket)
    assert done.returncode == 0 and daemon.socket in done.stdout and brine.__version__ in done.stdout, done
    done = ask(BRINE_SOCKET=str(daemon.folder / "nobody.sock"))
    assert done.returncode == 3 and "nobody.sock" in done.stderr
    done = ask(BRINE_DISABLE="1")
    assert done.returncode == 0 and "switched off by BRINE_DISABLE" in done.stdout and done.stderr == "", done
    done = ask("--help")
    assert done.returncode == 0 and "usage: python -m brine" in done.stdout and done.stderr == ""
    done = ask("--hepl")
    assert done.returncode == 2 and "usage: python -m brine" in done.stderr and done.stdout == ""


def test_python_m_brine_starts_this_users_daemon(folder):
    data = folder / "data"
    # What a sanitizer has in the environment stays there.
    env = {**os.environ, "HOME": str(folder), "BRINE_DATA": str(data), "BRINE_AUTOSTART": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        for _ in range(30):  # a busy machine takes longer than the second for which a client waits
            done = subprocess.run([sys.executable, "-m", "brine"], env=env, text=True, capture_output=True, timeout=DEADLINE)
            if "does not answer yet" not in done.stderr:
                break
        assert done.returncode == 0 and str(data / "brine.sock") in done.stdout and "nothing is stored" in done.stdout, done
    finally:
        end_daemon_of(data)
