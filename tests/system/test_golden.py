"""The examples of PROTOCOL.md against a decoder that was written from PROTOCOL.md alone, and the page
against the lists that the code is built from."""

import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))

import wire  # noqa: E402

FOLDER = ROOT / "tests/golden"
PAGE = (ROOT / "proto/PROTOCOL.md").read_text()
EXAMPLES = sorted(path for path in FOLDER.glob("*.txt") if path.name != "keys.txt")


def read_run(text):
    """"printable", "text"*N, hexadecimal digits or N*hh, several of them in a row."""
    data = b""
    for quoted, times, before, digits in re.findall(r'"([^"]*)"(?:\*(\d+))?|(?:(\d+)\*)?([0-9a-f]+)', text):
        if digits:
            data += bytes.fromhex(digits) * int(before or 1)
        else:
            data += quoted.encode() * int(times or 1)
    return data


class Example:
    def __init__(self, side, id_, kind):
        self.side, self.id, self.kind = side, int(id_), int(kind)
        self.fields, self.segments, self.entries, self.bytes = {}, [], [], b""
        self.items = []  # of a batch: [kind, fields, value]
        self.tags = []  # of each field TAGS: (its bytes, the tags)

    @property
    def last_fields(self):
        return self.items[-1][1] if self.items else self.fields


def read_examples(path):
    examples = []
    for line in path.read_text().splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] in ("client", "daemon"):
            examples.append(Example(words[0], *re.findall(r"=(\d+)", line)))
        elif words[0] == "field":
            number, name, type_, value = re.match(r" *field (\d+) (\S+) (\w+) (.*)", line).groups()
            if name != "?":
                assert wire.FIELDS[name] == (int(number), type_)
            value = {"number": int, "text": lambda v: v.strip('"'), "bytes": read_run}[type_](value)
            examples[-1].last_fields[int(number)] = value
            if name == "TAGS":
                examples[-1].tags.append((value, []))
        elif words[0] == "tag":
            examples[-1].tags[-1][1].append(read_run(line.split("tag", 1)[1]))
        elif words[0] == "item":
            examples[-1].items.append([int(words[1].split("=")[1]), {}, b""])
        elif words[0] == "value":
            examples[-1].items[-1][2] = read_run(line.split("value", 1)[1])
        elif words[0] == "body":
            mark = wire.MARKS[words[1]]
            value = line.split(words[1], 1)[1]
            examples[-1].segments.append((mark, int(value) if mark == wire.ABORT else read_run(value)))
        elif words[0] == "entry":
            entry = dict(word.split("=", 1) for word in words[1:])
            ttl = entry.pop("ttl")
            key = read_run(entry.pop("key"))
            examples[-1].entries.append({
                "key": key, "ttl_left": None if ttl == "never" else int(ttl),
                **{name: int(value) for name, value in entry.items()}})
        else:
            assert words[0] == "=", line
            examples[-1].bytes += bytes.fromhex("".join(words[1:]))
    return examples


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_means_what_it_says(path):
    for example in read_examples(path):
        frame, = wire.read_all(example.bytes)
        assert (frame.version, frame.flags) == (1, 0)
        assert (frame.id, frame.kind) == (example.id, example.kind)
        assert frame.fields == example.fields
        assert frame.segments == (example.segments or [(wire.NONE, b"")])
        if example.entries:
            assert list(wire.read_entries(frame.body)) == example.entries
        for field, tags in example.tags:
            assert (wire.read_tags(field), field) == (tags, wire.encode_tags(tags))
        if example.items:
            assert [list(item) for item in wire.read_batch(frame.body)] == example.items
            assert b"".join(wire.encode_batch_item(*item) for item in example.items) == frame.body
        again = wire.Frame(example.kind, example.id, example.fields, segments=frame.segments)
        assert again.encode() == example.bytes


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_daemon_answers_what_the_client_asked(path):
    asked = set()
    for example in read_examples(path):
        if example.side == "client":
            assert 1 <= example.kind < 128
            asked.add(example.id)
        elif example.kind == wire.GOAWAY:
            assert example.id == 0
        else:
            assert example.kind in (wire.REPLY, wire.ERROR)
            asked.remove(example.id)
    assert not asked


def python_value(type_, text):
    if type_ in ("text", "bytes"):
        data = read_run(text)
        return data.decode() if type_ == "text" else data
    if type_ == "tuple":
        text = re.sub(r'("[^"]*"(?:\*\d+)?|-?\d+|true|none|\))(?=[ )])', r"\1,", text.strip() + " ")
        text = text.replace("true", "True").replace("none", "None").replace("(,", "(")
        return eval(text.strip().rstrip(","), {"__builtins__": {}})
    return {"int": int, "float": float, "bool": lambda t: t == "true", "none": lambda t: None}[type_](text)


