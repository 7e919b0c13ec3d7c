"""What the ending of a file decides, whatever its case: files from Windows and cameras are called ``LABELS.CSV``."""

from pathlib import Path


def ending(path: Path) -> str:
    """The last ending in small letters, with its dot: ``.csv`` of ``LABELS.CSV``; empty when there is none."""
    return path.suffix.lower()


def files_with(folder: Path, *endings: str) -> list[Path]:
    """The files of a folder, not of those below it, with one of these endings (small letters), sorted."""
    return sorted(path for path in folder.glob("*") if ending(path) in endings and path.is_file())


def in_other_case(path: Path) -> Path | None:
    """The one file beside ``path`` that has its name but for the case; None when there is none, or several."""
    try:
        found = [other for other in path.parent.iterdir() if other.name.lower() == path.name.lower() and other != path]
    except OSError:
        return None
    return found[0] if len(found) == 1 else None
