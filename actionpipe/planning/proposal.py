"""The proposed competition file as a text: each part with its reason above it."""

import copy
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from actionpipe.planning.balance import choose_folds, choose_oversampling
from actionpipe.planning.file_section import Section, comment
from actionpipe.planning.machine import Machine
from actionpipe.planning.material import Material, read_material
from actionpipe.planning.plan_detector import plan_detector
from actionpipe.planning.plan_groups import choose_groups, count_units
from actionpipe.planning.plan_networks import plan_network
from actionpipe.recipes.mirrored_classes import mirrored, unmirrored
from actionpipe.storage.workspace import Workspace


@dataclass(frozen=True)
class Proposal:
    """What is proposed."""

    sections: list[Section]
    notes: list[str] = field(default_factory=list)
    """What could not be known."""

    @property
    def text(self) -> str:
        """The competition file."""
        parts = [comment(f"note: {note}" for note in self.notes), *(section.text for section in self.sections)]
        return "\n".join(part for part in parts if part)


def propose(workspace: Workspace, machine: Machine) -> Proposal:
    """Propose a competition file for the tables under DATA.

    Args:
        workspace: ``train.csv`` must be there; all else is used when it is.
        machine: what is to be trained on.

    Raises:
        UserError: a table or manifest is wrong, or there are too few classes or clips.
    """
    material = read_material(workspace)
    tables = material.tables
    groups = choose_groups(material)
    units, units_of_class = count_units(material, groups.column)
    unit = "groups" if groups.column else "clips"
    number, why_folds = choose_folds(units, units_of_class, max(material.clips_of_class.values()), unit)
    thin, times, why_thin = choose_oversampling(material.clips_of_class)
    detector, why_detector = plan_detector(workspace, material, machine)
    counts = ", ".join(f"{name} {count}" for name, count in material.clips_of_class.items())
    table = {"video": tables.video, "label": tables.label}
    sections = [
        Section(["proposed by actionpipe plan; every choice is yours"], {"name": name_of(workspace.root)}),
        Section([f"the order of the score columns; clips: {counts}"], {"classes": material.classes}),
        Section(
            [tables.reason, *groups.reason], {"table": {**table, **({"group": groups.column} if groups.column else {})}}
        ),
        Section(
            ["every class counts the same, however few clips it has; if the competition names another metric, take it"],
            {"metric": "macro_f1"},
        ),
        Section(
            [why_folds, "one fold is trained at first; all of them make a better ensemble, at the cost of each"],
            {"folds": {"number": number, "seed": 42, "train": [0]}},
        ),
        Section([why_thin], {"oversampling": {"classes": thin, "times": times}} if thin else {}),
        _members(material, machine, oversampled=bool(thin)),
        Section([why_detector], {"detector": detector} if detector else {}),
        Section(
            [
                "no rules yet: they are to be found by looking at the errors. Train, run inference.sh, and look at "
                "results/out_of_fold.csv; python postprocess.py --ladder shows what each rule is worth"
            ],
            {"rules": []},
        ),
    ]
    return Proposal(sections, material.notes)


def name_of(folder: Path) -> str:
    """A folder's name as a competition's: ASCII letters, digits, ``_``, ``.`` and ``-``."""
    plain = unicodedata.normalize("NFKD", folder.resolve().name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.") or "competition"


def _members(material: Material, machine: Machine, *, oversampled: bool) -> Section:
    plan = plan_network(material, machine)
    overrides, reasons = plan.overrides, plan.reasons
    if pairs := mirrored(material.classes):
        overrides = overrides | unmirrored(plan.network.recipe)
        reasons = [*reasons, f"no clip is mirrored: in a mirror {pairs[0][0]} is {pairs[0][1]}"]
    kinds = ["plain", "oversampled"] if oversampled else ["plain"]
    if oversampled:
        why = "two members, as they err differently: one sees each clip as often as it is, one the oversampled list"
    else:
        why = "one member: without oversampling a second one would be the same"
    members = [
        {"name": f"tsm_{kind}", "recipe": plan.network.recipe, "clips": kind}
        # Each its own copy: YAML would write the second one as a reference to the first.
        | ({"overrides": copy.deepcopy(overrides)} if overrides else {})
        for kind in kinds
    ]
    return Section([why, *reasons], {"members": members})