def test_keys_are_encoded_as_the_examples_say():
    lines = [line for line in (FOLDER / "keys.txt").read_text().splitlines() if line[0] != "#"]
    assert len(lines) >= 30
    for line in lines:
        described, encoded = line.split(" = ")
        _, type_, *text = described.split(" ", 2)
        assert wire.encode_key(python_value(type_, " ".join(text))) == read_run(encoded), line


def test_a_text_and_a_number_and_a_bool_are_different_keys():
    keys = [wire.encode_key(value) for value in ("1", 1, 1.0, True, b"1", ("1",), None, (1,), 0, False, 0.0)]
    assert len(set(keys)) == len(keys)


def test_the_page_shows_every_example_byte_for_byte():
    shown = set(re.findall(r"^```\n(.*?)^```$", PAGE, re.M | re.S))
    for path in FOLDER.glob("*.txt"):
        assert path.read_text() in shown, path.name
    files = {path.read_text() for path in FOLDER.glob("*.txt")}
    strangers = {block for block in shown - files if not block.startswith("# A line that starts")}
    assert not strangers


def page_rows(heading):
    table = PAGE.split(heading, 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[1:]]


def definitions(name, letter):
    text = (ROOT / "proto" / name).read_text()
    text = text[text.index("*/"):]
    return [re.split(r",\s*", inner, maxsplit=4) for inner in re.findall(rf"^{letter}\((.*?)\)$", text, re.M | re.S)]


def test_the_page_has_every_field_and_no_other():
    rows = page_rows("| number | name | type | meaning |\n")
    listed = [[number, name, type_.upper(), f'"{text}"'] for number, name, type_, text in
              ((row[0], row[1], row[2], row[3]) for row in rows)]
    known = [[number, name, type_, text] for name, _, number, type_, text in definitions("fields.def", "F")]
    assert [row[:3] for row in listed] == [row[:3] for row in known]
    assert [row[3] for row in listed] == [row[3] for row in known]
    assert {name: (int(number), type_.lower()) for number, name, type_, _ in known} == wire.FIELDS


def test_the_page_has_every_error_and_no_other():
    listed = [(row[1], int(row[0]), row[2].upper()) for row in
              page_rows("| number | name | class | meaning | DETAIL |\n")]
    known = [(row[0], int(row[1]), row[2]) for row in definitions("errors.def", "E") if int(row[1]) < 128]
    assert listed == known
    assert {name: number for name, number, _ in known} == wire.ERRORS


def test_the_page_has_every_command_and_no_other():
    listed = [(row[1], int(row[0]), row[2].upper(), row[3].upper().replace("–", "NONE")) for row in
              page_rows("| number | name | scope | right | what it does | again |\n")]
    known = [(row[0], int(row[1]), row[2], row[3]) for row in definitions("commands.def", "C")]
    assert listed == known
    assert {name: number for name, number, *_ in known} == wire.COMMANDS
    for name, number, *_ in known:
        assert f"### {name} ({number})\n" in PAGE


@pytest.mark.parametrize("data", [
    bytes.fromhex("00030000 00000000 00000000 00000000"),  # version 0
    bytes.fromhex("01000000 00000000 00000000 00000000"),  # kind 0
    bytes.fromhex("01030000 00000000 01000100 00000000"),  # header too long
    bytes.fromhex("01030000 00000000 00000000 01000000"),  # no body, with a length
    bytes.fromhex("01030000 00000000 00000000 01001080"),  # segment too long
    bytes.fromhex("01030000 00000000 00000000 000000c0"),  # abort without an error
    bytes.fromhex("01030000 00000000 00000000 00010000 00000000"),
    bytes.fromhex("01030000 00000000 00000000 00000040 00000000"),  # later segment without a mark
])
def test_what_ends_a_connection_is_told_from_the_bytes(data):
    with pytest.raises(wire.ProtocolError):
        wire.read_all(data)


@pytest.mark.parametrize("field", ["", "00", "0161 00", "0261", "0161" * 17])
def test_malformed_tags_are_told_from_the_bytes(field):
    with pytest.raises(wire.Malformed):
        wire.read_tags(bytes.fromhex(field))


@pytest.mark.parametrize("body", [
    "03", "0300000000000000 03", "0301000000000000", "0400050000000000 80", "0400010001000000 80",
    "0300010000000000 c0",
])
def test_a_malformed_batch_is_told_from_the_bytes(body):
    with pytest.raises(wire.Malformed):
        list(wire.read_batch(bytes.fromhex(body)))


@pytest.mark.parametrize("header", [
    "c0", "90", "05", "8103", "810305 00", "82 0305 0305", "81 03ff", "81 03c3", "81 01c40161",
    "81 cc82 dd00000000", "81 cc82 91919190", "81 a13305", "81 03d0ff", "df00000000", "81 0205",
])
def test_a_malformed_header_is_told_from_the_bytes(header):
    with pytest.raises(wire.Malformed):
        wire.decode_header(bytes.fromhex(header))
