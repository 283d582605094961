"""numpy's arrays and pandas' frames as arguments: by content, however they lie in memory."""

import hashlib
import subprocess
import sys
import threading

import pytest
from brine import _brine
from brine._structure import encode_structure
from hypothesis import given, strategies as st

numpy = pytest.importorskip("numpy", reason="numpy is not installed: arrays as arguments are not tested")

BIG = 1 << 20  # bytes: from here on numbers are hashed fast


def distinct(values):
    return len({encode_structure(value) for value in values}) == len(values)


# ---- numpy


def test_arrays_are_their_dtype_shape_and_content():
    array = numpy.arange(6.0).reshape(2, 3)
    assert encode_structure(array) == encode_structure(numpy.asfortranarray(array)) == encode_structure(array[::-1][::-1])
    assert distinct([array, array.T, array.reshape(3, 2), array.astype("f4"), array.astype(">f8"), array.reshape(6), array + 1,
                     numpy.array(5.0), numpy.array([5.0]), numpy.float64(5), numpy.int64(5), 5.0, 5, numpy.array([], "f8"), numpy.array([], "i8"),
                     numpy.array(["2026-01-01"], "M8[D]"), numpy.array(["2026-01-01"], "M8[s]"), numpy.array(["a"]), numpy.array([b"a"]),
                     numpy.zeros((0, 3)), numpy.zeros((3, 0)), numpy.array([True]), numpy.array([1], "u1"), numpy.array([0.0]), numpy.array([-0.0]),
                     numpy.array([1j]), numpy.str_("a"), "a", numpy.bool_(True), True, [1.0], (1.0,)])


