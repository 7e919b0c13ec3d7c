"""Class names: the order that they are given where nobody wrote it down, and names that look alike but differ."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal

from actionpipe.storage.faults import Faults

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
MOST_LINES = 10
"""So many lines are named of one spelling."""
_WIDTHS = ("<wide>", "<narrow>", "<noBreak>")
_UNSEEN = {"\u034f", "\u115f", "\u1160", "\u3164", "\uffa0"}
"""Letters that are drawn as nothing, beside the format characters (category Cf) and the variation selectors."""


def in_order(names: Iterable[str]) -> list[str]:
    """Each name once: by value when all are numbers (0, 1, 2, 10), else sorted as texts."""
    different = set(names)
    if all(NUMBER.fullmatch(name) for name in different):
        return sorted(different, key=lambda name: (Decimal(name), name))
    return sorted(different)


def is_other_order(found: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether these are the same names in another order: columns would be taken for each other's."""
    return list(found) != list(wanted) and sorted(found) == sorted(wanted)


def alike_in_other_order(found: Sequence[str], wanted: Sequence[str]) -> bool:
    """``is_other_order`` of names that may differ in how they are written."""
    return is_other_order([_folded(name) for name in found], [_folded(name) for name in wanted])


def check_alike(
    lines_of_name: Mapping[str, Sequence[object]],
    where: str,
    faults: Faults,
    *,
    unit: str = "line",
    meant: bool = False,
) -> None:
    """Look for names that would be classes of their own though they are surely, or most likely, the same.

    Names that differ in blanks, in how letters are composed, in their width or in letters that are not seen are a
    fault. Those that differ in case, in how words are joined or in how a number is written may be meant: a warning,
    said among the faults where there are any, and nothing at all for names that the user has listed as classes.

    Args:
        lines_of_name: where each name stands.
        where: the file or table, for messages.
        faults: takes what was found.
        unit: what ``lines_of_name`` counts.
        meant: the names are a list of classes that the user wrote.
    """
    names = list(lines_of_name)
    surely = _groups(names, _plain)
    for alike in surely:
        keep = _keeper(alike, lines_of_name)
        others = [name for name in alike if name != keep]
        standing = "; ".join(f"{shown(name)} {_count(lines_of_name[name], unit)}" for name in alike)
        reasons = ", ".join(dict.fromkeys(reason for name in others for reason in differences(name, keep)))
        faults.add(
            "alike", f"{where}: names that look alike would be classes of their own: {standing}; they differ in "
            f"{reasons}. Write {shown(keep)} for {_and([shown(name) for name in others])}"
        )  # fmt: skip
    if meant:
        return
    plain = {_plain(name): name for name in reversed(names)}
    for alike in _groups(list(plain), _folded):
        spelled = [plain[name] for name in alike]
        keep = _keeper(spelled, lines_of_name)
        standing = "; ".join(f"{shown(name)} {_count(lines_of_name[name], unit)}" for name in spelled)
        reasons = ", ".join(dict.fromkeys(r for name in spelled if name != keep for r in differences(name, keep)))
        text = (
            f"{where}: {standing} are classes of their own; they differ in {reasons} alone. If they are one class, "
            f"write {shown(keep)} for {_and([shown(name) for name in spelled if name != keep])}; if they are meant, "
            "list them under classes: in the competition file"
        )
        # A warning would not be seen before the faults are mended, and then the table be mended twice.
        if surely:
            faults.add("alike", text)
        else:
            faults.warn(text)
    count = Counter(map(_plain, names))
    faults.warnings += [
        f"{where}: the class {shown(name)} has blanks around it or letters that are not seen; they stay a part of its "
        f"name, also in the submission. If that is not meant, write {shown(_plain(name))}"
        for name in names
        if name != _shaped(name) and count[_plain(name)] == 1
    ]


def twin(name: str, classes: Collection[str]) -> str | None:
    """The class that a name is but for how it is written; None when there is none."""
    for key in (_plain, _folded):
        same = [known for known in classes if key(known) == key(name)]
        if same:
            return same[0]
    return None


