"""Text of users is only text, wherever it is printed."""

import ast
import io
import sys
from pathlib import Path

import pytest
from rich.table import Table

import actionpipe
from actionpipe.runtime import terminal
from actionpipe.storage.atomic import read_record, shortened, write_json

NAMES = ["[something]", "turn [/left]", "[red]x", ":smile:", "<b>&", "{{7*7}}", "$HOME", "%d", "\\[a]", "\u202f\u200d"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(name):
    file = io.StringIO()
    console = terminal.console(file=file, width=80)
    table = Table(name, title=f"all of {name}")
    table.add_row(f"row {name}")
    console.print(table)
    console.print(f"line {name}", soft_wrap=True)
    for text in ("all of ", "row ", "line "):
        assert text + name in file.getvalue()


@pytest.mark.timeout(20)
def test_a_long_text_is_printed_in_time_that_grows_with_it():
    file = io.StringIO()
    terminal.console(file=file, width=80).print("a" * 1_000_000, soft_wrap=True)  # rich took minutes for a fifth of it
    assert file.getvalue() == "a" * 1_000_000 + "\n"


@pytest.mark.parametrize("name", ["\x1b[2J", "\x1b]0;title\x07", "a\rb", "\x9b2J", "\u202etxt"])
def test_no_name_steers_the_terminal(name):
    file = io.StringIO()
    terminal.console(file=file, width=80).print(f"a {name}")
    assert terminal.plain(name) in file.getvalue()
    assert not set(file.getvalue()) & set("\x1b\x07\r\x9b\u202e")


def test_a_name_that_is_not_utf8_is_printed_with_the_bytes_codes(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.never_fail()
    print("a\udcb0", "\uac00", terminal.line("b\n\udcb0"))
    stream.flush()
    assert stream.buffer.getvalue() == b"a\\udcb0 \\uac00 b\\n\\xb0\n"


def test_json_reads_back_a_name_that_is_not_utf8(tmp_path):
    value = {"video": "a\udcb0/가.mp4"}
    write_json(tmp_path / "a.json", value)
    assert read_record(tmp_path / "a.json") == value


def test_a_file_with_a_long_name_can_be_written(tmp_path):
    write_json(tmp_path / ("\U0001f600" * 60 + ".json"), {})
    assert shortened("a\U0001f600", 4) == "a"


def test_rich_is_asked_for_a_console_in_one_place_and_for_markup_in_none():
    root = Path(actionpipe.__file__).parent
    faults = []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich"):
                names = {alias.name for alias in node.names}
                banned = node.module == "rich.markup" or names & {"print", "RichHandler", "Markdown", "from_markup"}
                if banned:
                    faults.append(f"{path}: {node.module}")
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                keys = {key.arg: ast.unparse(key.value) for key in node.keywords}
                if called == "Console" or called.endswith(".from_markup") or keys.get("markup") == "True":
                    faults.append(f"{path}, line {node.lineno}: {called}")
                if called == "TextColumn" and "task." not in ast.unparse(node) and keys.get("markup") != "False":
                    faults.append(f"{path}, line {node.lineno}: {called}")
    assert faults == []
