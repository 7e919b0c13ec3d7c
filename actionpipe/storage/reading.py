"""Reads files that come from anywhere: bounded before they are parsed, and refused by name where they cannot be.

Every text, JSON and YAML file is read here, and other files are opened here. What a parser may raise on bytes that
it was not made for becomes one ``UserError``, which names the file and says what to do; only the parsing of the named
file stands inside that, so that a fault of our own is never taken for one of the file.
"""

import codecs
import contextlib
import csv
import functools
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from actionpipe.errors import UserError

Value = TypeVar("Value")

MOST_BYTES = 2**30
"""Of a table, list or JSON file: a manifest of a million videos has a quarter of it."""
MOST_YAML_BYTES = 2**23
"""Of a YAML file; ten thousand classes are half a megabyte."""
MOST_DEPTH = 64
"""Levels of brackets in JSON, or of nesting in YAML."""
MOST_NODES = 1_000_000
"""Values of a YAML file, those that an alias repeats counted each time."""
MOST_DIGITS = 18
"""Of a whole number: it fits into 64 bits."""
MOST_DIGITS_OF_A_NUMBER = 300
"""Of any number in JSON: it can still be taken for a float."""
_LONG_NUMBER = re.compile(rf"\d{{{MOST_DIGITS_OF_A_NUMBER + 1}}}")
MOST_COLUMNS = 50_000
"""Of a table; one of scores has a column a class."""
MOST_NAME_BYTES = 255
MOST_PATH_BYTES = 4000
HEAD = 2**16
"""Bytes that are looked at before a whole file is read."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_HALF_LETTER = re.compile(r"\\u[dD][89a-fA-F]")
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
PARSER_FAULTS = (
    csv.Error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, ImportError, OSError,
    RecursionError, MemoryError, SystemError,
)  # fmt: skip
"""What parsers raise on content that they were not made for."""


class FileFaultError(UserError):
    """A file cannot be read; the message names it, says why and what to do."""


@contextlib.contextmanager
def explained(path: Path | str, kind: str, advice: str = "") -> Iterator[None]:
    """Turn what a parser raises inside the block into a ``FileFaultError``: "PATH is not KIND (why); ADVICE".

    For the parsing of one file and nothing else. A file that is not there stays a ``FileNotFoundError``.

    Raises:
        FileFaultError: the file cannot be parsed.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except PARSER_FAULTS as error:
        raise _fault(path, f"is not {kind} ({_reason(error)})", advice) from None


def once(read: Callable[[Path], Value]) -> Callable[[Path], Value]:
    """Let a file be read once a process: until it is another one, the next caller gets the same object again.

    For results that nobody changes; those of the last two files are kept.
    """

    @functools.lru_cache(maxsize=2)
    def read_state(path: Path, _state: tuple[int, ...]) -> Value:
        return read(path)

    @functools.wraps(read)
    def read_once(path: Path) -> Value:
        try:
            now = path.stat()
        except (OSError, ValueError):
            return read(path)  # says what is wrong
        return read_state(path, (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns))

    return read_once


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder; False also for a name that none can have, such as one of 300 letters."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def why_no_path(text: str) -> str | None:
    """Why no file can have this path; None when one can."""
    if "\0" in text:
        return "it holds a zero byte"
    # A name may come with surrogates, as file systems hand them over; others have no bytes at all.
    try:
        content = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "it holds half a letter (a lone surrogate)"
    longest = max(map(len, content.split(b"/")))
    if longest > MOST_NAME_BYTES or len(content) > MOST_PATH_BYTES:
        return f"a name in it has {longest} bytes, at most {MOST_NAME_BYTES} can be (and {MOST_PATH_BYTES} in all)"
    return None


def open_file(path: Path, advice: str = "", most: int | None = None) -> io.BufferedReader:
    """Open an ordinary file for reading bytes; never waits, as opening a pipe would.

    Args:
        path: the file.
        advice: what to do when it cannot be read.
        most: bytes beyond which it is refused; None: any size.

    Raises:
        FileNotFoundError: there is none.
        FileFaultError: it is a folder, pipe, device or socket, is too large, or may not be read.
    """
    try:
        # O_NONBLOCK: a pipe without a writer would wait for one. Ordinary files do not know it.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise _fault(path, f"{_kind_of(path)}cannot be read ({_reason(error)})", advice) from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no ordinary file")
            raise _fault(path, f"is {kind}, not a file", advice)
        if most is not None and status.st_size > most:
            raise _fault(path, f"has {status.st_size:,} bytes, more than the {most:,} that are read", advice)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def check_file(path: Path, advice: str = "", most: int | None = None) -> None:
    """As ``open_file``, for readers that open the file themselves."""
    open_file(path, advice, most).close()


