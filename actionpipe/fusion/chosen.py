"""How the members are fused: as the competition file says, or as ``tune`` has chosen."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from actionpipe.competition import file as competitions
from actionpipe.competition.file import Competition
from actionpipe.errors import UserError
from actionpipe.storage.atomic import read_record
from actionpipe.storage.workspace import Workspace

AGAIN = "type: actionpipe tune"
"""What makes it anew."""


@dataclass(frozen=True)
class Chosen:
    """What the members are fused by."""

    competition: Competition
    tuned: bool
    """Whether its weights, thresholds and rules are those of ``results/fusion.yaml``."""
    note: str = ""
    """A sentence for the user; empty when nothing was ever tuned."""


def chosen(workspace: Workspace, competition: Competition, *, as_written: bool = False) -> Chosen:
    """The competition with weights, thresholds and rules of ``results/fusion.yaml`` where that is there and current.

    Args:
        workspace: where the file would be.
        competition: as written, classes resolved.
        as_written: leave the file aside.

    Raises:
        UserError: the file is no competition file, or is about other members, classes or another detector.
    """
    path = workspace.fusion
    if not path.exists():
        return Chosen(competition, tuned=False)
    name = path.relative_to(workspace.root)
    if as_written:
        return Chosen(competition, False, f"fused as the competition file says; {name} is left aside (--as-written)")
    record = read_record(workspace.tuning)
    if record is not None and record.get("competition") != fingerprint(competition):
        note = f"the competition file has changed since {name} was made, which is left aside; {AGAIN}"
        return Chosen(competition, False, note)
    tuned = competitions.load(path)
    _check_same(path, tuned, competition)
    weight_of_member = {member.name: member.weight for member in tuned.members}
    update = {
        "members": [
            member.model_copy(update={"weight": weight_of_member[member.name]}) for member in competition.members
        ],
        "thresholds": tuned.thresholds,
        "rules": tuned.rules,
    }
    return Chosen(competition.model_copy(update=update), True, f"fused as tuned on out-of-fold predictions ({name})")


def fingerprint(competition: Competition) -> str:
    """A digest of everything that the competition file says; comments and layout do not count."""
    text = json.dumps(competition.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_same(path: Path, tuned: Competition, competition: Competition) -> None:
    def facts(one: Competition) -> dict[str, object]:
        return {
            "classes": one.classes,
            "members": sorted(member.name for member in one.members),
            "detector's classes": one.detector.classes if one.detector else None,
        }

    ours, theirs = facts(competition), facts(tuned)
    for name, value in ours.items():
        if theirs[name] != value:
            raise UserError(
                f"{path} is about the {name} {theirs[name]}, the competition file about {value}; delete it, or {AGAIN}"
            )
