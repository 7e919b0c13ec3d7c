"""Text files of a dataset, line by line, and where they are."""

from pathlib import Path
from typing import Any

from actionpipe.errors import UserError
from actionpipe.storage import reading
from actionpipe.storage.csv_dialect import read_table
from actionpipe.storage.faults import Faults


def find_file(source: Path, name: str, faults: Faults) -> Path | None:
    """The file of this name in ``source`` or below it; None, and a fault, when there is none or there are several."""
    if (source / name).is_file():
        return source / name
    found = sorted(source.rglob(name))
    found = found or sorted(path for path in source.rglob("*") if path.name.lower() == name.lower())
    if len(found) == 1:
        return found[0]
    if found:
        faults.add("files", f"{source} holds {', '.join(map(str, found))}; name the folder of the one that is meant")
    else:
        faults.add("files", f"no {name} in {source}; name the folder that the dataset's lists were unpacked to")
    return None


def read_text(path: Path, faults: Faults) -> str:
    """The text of a UTF-8 file, with or without a byte-order mark; empty, and a fault, when it cannot be read."""
    try:
        text, _ = read_table(path, (), "correct the path")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        faults.add("files", f"{path}: no such file; correct the path")
    except UserError as error:
        faults.add("files", str(error))
    return ""


def read_lines(path: Path, faults: Faults) -> list[tuple[str, str]]:
    """(``FILE, line N``, text without blanks around it) of every line that is not blank."""
    # Not splitlines(): it would also cut at separators that are legal in a file's name.
    numbered = enumerate(read_text(path, faults).replace("\r\n", "\n").split("\n"), start=1)
    return [(f"{path}, line {number}", line.strip()) for number, line in numbered if line.strip()]


def read_json(path: Path, kind: type, faults: Faults) -> Any:
    """The JSON value of a file, of the given kind (``list``, ``dict``); an empty one, and a fault, when it is not."""
    text = read_text(path, faults)
    try:
        value = reading.parse_json(text, path, "fetch it again") if text else kind()
    except UserError as error:
        faults.add("files", str(error))
        return kind()
    if not isinstance(value, kind):
        faults.add("files", f"{path} holds a {type(value).__name__}, not a {kind.__name__}; is it the right file?")
        return kind()
    return value


def to_posix(name: str) -> str:
    """A path of a list with forward slashes, and without ``./`` in front."""
    return name.replace("\\", "/").removeprefix("./")