def read_bytes(path: Path, advice: str = "", most: int = MOST_BYTES, *, utf16: bool = False) -> bytes:
    """The bytes of a text file; what is no text of one byte a letter is refused by its first bytes.

    Args:
        path: the file.
        advice: what to do when it cannot be read.
        most: bytes beyond which it is refused.
        utf16: UTF-16 with its mark may pass, as Excel writes it.

    Raises:
        FileNotFoundError: there is none.
        FileFaultError: it cannot be read, is too large, compressed, UTF-16, or holds a zero byte.
    """
    with open_file(path, advice, most) as file:
        try:
            content = file.read(HEAD)
            _refuse_binary(path, content, advice, utf16=utf16)
            # Not more than was checked, though it may grow meanwhile.
            content += file.read(most - len(content))
        except (OSError, MemoryError) as error:
            raise _fault(path, f"cannot be read ({_reason(error)})", advice) from None
    _refuse_binary(path, content, advice, utf16=utf16)
    return content


def read_text(path: Path, advice: str = "", most: int = MOST_BYTES, *, as_is: bool = False) -> str:
    """The text of a UTF-8 file, without a byte-order mark.

    Args:
        path: the file.
        advice: what to do when it cannot be read.
        most: bytes beyond which it is refused.
        as_is: line ends stay as they are, as the cells of a CSV table want it; else each becomes ``\\n``.

    Raises:
        FileNotFoundError: there is none.
        FileFaultError: as ``read_bytes``, or it is not UTF-8.
    """
    try:
        text = read_bytes(path, advice, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFaultError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    return text if as_is or "\r" not in text else text.replace("\r\n", "\n").replace("\r", "\n")


def read_log(path: Path) -> list[str]:
    """The lines of a file that grew while it was written and may be cut or torn anywhere; "\\ufffd" for what is torn.

    Raises:
        FileNotFoundError: there is none.
        FileFaultError: as ``open_file``, at most ``MOST_BYTES`` large.
    """
    with open_file(path, "move it away", MOST_BYTES) as file:
        # Not splitlines(): it would also cut at separators that are legal in a video's name.
        return file.read(MOST_BYTES).decode("utf-8", errors="replace").split("\n")


def read_json(path: Path, advice: str = "", most: int = MOST_BYTES, *, any_text: bool = False) -> Any:
    """The value of a JSON file.

    Args:
        path: the file.
        advice: what to do when it cannot be read.
        most: bytes beyond which it is refused.
        any_text: texts may hold half letters (lone surrogates), as names that are not UTF-8 do; no file can be written
            with them.

    Raises:
        FileNotFoundError: there is none.
        FileFaultError: as ``read_text``, it is not JSON, or it is nested more than ``MOST_DEPTH`` deep.
    """
    return parse_json(read_text(path, advice, most), path, advice, any_text=any_text)


def parse_json(text: str, path: Path | str, advice: str = "", *, any_text: bool = False) -> Any:
    """The value of a JSON text; ``path`` is for the message.

    Raises:
        FileFaultError: it is not JSON, nested more than ``MOST_DEPTH`` deep, or has a number that no float can be.
    """
    if _is_deep(text):
        raise _fault(path, f"is not JSON that is read: it is nested more than {MOST_DEPTH} deep", advice)
    with explained(path, "JSON", advice):
        value = json.loads(text, parse_int=_json_int) if _LONG_NUMBER.search(text) else json.loads(text)
        if not any_text and _HALF_LETTER.search(text):
            try:
                json.dumps(value, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"half a letter (a lone surrogate): {error.object[error.start]!r}") from None
        return value


def _json_int(text: str) -> int:
    if len(text) > MOST_DIGITS_OF_A_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def read_yaml(path: Path, advice: str = "") -> Any:
    """The value of a YAML file: texts, numbers, lists and dicts.

    Raises:
        FileNotFoundError: there is none.
        FileFaultError: as ``read_text``; or it is not YAML, is nested more than ``MOST_DEPTH`` deep, or has more than
            ``MOST_NODES`` values with all that its aliases repeat.
    """
    return parse_yaml(read_text(path, advice, MOST_YAML_BYTES), path, advice)


def parse_yaml(text: str, path: Path | str, advice: str = "", kind: "type[Loader] | None" = None) -> Any:
    """The value of a YAML text, by another loader than ``Loader`` when one is given; raises as ``read_yaml``."""
    with explained(path, "a YAML file", advice):
        try:
            loader = (kind or Loader)(text)
            try:
                return loader.get_single_data()
            finally:
                loader.dispose()
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from None


def whole_number(text: str) -> int | None:
    """A whole number from 0 of at most ``MOST_DIGITS`` digits, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None


class Loader(yaml.SafeLoader):
    """PyYAML's loader of plain data, with a bound on depth, on repetition and on numbers."""

    depth = 0

    def get_single_node(self) -> Any:
        """The tree of nodes, once it is known not to repeat itself without end."""
        root = super().get_single_node()
        _refuse_repetition(root)
        return root

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node and all below it."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: Any) -> Any:
        """The text of a node."""
        value = super().construct_scalar(node)
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"line {node.start_mark.line + 1}: half a letter (a lone surrogate) in {value!r}")
        return value

    def refuse(self, node: Any) -> NoReturn:
        """A node of a kind that is no plain data."""
        raise ValueError(f"line {node.start_mark.line + 1}: {node.tag.rpartition(':')[2]} is no plain value")

    def construct_yaml_int(self, node: Any) -> int:
        """A whole number."""
        text = self.construct_scalar(node)
        if len(text) > 2 * MOST_DIGITS:
            raise ValueError(f"line {node.start_mark.line + 1}: a number of {len(text)} digits")
        return int(super().construct_yaml_int(node))


Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
# What JSON cannot write is not plain data. A date stays the text that it is.
for _kind in ("binary", "timestamp", "omap", "pairs", "set"):
    Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", Loader.refuse)
