"""Gathers everything that is wrong with the input, so that it is told at once."""

from collections.abc import Sequence

from actionpipe.errors import TableError

MOST_OF_A_KIND = 50
"""So many faults of one kind are spelled out; what is wrong on every line of a long table need not be read on each."""


class Faults:
    """Faults by kind, and warnings, in the order found."""

    def __init__(self) -> None:
        self._of_kind: dict[str, list[str]] = {}
        self.warnings: list[str] = []

    def add(self, kind: str, text: str) -> None:
        """Note a fault; ``kind`` only groups the ones that are alike."""
        self._of_kind.setdefault(kind, []).append(text)

    def warn(self, text: str) -> None:
        """Note what the user should know and need not mend."""
        self.warnings.append(text)

    def __bool__(self) -> bool:
        return bool(self._of_kind)

    @property
    def lines(self) -> list[str]:
        """The faults, one a line, those of a kind together."""
        lines = []
        for texts in self._of_kind.values():
            lines += texts[:MOST_OF_A_KIND]
            if len(texts) > MOST_OF_A_KIND:
                lines.append(f"and {len(texts) - MOST_OF_A_KIND} more faults like the one above")
        return lines

    def stop(self) -> None:
        """Raise a ``TableError`` when there are faults."""
        if self:
            raise TableError(self.lines)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first ``most`` names in quotation marks, and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
