"""What README shows is what happens."""

import doctest
import pathlib
import re

import brine

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def test_the_python_examples_of_the_readme_are_true(daemon, monkeypatch):
    monkeypatch.setenv("BRINE_SOCKET", str(daemon.socket))
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    sessions = "".join(block for block in blocks if ">>>" in block)
    test = doctest.DocTestParser().get_doctest(sessions, {}, "README.md", str(README), 0)
    told = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert result.attempted >= 5 and result.failed == 0, "".join(told)


def test_the_memoize_example_of_the_readme_computes_once(daemon, monkeypatch):
    monkeypatch.setenv("BRINE_SOCKET", str(daemon.socket))
    block = next(block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "memoize" in block)
    names = {}
    exec(block, names)
    assert isinstance(names["cache"], brine.Cache) and names["similar"].cache_key("GPL-3", "licenses") in names["cache"]
