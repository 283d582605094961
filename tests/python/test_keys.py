"""Keys: encoded as PROTOCOL.md says, each type its own, and readable back."""

import math
import pathlib
import pickle
import re
import sys

import brine
import pytest
from brine import _brine
from brine._keys import decode_key
from hypothesis import given, strategies as st

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))

import wire  # noqa: E402

plain = st.one_of(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=50), st.binary(max_size=50),
                  st.integers(-2**80, 2**80), st.floats(), st.booleans(), st.none())
items = st.one_of(plain, st.just(""))
keys = st.one_of(plain, st.recursive(st.tuples(items), lambda inner: st.lists(
    st.one_of(items, inner), max_size=5).map(tuple), max_leaves=20))


def same(one, other):
    """Equal with equal types all the way down; every NaN is one key."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return math.isnan(one) and math.isnan(other) or math.copysign(1, one) == math.copysign(1, other) and one == other
    return one == other


@given(keys)
def test_a_key_is_encoded_as_the_protocol_says(key):
    assert _brine.encode_key(key) == wire.encode_key(key)


@given(keys)
def test_a_key_comes_back_as_what_it_was(key):
    encoded = _brine.encode_key(key)
    if len(encoded) < 1024:
        assert same(decode_key(encoded), key)


@given(keys, keys)
def test_different_keys_have_different_encodings(one, other):
    assert (_brine.encode_key(one) == _brine.encode_key(other)) == same(one, other)


@given(st.binary(min_size=1, max_size=1024))
def test_whatever_a_scan_finds_is_a_key_that_finds_it_again(encoded):
    if _valid(encoded):
        assert _brine.encode_key(decode_key(encoded)) == encoded


def _valid(encoded):
    try:
        _brine.EncodedKey(encoded)
    except ValueError:
        return False
    return True


def run_of(text):
    data = b""
    for quoted, times, before, digits in re.findall(r'"([^"]*)"(?:\*(\d+))?|(?:(\d+)\*)?([0-9a-f]+)', text):
        data += bytes.fromhex(digits) * int(before or 1) if digits else quoted.encode() * int(times or 1)
    return data


def example(kind, text):
    if kind == "text":
        return run_of(text).decode()
    if kind == "bytes":
        return run_of(text)
    if kind == "tuple":
        text = re.sub(r'("[^"]*"(?:\*\d+)?|\d+|\)(?=.)|true|none)', r"\1,", text).replace("),", "),")
        return eval(text, {"true": True, "none": None})
    return {"int": int, "float": float, "bool": {"true": True, "false": False}.get, "none": lambda _: None}[kind](text)


@pytest.mark.parametrize("line", [line for line in (GOLDEN / "keys.txt").read_text().splitlines()
                                  if line.startswith("key ")])
def test_the_examples_of_the_protocol_hold(line):
    kind, text, encoded = re.match(r"key (\w+) ?(.*) = (.*)", line).groups()
    assert _brine.encode_key(example(kind, text)) == run_of(encoded)


def test_a_derived_class_is_the_key_of_its_base():
    class Name(str):
        pass

    class Number(int):
        def bit_length(self):
            raise AssertionError("only int's own methods are asked")

    assert _brine.encode_key(Name("x")) == _brine.encode_key("x")
    assert _brine.encode_key(Number(2**70)) == _brine.encode_key(2**70)
    assert _brine.encode_key((Name("x"),)) == _brine.encode_key(("x",))


@pytest.mark.parametrize("key", [[], {}, object(), ("a", [1]), 1j, bytearray(b"x")])
def test_what_is_no_key_says_what_to_do(key):
    with pytest.raises(TypeError, match="tuple of these.*make one of the parts"):
        _brine.encode_key(key)


@pytest.mark.parametrize("key, way", [("", "empty"), ("\ud800", "os.fsencode")])
def test_a_text_without_an_encoding_says_why(key, way):
    with pytest.raises(ValueError, match=way):
        _brine.encode_key(key)


def test_a_tuple_that_is_nested_too_deeply_raises_recursion_error():
    key = ()
    for _ in range(499):
        key = (key,)
    assert _brine.encode_key(key)
    for _ in range(100_000):
        key = (key,)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)  # as programs do: the stack has its own
    try:
        with pytest.raises(RecursionError, match="500 deep"):
            _brine.encode_key(key)
    finally:
        sys.setrecursionlimit(limit)


def test_an_encoded_key_is_a_value_of_its_own():
    key = brine.EncodedKey(b"\xfb\x01rest")
    assert key == brine.EncodedKey(b"\xfb\x01rest") != brine.EncodedKey(b"\xfb\x01other")
    assert hash(key) == hash(brine.EncodedKey(b"\xfb\x01rest"))
    assert pickle.loads(pickle.dumps(key)) == key and key != b"\xfb\x01rest"
    assert _brine.encode_key(key) == key.encoded == b"\xfb\x01rest"
    with pytest.raises(ValueError):
        brine.EncodedKey(b"")
    with pytest.raises(ValueError):
        brine.EncodedKey(b"a" * 1025)


@pytest.mark.parametrize("encoded", [b"\xfb", b"\xfb\x01", b"\xfb\x01\xff", b"\xfb\x02x", b"\xfb\x01\x05ab", b"\xff"])
def test_any_encoded_key_can_be_shown(encoded):
    assert repr(brine.EncodedKey(encoded))
