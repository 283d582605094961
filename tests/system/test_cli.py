"""The command line against a real daemon: values in and out, answers and exit statuses."""

import json
import os
import re
import shlex
import stat
import subprocess
import time

import pytest

from brine_command import BRINE, HUNG, Measured, Rig, end, peer_pid

DONE, MISS, USAGE, UNREACHABLE, REFUSED, OTHER = range(6)


@pytest.fixture(scope="module")
def daemon():
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture
def brine(daemon, request):
    """The command in a namespace that only this test has."""
    daemon.env["BRINE_NAMESPACE"] = request.node.name.replace("[", "-").replace("]", "")[:64]
    return daemon


@pytest.fixture
def lonely():
    """The command where no daemon is."""
    rig = Rig(daemon=False)
    yield rig
    rig.close()


def status(result):
    return result.returncode


# ---- values

@pytest.mark.parametrize("value", [b"", b"\0", b"hello\n", bytes(range(256)) * 33, b"x" * (1 << 20),
                                   b"y" * ((1 << 20) + 1), os.urandom(5 << 20)],
                         ids=["empty", "nul", "text", "binary", "one-mebibyte", "and-a-byte", "five"])
def test_a_value_comes_back_as_it_was(brine, value):
    brine.done("put", "key", input=value)
    assert brine.done("get", "key") == value
    (brine.home / "file").write_bytes(value)
    brine.done("put", "from-file", "file")
    assert brine.done("get", "from-file") == value
    brine.done("get", "key", "-o", "copy")
    assert (brine.home / "copy").read_bytes() == value
    meta = json.loads(brine.done("meta", "key", "--json"))
    assert meta["length"] == len(value)


def test_options_stand_before_and_behind_the_operands(brine):
    brine.done("--json", "put", "--ttl", "1h", "key", input=b"1")
    brine.done("put", "other", "-", "--ttl=1h30m", input=b"2")
    assert brine.done("get", "--", "other") == b"2"
    assert b"expires    in 1h30m" in brine.done("meta", "other")


def test_a_value_may_be_given_as_an_argument(brine):
    brine.done("put", "--value", "hello", "greeting")
    assert brine.done("get", "greeting") == b"hello"
    brine.done("put", "greeting", "-v", "")
    assert brine.done("get", "greeting") == b""


def test_who_writes_the_value_for_the_file_is_told_how(brine):
    result = brine("put", "greeting", "hello")
    assert status(result) == OTHER
    assert b"brine put greeting --value 'hello'" in result.stderr


def test_an_integer_is_a_counter_and_comes_in_decimal(brine):
    for written, read in ((b"42", b"42"), (b" -7\n", b"-7"), (b"9223372036854775807", b"9223372036854775807")):
        brine.done("put", "n", "--int", input=written)
        assert brine.done("get", "n") == read
    meta = json.loads(brine.done("get", "n", "--json"))
    assert (meta["kind"], meta["codec"], meta["value"]) == ("counter", "integer", 9223372036854775807)
    for written in (b"", b"x", b"1.5", b"9223372036854775808", b"1" * 100, b"1\0002"):
        assert status(brine("put", "n", "--int", input=written)) == USAGE
    assert brine.done("get", "n") == b"9223372036854775807"


def test_a_miss_is_1_and_says_nothing(brine):
    for arguments in (["get", "absent"], ["meta", "absent"], ["del", "absent"],
                      ["touch", "absent", "--ttl", "1s"], ["get", "absent", "--json"]):
        result = brine(*arguments)
        assert (status(result), result.stdout, result.stderr) == (MISS, b"", b""), arguments


def test_a_person_is_told_of_a_miss(brine):
    result, shown = brine.on_terminal("get", "absent")
    assert (result, shown) == (MISS, b"brine: get: no such object: absent\r\n")
    assert brine.on_terminal("get", "absent", "--quiet") == (MISS, b"")


def test_a_prompt_after_a_value_stands_on_a_line_of_its_own(brine):
    brine.done("put", "key", "-v", "hello")
    assert brine.on_terminal("get", "key") == (DONE, b"hello\r\n")
    brine.done("put", "key", "-v", "hello\n")
    assert brine.on_terminal("get", "key") == (DONE, b"hello\r\n")


