"""Videos that have no scores: why, and what label they get all the same."""

from collections.abc import Sequence

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.sequence import needs_detections
from actionpipe.data.video_index import read_index
from actionpipe.errors import UserError
from actionpipe.storage import atomic
from actionpipe.storage.tables import raise_faults
from actionpipe.storage.workspace import Part, Workspace


def fallback_label(workspace: Workspace, competition: Competition, labels: Sequence[str]) -> str:
    """The label of an unreadable video: the one the competition names, else the most frequent; ties: class order."""
    if competition.fallback is not None:
        return competition.fallback
    if not labels:
        raise UserError(
            f"some test videos cannot be read and there is no {workspace.train_table} to take the most frequent label "
            "from; put it there, or name a fallback: in the competition file"
        )
    return max(competition.class_names, key=labels.count)


def unreadable(workspace: Workspace, competition: Competition, part: Part, unscored: Sequence[str]) -> dict[str, str]:
    """Why each of the videos without scores has none, by video name: as inference or the manifest says.

    Raises:
        UserError: a video could be read, or was never extracted, and still has no scores.
    """
    known = _known_to_inference(workspace, competition, part)
    reasons = {video: known[video] for video in unscored if video in known}
    unscored = [video for video in unscored if video not in known]
    if not unscored:
        return reasons
    path = workspace.manifest(part)
    if not path.exists():
        raise UserError(
            f"'{unscored[0]}' (one of {len(unscored)}) has no scores, and there is no {path} to say why; run: "
            f"python extract.py --dir VIDEOS --output-root {workspace.frames(part)} && bash inference.sh 0"
        )
    index = read_index(path)
    faults: list[str] = []
    for video in unscored:
        entries = index.find(video)
        if not entries:
            faults.append(f"'{video}' has no scores and is not in {path}: extract.py has not seen it; run extract.py")
        elif any(entry.readable for entry in entries):
            faults.append(f"'{video}' has no scores though {path} calls it readable; run: bash inference.sh 0")
        else:
            reasons[video] = entries[0].reason or str(entries[0].status)
    raise_faults(faults)
    return reasons


def _known_to_inference(workspace: Workspace, competition: Competition, part: Part) -> dict[str, str]:
    """Reason by video name: those that inference was to read directly and could not."""
    reasons: dict[str, str] = {}
    if part == "test":
        for member in competition.members:
            for fold in range(competition.folds.number):
                record = atomic.read_record(workspace.scores(member.name, fold, "test").with_suffix(".json")) or {}
                reasons |= atomic.entries_of(record.get("unreadable"), str)
        reasons |= unreadable_to_detector(workspace, competition)
    return reasons


def unreadable_to_detector(workspace: Workspace, competition: Competition) -> dict[str, str]:
    """Reason by name of the test videos that some fold's detector could not read, though they may have been scored."""
    reasons: dict[str, str] = {}
    if competition.detector is not None and needs_detections(competition.rules):
        for fold in range(competition.folds.number):
            path = workspace.detections(competition.detector.name, fold, "test").with_suffix(".json")
            reasons |= atomic.entries_of((atomic.read_record(path) or {}).get("unreadable"), str)
    return reasons
