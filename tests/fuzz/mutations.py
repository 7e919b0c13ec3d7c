"""Makes bad files of good ones: any bytes, and by the structure of a format. One Random draws everything."""

import csv
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import yaml

SURROGATE = "\ud800"
LONG = "a-number-of-5000-digits"
"""Stands in a value for a number that Python itself would not write."""
ODD_BYTES = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b'"',
    b",",
    b"[",
    b"{",
    b"]",
    b"}",
    b":",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: *a",
    b"!!python/object:os.system ",
    b"!!int ",
    b"!!binary ",
    b"\t",
    b"\\",
    b"%",
    b"../",
    b"/",
    b"-1",
    b"1e999",
    b"nan",
    b"NaN",
    b"9" * 5000,
    b" " * 1000,
    b"\xe2\x80\xa8",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"[" * 100_000,
    b"{a: " * 5000,
    b"x" * 200_000,
)
ODD_TEXTS = (
    "",
    " ",
    "\0",
    SURROGATE,
    "\n",
    "nan",
    "-inf",
    "1e999",
    "-1",
    "0",
    "1.5",
    "9" * 5000,
    "²",
    "٣",
    "../../etc/passwd",
    "/dev/zero",
    "a" * 300,
    "a" * 200_000,
    "\u2028",
    "\u200b",
    "é",
    "e\u0301",
    "[bold]",
    "[/]",
    "=cmd()",
    "null",
    "yes",
    "auto",
    "all",
    "true",
    "\ufeff",
    '"',
    ",",
    "a,b",
    "C:\\x",
    "file:///dev/zero",
    "http://localhost:1/x",
    "mmaction::../../x",
    "os.system",
)
ODD_NUMBERS = (
    0,
    1,
    -1,
    2,
    10,
    255,
    1000,
    10**6,
    10**9,
    2**31,
    2**32,
    2**63,
    2**64,
    -(2**63),
    10**18,
    10**400,
    -(10**400),
    0.5,
    -0.0,
    1e-320,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
)
CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"moof", b"traf", b"mvex"}
"""Boxes of MP4 that hold boxes."""

Mutation = Callable[[bytes, Sequence[bytes], Random], bytes]