@pytest.mark.parametrize("value", [b"\x80\x05K\x01.", b"a\0b", b"\xe2\x82"], ids=["pickle", "nul", "half-character"])
def test_a_value_that_is_no_text_is_kept_from_a_terminal(brine, value):
    brine.done("put", "key", input=value)
    result, shown = brine.on_terminal("get", "key")
    assert result == OTHER and shown.startswith(b"brine: get: the value (%d) is no text" % len(value)), shown
    assert brine.on_terminal("get", "key", "-o", "-") == (DONE, value + b"\r\n")
    assert brine.done("get", "key") == value


def test_a_text_with_colours_and_one_cut_by_the_buffer_go_to_the_terminal(brine):
    for value in ("\x1b[31mred\x1b[0m\tcaf\u00e9".encode(), b"x" * ((1 << 20) - 1) + "\u20ac end".encode()):
        brine.done("put", "key", input=value)
        assert brine.on_terminal("get", "key") == (DONE, value + b"\r\n")


def test_a_put_that_names_a_file_as_its_key_says_so(brine):
    (brine.home / "logo.png").write_bytes(b"picture")
    result, shown = brine.on_terminal("put", "logo.png", typed=b"x\n\x04")
    assert result == DONE and b"logo.png is the key; what the file holds is stored by: brine put KEY logo.png" in shown
    assert b"is the key" not in brine.on_terminal("put", "logo", typed=b"x\n\x04")[1]


def test_conditions_that_do_not_hold_are_1(brine):
    assert status(brine("put", "key", "--if-present")) == MISS
    first = json.loads(brine.done("put", "key", "--if-absent", "--json", input=b"first"))
    assert first["length"] == 5
    assert status(brine("put", "key", "--if-absent", input=b"second")) == MISS
    assert status(brine("put", "key", "--if-version", str(first["version"] - 1))) == MISS
    assert brine.done("get", "key") == b"first"
    brine.done("put", "key", "--if-version", str(first["version"]), input=b"second")
    brine.done("put", "key", "--if-present", input=b"third")
    assert brine.done("get", "key") == b"third"
    assert status(brine("del", "key", "--if-version", str(first["version"]))) == MISS
    version = json.loads(brine.done("meta", "key", "--json"))["version"]
    brine.done("del", "key", "--if-version", str(version))
    assert status(brine("meta", "key")) == MISS


def test_codec_cost_and_writer_show_in_meta(brine):
    brine.done("put", "key", "--codec", "json", "--cost", "1s500ms", "--ack", "disk", input=b"{}")
    shown = brine.done("meta", "key").decode()
    assert "codec      json" in shown and "cost       1.5s" in shown
    assert f"writer     uid {os.geteuid()} (you)" in shown and "expires    never" in shown
    meta = json.loads(brine.done("meta", "key", "--json"))
    assert (meta["codec"], meta["codec_number"], meta["cost_us"]) == ("json", 4, 1500000)
    assert (meta["ttl_left_ms"], meta["writer_uid"]) == (None, os.geteuid())


def test_touch_sets_the_time_to_live(brine):
    for key in "abc":
        brine.done("put", key)
    brine.done("touch", "a", "b", "--ttl", "1h")
    left = [json.loads(brine.done("meta", key, "--json"))["ttl_left_ms"] for key in "abc"]
    assert 3500_000 < left[0] <= 3600_000 and 3500_000 < left[1] <= 3600_000 and left[2] is None
    brine.done("touch", "a", "--ttl", "never")
    assert json.loads(brine.done("meta", "a", "--json"))["ttl_left_ms"] is None
    result = brine("touch", "a")
    assert status(result) == USAGE and b"--ttl" in result.stderr


def test_an_object_older_than_max_age_is_a_miss(brine):
    brine.done("put", "key", "-v", "x")
    assert brine.done("get", "key", "--max-age", "1d") == b"x"
    while json.loads(brine.done("meta", "key", "--json"))["age_ms"] < 2:
        pass
    assert status(brine("get", "key", "--max-age", "1us")) == MISS


def test_del_removes_what_is_there_and_says_if_one_was_not(brine):
    keys = [f"key-{i}" for i in range(300)]
    for key in keys[:3]:
        brine.done("put", key)
    result = brine("del", *keys, "--json")
    assert status(result) == MISS
    assert json.loads(result.stdout) == {"deleted": 3, "missing": 297}
    assert brine.done("keys") == b""
    brine.done("put", "key")
    assert brine.done("del", "key", "--ack", "memory") == b""