@pytest.mark.parametrize("size", [10, BIG // 8 - 1, BIG // 8, BIG // 8 + 1, 3 * BIG // 8])
def test_the_layout_in_memory_makes_no_difference(size):
    rows = numpy.arange(2.0 * size).reshape(2, size)
    spread = numpy.zeros((4, size))
    spread[::2] = rows
    read_only = rows.copy()
    read_only.setflags(write=False)
    for same in (numpy.asfortranarray(rows), spread[::2], rows[:, ::-1][:, ::-1], read_only, rows.astype("f8", order="F")):
        assert encode_structure(same) == encode_structure(rows)
    changed = rows.copy()
    changed[1, size - 1] += 1
    assert encode_structure(changed) != encode_structure(rows) != encode_structure(rows.T)


@pytest.mark.parametrize("nbytes, digest", [(1024, None), (1025, 32), (BIG - 8, 32), (BIG, 16), (BIG + 8, 16)])
def test_a_large_run_is_its_digest(nbytes, digest):
    data = bytes(range(256)) * (nbytes // 256 + 1)
    data = data[:nbytes]
    length = _length(nbytes)
    numbers = _brine.encode_run(data, True)
    assert numbers[:len(length)] == length and len(numbers) == len(length) + (digest or nbytes)
    plain = data if digest is None else hashlib.blake2b(data, digest_size=32).digest()
    assert _brine.encode_run(data) == length + plain and (numbers == length + plain) == (digest != 16)


def _length(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def test_the_fast_digest_is_xxh3_as_its_authors_have_it(tmp_path):
    """By a program of its own against the system's library; the extension has the code inside."""
    data = bytes(range(256)) * (BIG // 256) + b"more"
    (tmp_path / "sum.c").write_text('#include <stdio.h>\n#include <stdlib.h>\n#include <xxhash.h>\nint main(void) { char *bytes = malloc(1 << 21);\n'
                                    "size_t len = fread(bytes, 1, 1 << 21, stdin); XXH128_canonical_t out;\n"
                                    "XXH128_canonicalFromHash(&out, XXH3_128bits(bytes, len)); fwrite(&out, 16, 1, stdout); return 0; }\n")
    subprocess.run(["gcc", "-o", tmp_path / "sum", tmp_path / "sum.c", "-lxxhash"], check=True)
    digest = subprocess.run([tmp_path / "sum"], input=data, capture_output=True, check=True).stdout
    assert _brine.encode_run(data, True).endswith(digest) and len(digest) == 16


def test_other_threads_run_while_a_large_array_is_hashed():
    array = numpy.zeros(200 * BIG // 8)
    done, turns = threading.Event(), []

    def hash_it():
        encode_structure(array)
        done.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody is made to give the GIL back: the hashing does so by itself
    try:
        thread = threading.Thread(target=hash_it)
        thread.start()
        while not done.is_set() and len(turns) < 1:
            turns.append(1)
        assert turns
    finally:
        sys.setswitchinterval(interval)
        thread.join()


def test_structured_arrays_are_their_fields_whatever_lies_between_them():
    aligned = numpy.dtype([("a", "u1"), ("b", "f8"), ("c", "i2", (2,))], align=True)
    one, other = numpy.zeros(3, aligned), numpy.zeros(3, aligned)
    other.view("u1")[:] = 255
    for name in aligned.names:
        other[name] = 0
    assert one.tobytes() != other.tobytes() and encode_structure(one) == encode_structure(other)
    other["b"][1] = 7
    assert encode_structure(one) != encode_structure(other)
    assert distinct([one, one[:2], one[["a", "b"]], numpy.zeros(3, [("x", "u1"), ("b", "f8"), ("c", "i2", (2,))]), one[0]])


def test_arrays_of_objects_are_their_items():
    assert encode_structure(numpy.array([1, "a", None], object)) == encode_structure(numpy.array([1, "a", None], object))
    assert distinct([numpy.array([1, "a"], object), numpy.array([1.0, "a"], object), numpy.array([[1], ["a"]], object), numpy.array([{"a"}, 1], object)])
    with pytest.raises(TypeError, match="type object"):
        encode_structure(numpy.array([object()]))


def test_a_memmap_is_the_array_in_it(tmp_path):
    array = numpy.arange(1000)
    array.tofile(tmp_path / "array")
    assert encode_structure(numpy.memmap(tmp_path / "array", array.dtype, "r")) == encode_structure(array)


@pytest.mark.parametrize("make, way", [(lambda: numpy.ma.array([1], mask=[1]), "__brine_key__"), (lambda: numpy.longdouble(1), "astype"),
                                       (lambda: numpy.zeros(2, "V3"), "astype")])
def test_what_means_more_than_its_bytes_says_what_to_do(make, way):
    with pytest.raises(TypeError, match=way):
        encode_structure(make())


def test_numpys_own_functions_types_and_generators_are_told_apart():
    assert distinct([numpy.add, numpy.subtract, numpy.sum, numpy.float64, numpy.dtype("f8"), numpy.dtype("f4"), numpy.random.default_rng(1), numpy.random.default_rng(2)])
    assert encode_structure(numpy.random.default_rng(1)) == encode_structure(numpy.random.default_rng(1))


@given(st.lists(st.floats(), max_size=5), st.lists(st.floats(), max_size=5))
def test_arrays_are_encoded_alike_exactly_when_their_bytes_are(one, other):
    one, other = numpy.array(one), numpy.array(other)
    assert (encode_structure(one) == encode_structure(other)) == (one.tobytes() == other.tobytes() and one.dtype == other.dtype)


# ---- pandas


@pytest.fixture(scope="module")
def pandas():
    return pytest.importorskip("pandas", reason="pandas is not installed: frames as arguments are not tested")


def frame_of(pandas, **changes):
    columns = {"number": [1, 2, 3], "part": [0.5, None, 2.5], "text": ["a", None, "c"], "when": pandas.to_datetime(["2026-01-01", None, "2026-01-03"]),
               "kind": pandas.Categorical(["x", "y", "x"]), "missing": pandas.array([1, None, 3], "Int64"), "flag": pandas.array([True, None, False], "boolean"),
               "words": pandas.array(["a", None, "b"], "string"), "there": pandas.to_datetime(["2026-01-01"] * 3).tz_localize("Europe/Berlin"),
               "month": pandas.period_range("2026-01", periods=3, freq="M"), "part of": pandas.interval_range(0, 3),
               "long": pandas.to_timedelta(["1d", "2d", None])}
    return pandas.DataFrame({**columns, **changes})


def test_frames_are_their_columns_index_dtypes_and_names(pandas):
    frame = frame_of(pandas)
    described = frame.rename_axis("row")
    values = [frame, frame.iloc[:2], frame.iloc[::-1], frame.iloc[:, ::-1], described, frame.rename_axis("column", axis=1), frame.set_index("number"),
              frame.set_index(["number", "text"]), frame.rename(columns={"text": "Text"}), frame.reset_index(), frame.T, frame["number"], frame["number"].rename("other"),
              frame.index, frame.columns]
    for name, other in [("number", [1, 2, 4]), ("number", [1.0, 2.0, 3.0]), ("number", pandas.array([1, 2, 3], "Int64")), ("part", [0.5, 0.0, 2.5]),
                        ("text", ["a", "", "c"]), ("text", pandas.array(["a", None, "c"], "string")), ("when", pandas.to_datetime(["2026-01-01", None, "2026-01-04"])),
                        ("kind", ["x", "y", "x"]), ("kind", pandas.Categorical(["x", "y", "x"], ordered=True)), ("kind", pandas.Categorical(["x", "y", "x"], ["x", "y", "z"])),
                        ("missing", pandas.array([1, 0, 3], "Int64")), ("missing", pandas.array([1, None, 3], "Int32")), ("flag", pandas.array([True, False, False], "boolean")),
                        ("words", pandas.array(["a", None, "c"], "string")), ("there", pandas.to_datetime(["2026-01-01"] * 3).tz_localize("Europe/Paris")),
                        ("there", pandas.to_datetime(["2026-01-01"] * 3)), ("month", pandas.period_range("2026-02", periods=3, freq="M")),
                        ("part of", pandas.interval_range(0, 3, closed="left")), ("long", pandas.to_timedelta(["1d", "3d", None]))]:
        values.append(frame_of(pandas, **{name: other}))
    assert distinct(values)


def test_how_a_frame_came_about_makes_no_difference(pandas):
    import pickle

    frame = frame_of(pandas)
    twice = pandas.concat([frame, frame], ignore_index=True)
    by_column = pandas.DataFrame(index=frame.index)
    for name in frame:
        by_column[name] = frame[name]  # a block for each
    masked = frame_of(pandas)
    masked["missing"].array._data[1] = 99  # behind the mask
    for same in (frame.copy(), twice.iloc[:3], twice[twice.index < 3], by_column, pickle.loads(pickle.dumps(frame)), masked, frame[list(frame)]):
        assert encode_structure(same) == encode_structure(frame)


def test_a_range_is_the_numbers_that_it_stands_for(pandas):
    assert encode_structure(pandas.RangeIndex(3)) == encode_structure(pandas.Index([0, 1, 2])) != encode_structure(pandas.Index([0.0, 1, 2]))
    one = pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])
    assert encode_structure(one) == encode_structure(pandas.MultiIndex.from_tuples([("b", 2), ("a", 1), ("b", 2)], names=["x", "y"])[1:])
    assert encode_structure(one) != encode_structure(one.rename(["x", "z"]))


def test_frames_with_columns_of_one_name_and_with_none_have_keys(pandas):
    double = pandas.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    assert distinct([double, double.iloc[:, ::-1], pandas.DataFrame(), pandas.DataFrame(index=[1]), pandas.DataFrame(columns=["a"])])


def test_pandas_scalars_arrays_and_sparse_columns_have_keys(pandas):
    times = [pandas.Timestamp("2026-01-01"), pandas.Timestamp("2026-01-01", tz="UTC"), pandas.NaT, pandas.NA, pandas.Timedelta("1d"), pandas.Period("2026-01"),
             pandas.Interval(0, 1), pandas.offsets.Day(1), pandas.offsets.Day(2)]
    arrays = [pandas.Categorical(["a"]), pandas.array([1]), pandas.Series([0.0, 1.5], dtype="Sparse[float]"), pandas.Series([0.0, 1.5]), pandas.date_range("2026", periods=2),
              pandas.date_range("2026", periods=2)._with_freq(None)]
    assert distinct(times + arrays)


def test_a_class_derived_from_a_frame_says_what_to_do(pandas):
    class Measured(pandas.DataFrame):
        pass

    with pytest.raises(TypeError, match="Measured: give its class a __brine_key__"):
        encode_structure(Measured({"a": [1]}))


def test_neither_numpy_nor_pandas_is_imported_for_others(run_python):
    done = run_python("""
import sys, brine
function = brine.Cache().memoize()(lambda x: x)
function.cache_key([1, {"a": (2.5, None)}])
class Own:
    pass
function.cache_key(Own())
print("numpy" in sys.modules, "pandas" in sys.modules)
""", BRINE_DISABLE="1")
    assert done.out == "False False\n"
