"""Files of any kind are read or refused by name: bounded before they are parsed, never waited for."""

import json
import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.atomic import digest, read_record
from actionpipe.storage.reading import FileFaultError, explained, read_json, read_text, read_yaml, whole_number

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=10), below, max_size=4),
    max_leaves=20,
)


def file(folder: Path, content: bytes | str, name: str = "given.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path, read=read_text) -> str:
    started = time.monotonic()
    with pytest.raises(FileFaultError) as caught:
        read(path, "do this")
    assert time.monotonic() - started < 20
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 2000 + len(str(path))
    return str(caught.value)


def test_what_is_no_ordinary_file_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path, kind in (
            (tmp_path, "a folder"),
            (tmp_path / "pipe", "a pipe"),
            (Path("/dev/zero"), "a device"),
            (Path("/dev/null"), "a device"),
            (tmp_path / "socket", "a socket"),
        ):
            for read in (read_text, read_json, read_yaml, reading.open_file):
                message = refused(path, read)
                assert kind in message
                assert "do this" in message
            with pytest.raises(UserError):
                digest(path)
            assert read_record(path) is None


def test_names_that_no_file_can_have(tmp_path):
    for name in ("a\0b", "a" * 300, "x/" * 3000):
        refused(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "large.csv"
    with path.open("wb") as sparse:
        sparse.truncate(2**40)
    assert "more than the 1,073,741,824 that are read" in refused(path)
    monkeypatch.setattr(reading, "MOST_YAML_BYTES", 10)
    assert "has 11 bytes, more than the 10" in refused(file(tmp_path, "a: 12345678"), read_yaml)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a,b\n\0", "byte 4 is 0"),
        (b"PK\x03\x04rest", "a zip file"),
        (b"\x1f\x8brest", "a gzip file"),
        ("a,b".encode("utf-16"), "UTF-16"),
        (b"ab\xff", "byte 2 is not UTF-8"),
        (b"\xed\xa0\x80", "byte 0 is not UTF-8"),
        (b"x" * 2**17 + b"\0", "byte 131072 is 0"),
    ],
)
def test_what_is_no_text(tmp_path, content, word):
    assert word in refused(file(tmp_path, content))


def test_text_has_no_byte_order_mark_and_plain_line_ends(tmp_path):
    path = file(tmp_path, b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(path) == "a\nb\nc\n"
    assert read_text(path, as_is=True) == "a\r\nb\rc\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[" * 100_000, "nested"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested more than 64 deep"),
        ("9" * 5000, "not JSON"),
        ('{"seconds": ' + "9" * 301 + "}", "a number of 301 digits"),
        ('{"a": 1', "not JSON"),
        ("", "not JSON"),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"\\uDC80": 1}', "lone surrogate"),
        ("[" + '{"a": 1}, ' * 100 + '{"a"', "not JSON (Expecting"),
        ("[" * 70 + "]" * 69, "nested more than 64 deep"),
    ],
)
def test_json_that_is_refused(tmp_path, text, word):
    assert word in refused(file(tmp_path, text), read_json)


def test_the_largest_whole_number_that_json_may_have_is_still_a_float(tmp_path):
    text = '{"a": ' + "9" * 300 + ', "b": "' + "9" * 400 + '"}'
    assert float(read_json(file(tmp_path, text))["a"]) == pytest.approx(1e300)


def test_letters_beyond_16_bits_are_no_half_letters(tmp_path):
    assert read_json(file(tmp_path, '{"a": "\\ud83d\\ude00"}')) == {"a": "\U0001f600"}
    assert read_json(file(tmp_path, '"\\udc80"'), any_text=True) == "\udc80"


def test_brackets_in_strings_are_not_depth(tmp_path):
    value = {"a": "[" * 1000, 'b"[': ['\\"[[[' * 100], "c": [{}] * 1000}
    assert read_json(file(tmp_path, json.dumps(value))) == value
    deepest = "[" * 64 + "]" * 64
    assert read_json(file(tmp_path, deepest)) == json.loads(deepest)


def test_the_depth_of_a_long_text_is_found_at_once(tmp_path):
    for text in ('"\\"' * 10**6, '\\"' * 10**6 + "[" * 70, "[" * 10**6, "[{}," * 10**5, '{"a": ["]' * 10**5):
        refused(file(tmp_path, text), read_json)


BOMB = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 20))]
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (BOMB, "aliases repeat"),
        ("a: &a [*a]", "an alias stands inside what it repeats"),
        ("- " * 3000 + "x", "nested more than 64 deep"),
        ("[" * 3000, "nested more than 64 deep"),
        ("x: " + "9" * 5000, "a number of 5000 digits"),
        ("x: 0x" + "f" * 6000, "digits"),
        ("x: !!set {a}", "set is no plain value"),
        ("x: !!binary Zg==", "binary is no plain value"),
        ("x: !!python/object:os.system {}", "not a YAML file"),
        ("x: !!int ''", "not a YAML file"),
        ("x: !!bool maybe", "not a YAML file"),
        ('x: "\\ud800"', "lone surrogate"),
        ("a: [1", "not a YAML file"),
        ("--- a\n--- b", "not a YAML file"),
    ],
)
def test_yaml_that_is_refused(tmp_path, text, word):
    assert word in refused(file(tmp_path, text), read_yaml)


def test_yaml_that_repeats_a_little_is_read(tmp_path):
    text = "base: &base {a: 1}\nother: {<<: *base, b: 2}\nlist: [*base, *base]\nday: 2001-01-01\nno: 12\n"
    value = read_yaml(file(tmp_path, text))
    assert value["other"] == {"a": 1, "b": 2}
    assert value["day"] == "2001-01-01"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_any_json_reads_back(tmp_path, value):
    assert read_json(file(tmp_path, json.dumps(value))) == value


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text("[]{}\"\\:,&*!|>-?'#%@ \n0a.~=<", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    path = file(tmp_path, content)
    for read in (read_text, read_json, read_yaml):
        try:
            read(path)
        except FileFaultError as error:
            assert str(path) in str(error)


def test_a_fault_of_ours_is_no_fault_of_a_file():
    with pytest.raises(AssertionError), explained("x", "a table"):
        raise AssertionError
    with pytest.raises(UserError, match=r"^mine$"), explained("x", "a table"):
        raise UserError("mine")
    with pytest.raises(FileFaultError, match=r"x is not a table \(it is nested too deep\); mend it"):  # noqa: SIM117
        with explained("x", "a table", "mend it"):
            raise RecursionError


def test_whole_numbers():
    assert [whole_number(text) for text in ("0", "12", "9" * 18)] == [0, 12, 10**18 - 1]
    assert [whole_number(text) for text in ("", "-1", "²", "٣", "1.0", " 1", "9" * 19)] == [None] * 7


def test_a_file_is_read_once_until_it_is_another(tmp_path: Path) -> None:
    reads = []

    @reading.once
    def read(path: Path) -> list[str]:
        reads.append(path)
        return [read_text(path)]

    path = file(tmp_path, "one")
    assert read(path) is read(path)
    path.write_text("another")
    assert read(path) == ["another"]
    other = file(tmp_path, "of the same size and name"[:7], "other.txt")
    other.replace(path)
    assert read(path) == ["of the "]
    path.unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            read(path)
    assert len(reads) == 5
