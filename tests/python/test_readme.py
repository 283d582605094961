"""What README and the guide show is what happens."""

import doctest
import pathlib
import re

import brine
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
GUIDE = ROOT / "docs/python.md"


@pytest.mark.parametrize("document", [README, GUIDE], ids=lambda document: document.name)
def test_the_python_examples_are_true(daemon, monkeypatch, document):
    monkeypatch.setenv("BRINE_SOCKET", str(daemon.socket))
    blocks = re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    sessions = "".join(block for block in blocks if ">>>" in block)
    test = doctest.DocTestParser().get_doctest(sessions, {"__name__": "example"}, document.name, str(document), 0)
    told = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=told.append)
    assert result.attempted >= 5 and result.failed == 0, "".join(told)


def test_the_asyncio_example_of_the_readme_prints_what_it_stored(daemon, monkeypatch, capsys):
    monkeypatch.setenv("BRINE_SOCKET", str(daemon.socket))
    block = next(block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "asyncio" in block)
    exec(block, {})
    assert capsys.readouterr().out == "{'hello': 'world'} None ['greeting']\n"


def test_the_memoize_example_of_the_readme_computes_once(daemon, monkeypatch):
    monkeypatch.setenv("BRINE_SOCKET", str(daemon.socket))
    block = next(block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "memoize" in block)
    names = {}
    exec(block, names)
    assert isinstance(names["cache"], brine.Cache) and names["similar"].cache_key("GPL-3", "licenses") in names["cache"]
