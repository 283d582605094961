"""libbrine as others meet it: its symbols, its header, its manual page and the program in it."""

import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import time

import clibrary
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BRINE_BUILD", ROOT / "build"))
HEADER = (ROOT / "client/brine.h").read_text()
PAGE = (ROOT / "man/libbrine.3").read_text()
CC = os.environ.get("CC", "gcc")


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def declared():
    code = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
    return set(re.findall(r"\b(brine_\w+)\(", code))


def defined(*options):
    """The symbols that others can link to."""
    lines = run("nm", "--defined-only", *options).splitlines()
    return {line.split()[-1] for line in lines if line.split()[1:2] and line.split()[-2] in "TDBRVWA"}


def sanitized():
    return re.search(r"__[at]san", run("nm", "-D", BUILD / "libbrine.so")) is not None


def test_the_shared_library_shows_what_the_header_declares_and_nothing_else():
    shown = {name.split("@")[0] for name in defined("-D", BUILD / "libbrine.so")} - {"BRINE_0"}
    assert shown == declared()
    assert "libbrine.so.0" in run("readelf", "-d", BUILD / "libbrine.so")


def test_the_archive_hides_everything_else_too():
    shown = {name for name in defined("-g", BUILD / "libbrine.a")
             if not name.startswith(("__asan", "__odr_asan", "__tsan"))}
    assert shown == declared()


@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_header_stands_alone_in_strict_c_and_in_cpp(language, tmp_path):
    if language == "c++" and not shutil.which("g++"):
        pytest.skip("no g++ here")
    source = tmp_path / "only.txt"
    source.write_text('#include "client/brine.h"\n')
    standard = "c11" if language == "c" else "c++11"
    run(CC, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
        "-fsyntax-only", f"-I{ROOT}", source)


def test_the_header_and_the_build_agree_on_the_version():
    numbers = [re.search(rf"BRINE_VERSION_{part} (\d+)", HEADER).group(1)
               for part in ("MAJOR", "MINOR", "PATCH")]
    version = re.search(r"^VERSION\s*=\s*(\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert ".".join(numbers) == version.group(1)


def test_the_manual_names_only_functions_that_exist():
    assert set(re.findall(r"\.Fn (brine_\w+)", PAGE)) <= declared()


MANUALS = [code.replace("\\e", "\\")
           for code in re.findall(r"\.Bd -literal\n(.*?)\.Ed", PAGE, re.DOTALL)]
READMES = re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL).group(1)


def example(tmp_path, code):
    if sanitized():
        pytest.skip("a plain program cannot be linked to a sanitized library")
    if not (BUILD / "brined").exists():
        pytest.skip("no daemon in this build")
    source, program = tmp_path / "example.c", tmp_path / "example"
    source.write_text(code)
    run(CC, "-Wall", "-Wextra", "-Werror", "-o", program, source, f"-I{ROOT}/client",
        f"-L{BUILD}", "-lbrine", f"-Wl,-rpath,{BUILD}")
    return program


def wait_until_gone(pattern):
    """Ends the daemons whose environment has the pattern, and waits for them."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if pattern.encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), 15)
                deadline = time.monotonic() + 30
                while process.exists() and b"brined" in (process / "cmdline").read_bytes():
                    assert time.monotonic() < deadline, "the daemon does not end"
                    time.sleep(0.01)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


@pytest.mark.parametrize("number", range(len(MANUALS)))
def test_the_manuals_program_compiles_starts_a_daemon_and_finds_its_value_again(number, tmp_path):
    if os.path.exists("/run/brine/brine.sock"):
        pytest.skip("this machine's own daemon would be asked")
    program = example(tmp_path, MANUALS[number])
    data = tmp_path / "data"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BRINE_DATA": str(data)}
    try:
        assert run(program, env=env) == "computed 42\n"
        assert run(program, env=env) == "found 42\n"
        off = dict(env, BRINE_DISABLE="1")
        assert run(program, env=off) == "computed 42\n"
    finally:
        wait_until_gone(f"BRINE_DATA={data}")


def test_the_readmes_program_finds_its_value_where_nothing_ran_before(tmp_path):
    if os.path.exists("/run/brine/brine.sock"):
        pytest.skip("this machine's own daemon would be asked")
    program = example(tmp_path, READMES)
    data = tmp_path / "data"
    try:
        assert run(program, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BRINE_DATA": str(data)}) == "42\n"
    finally:
        wait_until_gone(f"BRINE_DATA={data}")


def test_the_structs_of_the_tests_are_as_large_as_the_headers(tmp_path):
    names = {"meta": clibrary.Meta, "get_options": clibrary.GetOptions, "put_options": clibrary.PutOptions,
             "delete_options": clibrary.DeleteOptions, "touch_options": clibrary.TouchOptions,
             "scan_options": clibrary.ScanOptions, "options": clibrary.Options, "lease_options": clibrary.LeaseOptions,
             "lease": clibrary.Lease, "incr_options": clibrary.IncrOptions, "request": clibrary.Request,
             "reply": clibrary.Reply, "entry": clibrary.Entry}
    lines = "".join(f'printf("{name} %zu\\n", sizeof(struct brine_{name}));' for name in names)
    source = tmp_path / "sizes.c"
    source.write_text(f"#include <brine.h>\n#include <stdio.h>\nint main(void) {{ {lines} return 0; }}\n")
    run(CC, f"-I{ROOT / 'client'}", "-o", tmp_path / "sizes", source)
    told = dict(line.split() for line in run(tmp_path / "sizes").splitlines())
    assert told == {name: str(ctypes.sizeof(kind)) for name, kind in names.items()}
