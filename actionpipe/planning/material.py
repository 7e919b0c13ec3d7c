"""What is known of the clips that a competition file is to be proposed for."""

import statistics
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from actionpipe.competition.class_names import check_alike, in_order
from actionpipe.data.summary import quartiles
from actionpipe.data.user_tables import Row
from actionpipe.data.video_index import VideoIndex
from actionpipe.errors import UserError
from actionpipe.planning.guessed_columns import Tables, read_tables
from actionpipe.storage.faults import Faults
from actionpipe.storage.manifest import Entry, Manifest
from actionpipe.storage.workspace import Part, Workspace


@dataclass(frozen=True)
class Material:
    """The training clips, and what could not be known of them."""

    tables: Tables
    rows: list[Row]
    """Rows of ``train.csv`` whose video is readable, or not known to be unreadable."""
    found: list[Entry | None]
    """What the manifest has of each of these rows."""
    notes: list[str]
    """What could not be known, and what does not look right."""

    @cached_property
    def labels(self) -> list[str]:
        """The label of each row."""
        return [row.cells[self.tables.label] for row in self.rows]

    @cached_property
    def classes(self) -> list[str]:
        """All labels of ``train.csv``, in the order of numbers when all are numbers, else sorted."""
        return in_order(row.cells[self.tables.label] for row in self.tables.train)

    @cached_property
    def clips_of_class(self) -> dict[str, int]:
        """Clips by class, in the order of the classes."""
        count = Counter(self.labels)
        return {name: count[name] for name in self.classes}

    @cached_property
    def entries(self) -> list[Entry]:
        """What the manifest has of these rows, without those that it does not know."""
        return [entry for entry in self.found if entry is not None]

    @cached_property
    def frame_quartiles(self) -> list[int]:
        """Least, quartiles and most of the clips' lengths, in frames; zeros when not known."""
        return quartiles([entry.frames for entry in self.entries])

    @cached_property
    def seconds(self) -> float:
        """The median length in seconds; 0 when not known."""
        return statistics.median([entry.duration for entry in self.entries] or [0.0])

    @cached_property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height in pixels of the stored frames, the most frequent first; empty when not known."""
        return [size for size, _ in Counter((entry.width, entry.height) for entry in self.entries).most_common()]


def read_material(workspace: Workspace) -> Material:
    """Read the tables and, as far as they are there, the manifests.

    Raises:
        UserError: a table or a manifest is wrong, or there are fewer than two classes.
    """
    notes: list[str] = []
    manifest = _manifest(workspace, "train", notes)
    tables = read_tables(workspace, manifest)
    rows, found = _match(workspace, tables, manifest, notes)
    if tables.submission is None:
        notes.append(
            f"there is no {workspace.sample_submission.name} yet: whether it has the columns '{tables.video}' and "
            f"'{tables.label}' is not known, and preprocess.py needs it"
        )
    _manifest(workspace, "test", notes)
    material = Material(tables, rows, found, notes)
    if len(material.classes) < 2:
        raise UserError(
            f"{workspace.train_table}: column '{tables.label}' holds nothing but '{material.classes[0]}'; two classes "
            "are needed. If another column holds the labels, name it 'class', in sample_submission.csv too"
        )
    _check_alike(workspace, material)
    return material


def _manifest(workspace: Workspace, part: Part, notes: list[str]) -> Manifest | None:
    path = workspace.manifest(part)
    if path.exists():
        return Manifest.read(path)
    command = f"python extract.py --dir VIDEOS --output-root {path.parent.name}"
    lost = "how long, how large and how readable the clips are" if part == "train" else "whether they can be read"
    notes.append(f"the {part} videos are not extracted yet ({command}, under DATA), so it is not known {lost}")
    return None


def _match(
    workspace: Workspace, tables: Tables, manifest: Manifest | None, notes: list[str]
) -> tuple[list[Row], list[Entry | None]]:
    """The rows whose video is not known to be unreadable, and the entry of each."""
    if manifest is None:
        return tables.train, [None] * len(tables.train)
    index = VideoIndex(manifest)
    rows: list[Row] = []
    entries: list[Entry | None] = []
    absent, broken = [], []
    for row in tables.train:
        name = row.cells[tables.video]
        found = index.find(name)
        entry = found[0] if len(found) == 1 else None
        if entry is not None and not entry.readable:
            broken.append(name)
            continue
        if entry is None:
            absent.append(name)
        rows.append(row)
        entries.append(entry)
    for names, what in ((absent, "cannot be told in the manifest"), (broken, "could not be read and are left out")):
        if names:
            notes.append(f"{len(names)} videos of {workspace.train_table.name} {what}, such as '{names[0]}'")
    if not rows:
        raise UserError(f"not one video of {workspace.train_table} could be read; see {workspace.manifest('train')}")
    return rows, entries


def _check_alike(workspace: Workspace, material: Material) -> None:
    """Refuse labels that are surely one class written in several ways, and note those that may be.

    Raises:
        TableError: there are such labels; all are named.
    """
    lines_of_label: dict[str, list[int]] = {}
    for row in material.tables.train:
        lines_of_label.setdefault(row.cells[material.tables.label], []).append(row.line)
    faults = Faults()
    check_alike(lines_of_label, str(workspace.train_table), faults)
    faults.stop()
    material.notes.extend(faults.warnings)