Loader.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _refuse_repetition(root: Any) -> None:
    """Count the values below a node; an alias makes one node stand in several places, or inside itself."""
    size_of: dict[int, int] = {}
    inside: set[int] = set()

    def size(node: Any) -> int:
        if id(node) in inside:
            raise ValueError(f"line {node.start_mark.line + 1}: an alias stands inside what it repeats")
        if id(node) not in size_of:
            inside.add(id(node))
            below: list[Any] = []
            if isinstance(node, yaml.SequenceNode):
                below = node.value
            elif isinstance(node, yaml.MappingNode):
                below = [part for pair in node.value for part in pair]
            size_of[id(node)] = 1 + sum(map(size, below))
            inside.discard(id(node))
            if size_of[id(node)] > MOST_NODES:
                raise ValueError(f"with what its aliases repeat it has more than {MOST_NODES:,} values")
        return size_of[id(node)]

    if root is not None:
        size(root)


def _is_deep(text: str) -> bool:
    """Whether brackets outside of strings stand more than ``MOST_DEPTH`` deep."""
    if text.count("[") + text.count("{") <= MOST_DEPTH:
        return False
    # Without escaped marks, every other piece between quotation marks is a string.
    plain = text.encode("utf-8", "surrogatepass").replace(rb"\\", b"").replace(rb"\"", b"")
    brackets = b"".join(plain.split(b'"')[::2]).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(MOST_DEPTH):
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):
            # These have no other half; json itself says where that is missing, unless there are too many for it.
            return brackets.count(b"[") > MOST_DEPTH
        brackets = inner
    return b"[]" in brackets


def _refuse_binary(path: Path, content: bytes, advice: str, *, utf16: bool) -> None:
    for start, kind in ((b"PK\x03\x04", "a zip file (or a spreadsheet)"), (b"\x1f\x8b", "a gzip file")):
        if content.startswith(start):
            raise _fault(path, f"is {kind}; unpack it and name the file itself", "")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        if utf16:
            return
        raise _fault(path, "is UTF-16; save it as UTF-8 ('CSV UTF-8' for a table)", "")
    if b"\0" in content:
        raise _fault(path, f"is no text (byte {content.index(0)} is 0; UTF-16 without its mark?)", advice)


def _kind_of(path: Path) -> str:
    try:
        kind = _KINDS.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return ""
    return f"is {kind} and " if kind else ""


def _reason(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, MemoryError):
        return "it does not fit into memory"
    text = str(getattr(error, "strerror", None) or error).strip()
    return " ".join(text.split())[:500] if text else type(error).__name__


def _fault(path: Path | str, what: str, advice: str) -> FileFaultError:
    return FileFaultError(f"{path} {what}{f'; {advice}' if advice else ''}")