def mutate(kind: str, content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """A changed copy of ``content``.

    Args:
        kind: of file, a key of ``MUTATIONS``; a third of the changes is by its structure, where it has one.
        content: of a good file.
        others: good files, to splice with.
        draw: decides everything.
    """
    structured = MUTATIONS.get(kind)
    if structured is not None and draw.random() < 0.6:
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            try:
                content = structured(content, others, draw)
            except Exception:  # what was changed before has no structure any more
                break
        if draw.random() < 0.85:
            return content
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        content = change_bytes(content, others, draw)
    return content


def change_bytes(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:  # noqa: PLR0911
    """One change that knows no structure."""
    at = draw.randrange(len(content) + 1)
    end = min(len(content), at + draw.choice((1, 2, 4, 16, 100, 1000)))
    action = draw.randrange(9)
    if action == 0 and content:
        at = min(at, len(content) - 1)
        return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]
    if action == 1:
        return content[:at] + draw.randbytes(end - at) + content[end:]
    if action == 2:
        return content[:at]
    if action == 3:
        return content[:at] + content[end:]
    if action == 4:
        return content[:at] + content[at:end] * draw.choice((2, 3, 50)) + content[end:]
    if action == 5:
        return content[:at] + bytes(end - at) + content[end:]
    if action == 6 and others:
        other = draw.choice(others)
        return content[:at] + other[draw.randrange(len(other) + 1) :]
    if action == 7:
        return content[:at] + draw.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1")) + content[at + 4 :]
    return content[:at] + draw.choice(ODD_BYTES) + content[at:]


def odd_value(draw: Random) -> Any:
    """A value that hardly any field is made for."""
    kind = draw.randrange(7)
    if kind == 0:
        return draw.choice(ODD_TEXTS)
    if kind in {1, 2}:
        return draw.choice(ODD_NUMBERS)
    if kind == 3:
        return draw.choice((None, True, False))
    if kind == 4:
        return draw.choice(([], {}, [[]], [None], {"": None}, [[[1]]], {"a": {"b": []}}, [1, "1", None]))
    if kind == 5:
        deep: Any = 1
        for _ in range(draw.choice((5, 70, 900))):
            deep = [deep] if draw.random() < 0.5 else {"a": deep}
        return deep
    return LONG


def change_value(value: Any, draw: Random) -> Any:
    """The value with one of its parts replaced, removed, doubled or renamed."""
    if draw.random() < 0.05 or not isinstance(value, list | dict) or not value:
        return odd_value(draw)
    key = draw.choice(list(value) if isinstance(value, dict) else range(len(value)))
    copied = dict(value) if isinstance(value, dict) else list(value)
    action = draw.random()
    if action < 0.6:
        copied[key] = change_value(copied[key], draw)
    elif action < 0.75:
        copied[key] = odd_value(draw)
    elif action < 0.85:
        del copied[key]
    elif isinstance(copied, list):
        copied.insert(key, draw.choice((copied[key], odd_value(draw))))
    else:
        copied[draw.choice(ODD_TEXTS)] = copied.pop(key) if draw.random() < 0.5 else odd_value(draw)
    return copied


def change_json(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """JSON, one of its parts changed."""
    value = change_value(json.loads(content), draw)
    text = json.dumps(value, ensure_ascii=draw.random() < 0.5).replace(f'"{LONG}"', "9" * 5000)
    return text.encode("utf-8", "surrogatepass")


def change_json_lines(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """A line of JSON, one of its parts changed."""
    lines = content.split(b"\n")
    at = draw.choice([number for number, line in enumerate(lines) if line.strip()])
    lines[at] = draw.choice((change_json(lines[at], others, draw), lines[at][: draw.randrange(len(lines[at]))]))
    return b"\n".join(lines)


def change_yaml(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """YAML, one of its parts changed, or with what JSON does not have: aliases, tags."""
    if draw.random() < 0.15:
        levels = draw.choice((3, 9, 30))
        bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        bomb += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
        texts = (
            "\n".join(bomb),
            "a: &a [*a]",
            "&a {*a : 1}",
            "members: &m\n- *m",
            "- " * 3000 + "x",
            "[" * 3000,
            "{a: " * 2000,
            "overrides: {a: !!set {b}, c: !!binary Zg==, d: 2001-01-01}",
            "x: !!int ''",
            "x: !!float ''",
            "x: !!timestamp x",
            "x: !!bool ''",
            "x: 2001-99-99",
            "x: 0x" + "f" * 6000,
            "? [a, b]\n: c",
            "x: !!python/name:os.system",
            "%YAML 9.9\n---\na",
            "--- a\n--- b",
            'name: "\\ud800"',
            "x: 1:" + "59:" * 3000 + "1",
        )
        extra = draw.choice(texts).encode()
        return draw.choice((content + b"\n" + extra, extra, extra + b"\n" + content))
    value = change_value(yaml.safe_load(content), draw)
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=draw.choice((True, False, None)))
    return text.replace(LONG, "9" * 5000).encode("utf-8", "surrogatepass")


def change_csv(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """A table with a cell, a row or a column changed."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    row = draw.randrange(len(rows))
    column = draw.randrange(len(rows[row])) if rows[row] else 0
    action = draw.randrange(8)
    if action <= 3 and rows[row]:
        rows[row][column] = draw.choice((draw.choice(ODD_TEXTS), str(draw.choice(ODD_NUMBERS)), str(odd_value(draw))))
    elif action == 4:
        rows.insert(draw.randrange(len(rows)), list(rows[row]))
    elif action == 5:
        del rows[row][column : column + draw.choice((1, 100))]
    elif action == 6:
        for cells in rows:
            cells[column:column] = cells[column : column + 1] * draw.choice((1, 1, 3, 1000))
    else:
        draw.shuffle(rows)
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=draw.choice(("\n", "\r\n", "\r"))).writerows(rows)
    return buffer.getvalue().encode("utf-8", "surrogatepass")


def change_words(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """A list of lines with a word, or a line, changed."""
    lines = content.decode().split("\n")
    at = draw.randrange(len(lines))
    words = lines[at].split(" ")
    place = draw.randrange(len(words))
    words[place] = draw.choice((draw.choice(ODD_TEXTS), str(draw.choice(ODD_NUMBERS)), "", words[place] * 2))
    lines[at] = draw.choice((" ", " ", " ", "  ", "\t", ",")).join(words)
    if draw.random() < 0.2:
        lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def change_pickle(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """A pickle of other values, or with an opcode that makes room for more than there is."""
    if draw.random() < 0.5:
        value = pickle.loads(content)  # our own: made by the target
        return pickle.dumps(change_value(value, draw), protocol=draw.randrange(6))
    greedy = (
        b"r\xff\xff\xff\x7f",
        b"r\xff\xff\xff\xff",
        b"\x8e" + struct.pack("<Q", 2**40),
        b"\x8d" + struct.pack("<Q", 2**60),
        b"\x96" + struct.pack("<Q", 2**34),
        b"\x8b" + struct.pack("<I", 2**31 - 1),
        b"cos\nsystem\n",
        b"\x95" + b"\xff" * 8,
        b"cnumpy\nndarray\n(J\xff\xff\xff\x7ftR",
        b"(I" + b"9" * 5000 + b"\n",
        b"]" * 5000 + b"a" * 4999,
        b"P1\n",
        b"\x82\x01",
        b"cnumpy\ndtype\nX\x02\0\0\0f8\x85R",
        b"h\xff",
        b"p99999999999999999999\n",
    )
    at = draw.randrange(min(len(content), 200))
    return content[:at] + draw.choice(greedy) + content[at:]


def change_zip(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """A zip file with an entry changed, removed, renamed, doubled or compressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        entries = [(info.filename, file.read(info)) for info in file.infolist()]
    at = draw.randrange(len(entries))
    name, data = entries[at]
    action = draw.randrange(6)
    method = zipfile.ZIP_STORED
    if action <= 1:
        kind = "pickle-bytes" if name.endswith(".pkl") else "bytes"
        entries[at] = (name, change_opcodes(data, draw) if kind == "pickle-bytes" else change_bytes(data, others, draw))
    elif action == 2:
        del entries[at]
    elif action == 3:
        entries[at] = (draw.choice(("", "../x", "archive/x", name * 2)) or "x", data)
    elif action == 4:
        method = zipfile.ZIP_DEFLATED
        entries[at] = (name, bytes(draw.choice((10**3, 10**8))))
    else:
        entries.append(entries[at])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return buffer.getvalue()


def change_opcodes(content: bytes, draw: Random) -> bytes:
    """A pickle with one of its numbers made small, large or negative: shapes, strides, sizes of storages."""
    places = [at for at, byte in enumerate(content[:-5]) if byte in b"KMJ"]
    if not places or draw.random() < 0.3:
        return change_bytes(content, [], draw)
    at = draw.choice(places)
    length = {ord("K"): 1, ord("M"): 2, ord("J"): 4}[content[at]]
    number = draw.choice((0, -1, 1, 255, 65535, 2**30, 2**31 - 1, 2**40, 2**60))
    return content[:at] + b"\x8a\x08" + struct.pack("<q", number) + content[at + 1 + length :]


def change_safetensors(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """A safetensors file with its header, or the length of that, changed."""
    length = struct.unpack("<Q", content[:8])[0]
    header, data = content[8 : 8 + length], content[8 + length :]
    if draw.random() < 0.3:
        return struct.pack("<Q", draw.choice((0, 1, length - 1, length + 1, 2**31, 2**60, 2**64 - 1))) + header + data
    header = change_json(header, [], draw)
    return struct.pack("<Q", len(header)) + header + data


def change_boxes(content: bytes, others: Sequence[bytes], draw: Random) -> bytes:
    """An MP4 with the size, the type or a number of a box changed, or a box moved, removed or doubled."""
    boxes = list(_boxes(content, 0, len(content)))
    start, end = draw.choice(boxes)
    action = draw.randrange(6)
    if action == 0:
        sizes = (0, 1, 7, 8, end - start - 1, end - start + 1, 2**31, 2**32 - 1)
        return content[:start] + struct.pack(">I", draw.choice(sizes)) + content[start + 4 :]
    if action == 1:
        kind = content[draw.choice(boxes)[0] + 4 :][:4]
        return content[: start + 4] + kind + content[start + 8 :]
    if action == 2:
        return content[:start] + content[end:]
    if action == 3:
        return content[:end] + content[start:end] + content[end:]
    at = draw.randrange(start + 8, max(start + 9, min(end, start + 120)))
    number = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x00010000, 0xFFFF0000))
    return content[:at] + struct.pack(">I", number) + content[at + 4 :]


def _boxes(content: bytes, start: int, end: int) -> Any:
    while start + 8 <= end:
        size = struct.unpack(">I", content[start : start + 4])[0]
        if size < 8 or start + size > end:
            return
        yield start, start + size
        if content[start + 4 : start + 8] in CONTAINERS:
            yield from _boxes(content, start + 8, start + size)
        start += size


MUTATIONS: dict[str, Mutation] = {
    "json": change_json,
    "jsonl": change_json_lines,
    "yaml": change_yaml,
    "csv": change_csv,
    "words": change_words,
    "pickle": change_pickle,
    "pth": change_zip,
    "zip": change_zip,
    "safetensors": change_safetensors,
    "mp4": change_boxes,
}
"""By the kind of a file; others are changed by their bytes only."""