def hint(name: str, classes: Collection[str]) -> str:
    """Which class a name that is none may mean, as words for a message; empty when nothing is near."""
    same = twin(name, classes)
    if same is not None:
        return f" (did you mean {same!r}? They differ in {', '.join(differences(name, same))})"
    of_folded = {_folded(known): known for known in classes}
    near = difflib.get_close_matches(_folded(name), list(of_folded), 1)
    return f" (did you mean {of_folded[near[0]]!r}?)" if near else ""


def differences(one: str, other: str) -> list[str]:
    """In what two names differ that are the same otherwise."""
    found = []
    for words, change in _CHANGES.items():
        # Joining words takes blanks away too.
        others = [step for step in _CHANGES.values() if step is not change and (change, step) != (_parted, _joined)]
        if _through(others, one) != _through(others, other):
            found.append(words)
    return found or ["more than one way of writing"]


def shown(name: str) -> str:
    """A name in quotes, in which what is not seen, and a blank that is not the common one, is written as its code."""
    letters = [
        f"<U+{ord(letter):04X}>" if _is_unseen(letter) or not (letter.isprintable() or letter == " ") else letter
        for letter in name
    ]
    return f"'{''.join(letters)}'" + (" (letters not composed)" if name != _composed(name) else "")


def _groups(names: Sequence[str], key: Callable[[str], str]) -> list[list[str]]:
    """The names that share their key with another."""
    of_key: dict[str, list[str]] = {}
    for name in names:
        of_key.setdefault(key(name), []).append(name)
    return [alike for alike in of_key.values() if len(alike) > 1]


def _keeper(alike: Sequence[str], lines_of_name: Mapping[str, Sequence[object]]) -> str:
    """The spelling to keep: one without anything odd, of these the most frequent."""
    return max(alike, key=lambda name: (name == _plain(name), len(lines_of_name[name])))


def _count(lines: Sequence[object], unit: str) -> str:
    if not lines:
        return ""
    more = f" and {len(lines) - MOST_LINES} more" if len(lines) > MOST_LINES else ""
    return f"({unit}{'s' * (len(lines) > 1)} {', '.join(map(str, lines[:MOST_LINES]))}{more}, {len(lines)} in all)"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _is_unseen(letter: str) -> bool:
    return unicodedata.category(letter) == "Cf" or letter in _UNSEEN or "\ufe00" <= letter <= "\ufe0f"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _of_one_width(name: str) -> str:
    # Only the width: NFKC would also make x2 of x², and 1 of ①, which may be other classes.
    return "".join(
        unicodedata.normalize("NFKC", letter) if unicodedata.decomposition(letter).startswith(_WIDTHS) else letter
        for letter in name
    )


def _seen(name: str) -> str:
    return "".join(letter for letter in name if not _is_unseen(letter))


def _parted(name: str) -> str:
    return " ".join(name.split())


def _of_one_case(name: str) -> str:
    return name.casefold()


def _joined(name: str) -> str:
    """Words in one piece. A hyphen beside a digit may be a minus or stand between two numbers."""
    return re.sub(r"(?<=[^\W\d_])[\s_-]+(?=[^\W\d_])", "", name)


def _number(name: str) -> str:
    """``007`` and ``7.0`` are 7."""
    return str(Decimal(name).normalize()) if NUMBER.fullmatch(name) else name


_CHANGES: dict[str, Callable[[str], str]] = {
    "letters that are not seen": _seen,
    "how letters are composed (NFC or NFD)": _composed,
    "the width of letters": _of_one_width,
    "blanks": _parted,
    "case": _of_one_case,
    "how words are joined": _joined,
    "how a number is written": _number,
}
_SURE = [_seen, _composed, _of_one_width, _composed, _parted]


def _through(steps: Iterable[Callable[[str], str]], name: str) -> str:
    for step in steps:
        name = step(name)
    return name


def _shaped(name: str) -> str:
    """A name without blanks around it and letters that are not seen."""
    return _seen(name).strip()


def _plain(name: str) -> str:
    """A name without what differs by accident alone."""
    return _through(_SURE, name)


def _folded(name: str) -> str:
    """A name without what may also differ on purpose."""
    return _composed(_through([*_SURE, _of_one_case, _joined, _number], name))