def test_a_key_that_cannot_be_read_stops_del_before_anything_is_done(brine):
    brine.done("put", "key")
    assert status(brine("del", "key", b"\xc3")) == USAGE
    assert status(brine("del", "key", "")) == USAGE
    brine.done("meta", "key")


# ---- files and descriptors

def test_a_miss_or_a_failure_leaves_the_output_file_as_it_was(brine):
    kept = brine.home / "kept"
    kept.write_bytes(b"old")
    assert status(brine("get", "absent", "-o", "kept")) == MISS
    assert kept.read_bytes() == b"old"
    assert status(brine("get", "absent", "-o", "never-made")) == MISS
    assert not (brine.home / "never-made").exists()
    assert status(brine("get", "absent", "-o", "no/such/folder")) == MISS
    brine.done("put", "key", "-v", "new")
    assert status(brine("get", "key", "-o", "no/such/folder")) == OTHER
    assert status(brine("get", "key", "-o", ".")) == OTHER


def test_the_output_file_keeps_its_mode_and_nothing_is_left_beside_it(brine):
    folder = brine.home / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"a longer old value")
    (folder / "file").chmod(0o640)
    (folder / "link").symlink_to("file")
    brine.done("put", "key", "-v", "new")
    brine.done("get", "key", "-o", "folder/file")
    assert (folder / "file").read_bytes() == b"new"
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o640
    brine.done("put", "key", "-v", "newer")
    brine.done("get", "key", "-o", folder / "link")
    assert (folder / "link").is_symlink() and (folder / "file").read_bytes() == b"newer"
    assert sorted(os.listdir(folder)) == ["file", "link"]
    brine.done("get", "key", "-o", "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_full_disk_is_an_error(brine):
    brine.done("put", "small", "-v", "x")
    brine.done("put", "large", input=b"x" * (3 << 20))
    for arguments in (["get", "small"], ["get", "large"], ["keys"], ["stats", "--json"], ["help"],
                      ["meta", "small"], ["get", "small", "--json"]):
        with open("/dev/full", "wb") as full:
            result = brine(*arguments, stdout=full)
        assert status(result) == OTHER, arguments
        assert b"No space left on device" in result.stderr, arguments
    assert status(brine("get", "small", "-o", "/dev/full")) == OTHER


def test_a_reader_that_has_enough_ends_it_quietly(brine):
    brine.done("put", "large", input=b"line\n" * (1 << 20))
    reader, writer = os.pipe()
    process = subprocess.Popen([BRINE, "get", "large"], env=brine.env, stdout=writer,
                               stderr=subprocess.PIPE)
    os.close(writer)
    assert os.read(reader, 5) == b"line\n"
    os.close(reader)
    assert process.communicate(timeout=HUNG)[1] == b""
    assert process.returncode == -13


def test_closed_standard_descriptors_harm_nobody(brine):
    brine.done("put", "key", "-v", "value")
    for closed in ("<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"):
        line = f"{shlex.quote(str(BRINE))} get key {closed}"
        result = subprocess.run(["sh", "-c", line], env=brine.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=HUNG)
        assert result.returncode == (OTHER if ">&-" in closed.replace("2>&-", "") else DONE), closed
    result = subprocess.run(["sh", "-c", f"{shlex.quote(str(BRINE))} put key <&-"], env=brine.env,
                            stderr=subprocess.PIPE, timeout=HUNG)
    assert result.returncode == OTHER and b"standard input" in result.stderr
    assert brine.done("get", "key") == b"value"


def test_what_cannot_be_read_is_not_stored(brine):
    (brine.home / "directory").mkdir()
    for path in ("directory", "/proc/self/mem"):
        result = brine("put", "key", path)
        assert status(result) == OTHER and b"cannot read" in result.stderr
    assert status(brine("get", "key")) == MISS


def test_files_that_do_not_know_their_length_are_read_to_their_end(brine):
    brine.done("put", "key", "/proc/self/status")
    assert b"Name:\tbrine" in brine.done("get", "key")


def test_half_a_file_may_have_been_read_before(brine):
    (brine.home / "large").write_bytes(b"a" * 100 + b"b" * (3 << 20))
    with open(brine.home / "large", "rb", buffering=0) as file:
        file.seek(100)
        brine.done("put", "key", stdin=file)
    assert brine.done("get", "key") == b"b" * (3 << 20)


def test_large_values_pass_through_little_memory_at_any_length_known_or_not(brine):
    size = 160 << 20
    block = os.urandom(1 << 20)
    put = Measured(BRINE, "put", "piped", env=brine.env, stdin=subprocess.PIPE)
    for _ in range(size >> 20):
        put.stdin.write(block)
    result, memory = put.finish()
    assert result == DONE and memory < size / 2
    get = Measured(BRINE, "get", "piped", "-o", brine.home / "large", env=brine.env)
    result, memory = get.finish()
    assert result == DONE and memory < size / 2
    assert (brine.home / "large").stat().st_size == size
    put = Measured(BRINE, "put", "file", brine.home / "large", env=brine.env)
    result, memory = put.finish()
    assert result == DONE and memory < size / 2
    with open(brine.home / "large", "rb") as file:
        assert all(file.read(1 << 20) == block for _ in range(size >> 20))
    (brine.home / "large").unlink()
    assert json.loads(brine.done("meta", "file", "--json"))["length"] == size
    brine.done("del", "piped", "file")


def connections(brine):
    return json.loads(brine.done("stats", "--json"))["daemon"]["connections"]


@pytest.mark.parametrize("folder", ["", "/nonexistent"], ids=["spooled", "no-room-to-spool"])
def test_a_reader_that_pauses_gets_all_of_it_and_keeps_no_daemon_waiting(brine, folder):
    value = os.urandom(6 << 20)
    brine.done("put", "key", input=value)
    before = connections(brine)
    get = subprocess.Popen([BRINE, "get", "key"], env=dict(brine.env, TMPDIR=folder or str(brine.home)),
                           stdout=subprocess.PIPE, bufsize=0)
    assert get.stdout.read(1000) == value[:1000]
    until = time.monotonic() + HUNG
    while not folder and connections(brine) > before:
        assert get.poll() is None and time.monotonic() < until
    assert get.communicate(timeout=HUNG)[0] == value[1000:]
    assert get.returncode == DONE


# ---- keys

TYPED = ["1", "-1.5", "b'\\x00\\xff'", "True", "None", "()", "(1, 'a', (b'x', None))", "'text'"]


def test_typed_keys_show_as_python_writes_them_and_read_back(brine):
    for key in TYPED:
        brine.done("put", "-k", "python", "-v", key, "--", key)
    listed = brine.done("keys", "--key-as", "python").decode().splitlines()
    assert sorted(listed) == sorted(TYPED)
    for key in listed:
        assert brine.done("get", "--key-as", "python", "--", key).decode() == key
    assert sorted(brine.done("keys").decode().splitlines()) == sorted([*TYPED[:-1], "text"])
    assert brine.done("get", "text") == b"'text'"
    assert brine.done("keys", "-k", "python", "b'\\x00'") == b"b'\\x00\\xff'\n"


def test_a_text_that_a_terminal_would_obey_is_shown_escaped(brine):
    brine.done("put", "a\nb\x1b[2J")
    assert brine.done("keys") == b"'a\\nb\\x1b[2J'\n"
    assert brine.done("keys", "-0") == b"a\nb\x1b[2J\0"
    assert b"\x1b" not in brine.on_terminal("get", "x\x1b[2J")[1]


def test_shortened_keys_are_marked_and_can_be_removed_as_base64(brine):
    long = "k" * 5000
    brine.done("put", long, "-v", "value")
    assert brine.done("get", long) == b"value"
    line = brine.done("keys").decode()
    assert line.startswith("k" * 992 + "...") and line.endswith(" (shortened)\n")
    [entry] = [json.loads(line) for line in brine.done("keys", "--json").splitlines()]
    assert entry["shortened"] is True
    assert brine.done("get", "-k", "base64", entry["raw"]) == b"value"
    base64 = brine.done("keys", "-k", "base64").decode().split()
    brine.done("del", "-k", "base64", *base64)
    assert brine.done("keys") == b""


def test_keys_lists_every_key_with_the_prefix_once(brine):
    names = {f"user:{i}" for i in range(50)} | {f"page:{i}" for i in range(5)}
    for name in names:
        brine.done("put", name)
    listed = brine.done("keys").decode().splitlines()
    assert len(listed) == 55 and set(listed) == names
    assert len(brine.done("keys", "page:").split()) == 5
    assert brine.done("keys", "nothing") == b""
    assert len(brine.done("keys", "--limit", "7").split()) == 7
    assert brine.done("keys", "--limit", "0") == b""
    assert set(brine.done("keys", "-0").decode().rstrip("\0").split("\0")) == names


def test_long_listings_say_size_time_left_codec_and_writer(brine):
    brine.done("put", "key", "--ttl", "2h", "--codec", "json", input=b"x" * 3000)
    fields = brine.done("keys", "-l").split()
    assert fields[0] == b"2.9K" and fields[1] == b"2h" and fields[2] == b"json"
    assert fields[3] == str(os.geteuid()).encode() and fields[4] == b"key"
    assert b"SIZE" in brine.on_terminal("keys", "--long")[1]


# ---- JSON

def test_all_output_is_valid_json_when_asked(brine):
    brine.done("put", "text", "-v", "a\"\\\n\u202e\N{SNOWMAN}")
    brine.done("put", "bytes", input=b"\xff\0")
    brine.done("put", "-k", "python", "(1, '\\x00')")
    assert json.loads(brine.done("get", "text", "-j"))["value"] == "a\"\\\n\u202e\N{SNOWMAN}"
    assert json.loads(brine.done("get", "bytes", "-j"))["value_base64"] == "/wA="
    entries = [json.loads(line) for line in brine.done("keys", "-j").splitlines()]
    assert {entry["type"] for entry in entries} == {"text", "tuple"}
    assert {entry["key"] for entry in entries} == {"text", "bytes", "(1, '\\x00')"}
    stats = json.loads(brine.done("stats", "-j"))
    assert stats["daemon"] and any(brine.env["BRINE_NAMESPACE"] in name for name in stats["namespaces"])
    ping = json.loads(brine.done("ping", "--json"))
    assert ping["uid"] == os.geteuid() and str(brine.socket) in ping["where"]
    assert json.loads(brine.done("touch", "text", "--ttl", "1h", "-j")) == {"touched": 1, "missing": 0}
    assert json.loads(brine.done("sync", "-j")) == {"synced": True}
    assert json.loads(brine.done("flush", "-j")) == {"flushed": brine.env["BRINE_NAMESPACE"]}
    assert brine.done("keys", "-j") == b""


def test_stats_shows_a_table(brine):
    brine.done("put", "key", "-v", "value")
    table = brine.done("stats").decode()
    assert re.search(r"^daemon \d[\d.]+, up for \w+", table, re.MULTILINE)
    assert re.search(r"^  room used +\w+  of .*max_size 1.0G", table, re.MULTILINE)
    assert json.loads(brine.done("stats", "--json"))["daemon"]["max_size_bytes"] == 1 << 30
    assert f"namespace {brine.env['BRINE_NAMESPACE']}\n  objects                   1  5 of values" in table
    assert max(map(len, table.splitlines())) <= 80


def test_stats_tell_misses_by_reason_and_what_hits_saved(brine):
    brine.done("put", "key", "-v", "value", "--cost", "90m")
    for _ in range(3):
        brine.done("get", "key")
    brine("get", "absent")
    brine("get", "key", "--max-age", "1us")
    brine("get", "absent", "--wait=1ms")
    table = brine.done("stats").decode()
    table = table[table.index(f"namespace {brine.env['BRINE_NAMESPACE']}\n"):]
    assert re.search(r"^  hits +3  \d\d% of \d gets$", table, re.MULTILINE)
    assert re.search(r"^  misses +\d  \d absent, 1 refused$", table, re.MULTILINE), table
    assert re.search(r"^  time saved +4h30m  of computation, by hits$", table, re.MULTILINE)
    [figures] = [space for name, space in json.loads(brine.done("stats", "-j"))["namespaces"].items()
                 if name == brine.env["BRINE_NAMESPACE"]]
    assert figures["saved_us"] == 3 * 90 * 60 * 10**6 and figures["misses_refused"] == 1


# ---- the whole namespace

def test_namespaces_do_not_see_each_other(brine):
    other = brine.env["BRINE_NAMESPACE"][:50] + ".other"
    brine.done("put", "key", "-v", "mine")
    assert status(brine("get", "key", "--namespace", other)) == MISS
    brine.done("put", "key", "-v", "theirs", "-n", other)
    assert brine.done("get", "key") == b"mine"
    brine.done("flush", "-n", other)
    assert brine.done("get", "key") == b"mine"
    assert status(brine("get", "key", "-n", other)) == MISS


def test_a_path_is_not_a_namespace(brine):
    for name in ("/tmp/cache", "./cache"):
        result = brine("get", "key", "-n", name)
        assert status(result) == REFUSED and b"not directories" in result.stderr
    assert status(brine("get", "key", "-n", "a b")) == REFUSED
    assert status(brine("get", "key", "-n", "")) == USAGE


def test_a_script_flushes_and_a_person_is_asked(brine):
    brine.done("put", "key")
    result, shown = brine.on_terminal("flush", typed=b"n\n")
    assert result == OTHER and b"[y/N]" in shown and brine.env["BRINE_NAMESPACE"].encode() in shown
    assert brine.on_terminal("flush", typed=b"\n")[0] == OTHER
    brine.done("meta", "key")
    assert brine.on_terminal("flush", typed=b"y\n")[0] == DONE
    assert status(brine("meta", "key")) == MISS
    brine.done("put", "key")
    result, shown = brine.on_terminal("flush", "--yes")
    assert (result, shown) == (DONE, b"")
    brine.done("put", "key")
    brine.done("flush")
    assert brine.done("keys") == b""


# ---- refusals

def test_a_value_over_the_limit_is_refused_with_both_sizes(brine):
    rig = Rig("max_value=1M")
    try:
        rig.done("put", "fits", input=b"x" * (1 << 20))
        for size in ((1 << 20) + 1, 8 << 20):
            result = rig("put", "key", input=b"x" * size)
            assert status(result) == REFUSED, result
            assert b"takes at most 1,048,576" in result.stderr
            (rig.home / "file").write_bytes(b"x" * size)
            result = rig("put", "key", "file")
            assert status(result) == REFUSED, result
            assert f"the value has {size:,} bytes, and".encode() in result.stderr
        assert status(rig("get", "key")) == MISS
    finally:
        rig.close()


# ---- no daemon

@pytest.mark.parametrize("starter", [["put", "key", "-v", "value"], ["incr", "key", "17"], ["run", "true"]],
                         ids=lambda words: words[0])
def test_put_incr_and_run_start_a_daemon_and_the_others_say_that_none_runs(lonely, starter):
    data = lonely.home / "data"
    lonely.env["BRINE_DATA"] = str(data)
    for arguments in (["get", "key"], ["keys"], ["ping"], ["del", "key"], ["meta", "key"], ["stats"],
                      ["sync"], ["flush"], ["touch", "key", "--ttl", "1s"], ["take", "key"], ["invalidate", "tag"],
                      ["get", "key", "--wait"]):
        result = lonely(*arguments)
        assert status(result) == UNREACHABLE, arguments
        assert b"start" in result.stderr and b"brined" in result.stderr
        assert not (data / "brine.sock").exists()
    assert status(lonely("put", "key", env={"BRINE_AUTOSTART": "0"})) == UNREACHABLE
    lonely.done(*starter)
    try:
        assert lonely.done("keys").startswith(b"('brine run', 'true', " if "run" in starter else b"key\n")
    finally:
        end(peer_pid(data / "brine.sock"))


@pytest.mark.parametrize("arguments, answer", [
    (["get", "key"], b"value"), (["keys"], b"key\n"), (["meta", "key"], b"key  "), (["stats"], b"namespace default\n"), (["take", "key"], b"value"),
    (["invalidate", "tag"], b""), (["get", "key", "--wait"], b"value"),
    (["del", "key"], b""), (["touch", "key", "--ttl", "1h"], b""), (["flush", "--yes"], b"")],
    ids=lambda words: words[0] if isinstance(words, list) else "")
def test_what_was_stored_is_reached_again_after_the_daemon_left(lonely, arguments, answer):
    lonely.env["BRINE_DATA"] = str(lonely.home / "data")
    socket = lonely.home / "data/brine.sock"
    lonely.done("put", "key", "-v", "value", "--ack", "disk")
    end(peer_pid(socket))
    assert status(lonely("ping")) == UNREACHABLE
    assert status(lonely(*arguments, env={"BRINE_AUTOSTART": "0"})) == UNREACHABLE
    try:
        assert lonely.done(*arguments).startswith(answer)
    finally:
        end(peer_pid(socket))


def test_a_named_socket_is_the_only_one_tried(lonely):
    result = lonely("put", "key", "--socket", "/nonexistent/brine.sock", "-v", "x")
    assert status(result) == UNREACHABLE and b"/nonexistent/brine.sock" in result.stderr
    assert not (lonely.home / ".cache").exists()


def test_the_socket_option_goes_before_the_environment(brine):
    brine.done("put", "key", "-v", "x")
    assert brine.done("get", "key", "-s", brine.socket, env={"BRINE_SOCKET": "/nonexistent"}) == b"x"
    assert status(brine("get", "key", env={"BRINE_SOCKET": "/nonexistent"})) == UNREACHABLE


def test_disabled_means_misses_and_no_socket(brine):
    brine.done("put", "key", "-v", "kept")
    disabled = {"BRINE_DISABLE": "1"}
    assert status(brine("get", "key", env=disabled)) == MISS
    brine.done("put", "key", "-v", "lost", env=disabled)
    assert brine.done("keys", env=disabled) == b""
    brine.done("flush", env=disabled)
    assert status(brine("ping", env=disabled)) == UNREACHABLE
    assert brine.done("get", "key") == b"kept"


# ---- usage

@pytest.mark.parametrize("line, part", [
    ("", b"Usage:"),
    ("gte key", b"did you mean get?"),
    ("set key", b"did you mean put?"),
    ("frobnicate", b"no command frobnicate"),
    ("get", b"KEY is missing"),
    ("get a b", b"too many operands, from 'b' on"),
    ("get key --ttl 5s", b"--ttl is not an option of get"),
    ("put key --tll 5s", b"did you mean --ttl?"),
    ("put key --ttl 5", b"5s"),
    ("put key --ttl 0s", b"never"),
    ("put key --if-absent --if-present", b"exclude each other"),
    ("put key file --value x", b"not both"),
    ("put key --codec yaml", b"bytes|text|json|msgpack|pickle"),
    ("get -k python hello", b"Python literal"),
    ("get -k base64 ===", b"base64"),
    ("get key --trust-uid 99999999999", b"uid"),
    ("help frobnicate", b"no command"),
    ("start", b"the first put starts a daemon"),
    ("help stop", b"pkill -u $USER -x brined"),
    ("put key -i -v many", b"--value is no integer of 64 bits: many"),
    ("put key -v x -s ''", b"--socket needs a path"),
    ("put key -v x -n ''", b"'' names no namespace: 1 to 64 letters"),
])
def test_a_wrong_command_line_is_2_and_says_what_to_do(lonely, line, part):
    result = lonely(*shlex.split(line))
    assert status(result) == USAGE and part in result.stderr, result
    assert result.stdout == b""


@pytest.mark.parametrize("arguments", [["put", "key", "-v", "x"], ["get", "key"], ["del", "key"], ["flush"]],
                         ids=lambda words: words[0])
def test_a_namespace_that_cannot_be_is_refused_by_name_and_rule(brine, arguments):
    for name in ("my web", ".web", "x" * 65):
        result = brine(*arguments, "--namespace", name)
        assert status(result) == REFUSED and f"'{name}' names no namespace: 1 to 64 letters".encode() in result.stderr
    result = brine(*arguments, "--namespace", "web/pages")
    assert status(result) == REFUSED and b"names no namespace" not in result.stderr


def test_help_and_version_go_to_standard_output(lonely):
    assert lonely.done("--help") == lonely.done("help")
    assert lonely.done("help", "put") == lonely.done("put", "--help") == lonely.done("-h", "put")
    assert lonely.done("--version").startswith(b"brine 0.")
    for name in ("put", "get", "del", "touch", "meta", "keys", "stats", "flush", "sync", "ping", "incr", "take",
                 "invalidate", "run"):
        assert lonely.done("help", name).startswith(b"Usage: brine " + name.encode())
