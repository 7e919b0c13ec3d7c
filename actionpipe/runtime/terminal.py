"""Text on the terminal as it was written: names are the user's, never markup, control sequences or a crash."""

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

MOST_HIGHLIGHTED = 10_000
"""Letters of a text in which rich looks for numbers and the like: the time that takes grows with their square."""
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (which could move the cursor or hide lines), turned writing, and bytes that are not UTF-8."""


def plain(text: object) -> str:
    """``text`` as it may be printed: what is not to be shown as it is becomes a code such as ``\\x1b``.

    Line ends and tabs stay; a byte of a file name that is not UTF-8 becomes ``\\xb0``.
    """
    return _UNSHOWN.sub(_code, str(text))


def line(text: object) -> str:
    """As ``plain``, and on one line."""
    return plain(text).replace("\n", "\\n").replace("\t", "\\t")


def _code(found: re.Match[str]) -> str:
    point = ord(found[0])
    if 0xDC80 <= point <= 0xDCFF:  # how Python holds a byte of a name that is not UTF-8
        point -= 0xDC00
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"


def console(**options: Any) -> "Console":
    """A console of rich on which text is only text: neither ``[red]`` nor ``:smile:`` means anything.

    Args:
        **options: see ``rich.console.Console``.
    """
    from rich.console import Console
    from rich.text import Text

    class Plain(Console):
        def render_str(self, text: str, **how: Any) -> Text:  # all text of prints and tables comes through here
            if len(text) > MOST_HIGHLIGHTED:
                how["highlight"] = False
            return super().render_str(plain(text), **how)

    return Plain(markup=False, emoji=False, **options)


def never_fail() -> None:
    """Let standard output and error write letters that the locale's encoding lacks as codes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
