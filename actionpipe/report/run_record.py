"""What a result was made with: the time of each stage, versions, seeds and digests."""

from collections.abc import Mapping
from typing import Any

from actionpipe.report.section import Section, empty
from actionpipe.storage.atomic import read_record
from actionpipe.storage.workspace import Workspace

TIMING_COLUMNS = ["stage", "seconds"]
PROVENANCE_COLUMNS = ["kind", "name", "value"]
KINDS = {
    "versions": "version",
    "seeds": "seed",
    "competition": "competition",
    "files": "table",
    "checkpoints": "weights",
}
"""Part of ``provenance.json`` -> what the report calls its entries."""


def timings(workspace: Workspace) -> Section:
    """Seconds of each stage, over all runs of ``run.sh``."""
    import pandas as pd

    record = read_record(workspace.results / "timings.json") or {}
    rows = [[stage, seconds] for stage, seconds in record.items() if isinstance(seconds, int | float)]
    table = pd.DataFrame(rows, columns=TIMING_COLUMNS) if rows else empty(TIMING_COLUMNS)
    missing = "" if rows else "No time was taken: that is done when the whole chain runs at once."
    return Section("timings", {"timings": table}, missing, "bash run.sh --data data")


def provenance(workspace: Workspace) -> Section:
    """``provenance.json`` as a table: one row a version, seed or SHA-256."""
    import pandas as pd

    record = read_record(workspace.provenance)
    if record is None:
        return Section(
            "provenance",
            {"provenance": empty(PROVENANCE_COLUMNS)},
            "Nothing was recorded yet.",
            "python postprocess.py",
        )
    fused = "as tuned out of fold" if record.get("tuned") else "as the competition file says"
    rows = [["made", "made", str(record.get("made", ""))], ["made", "fused", fused]]
    for part, kind in KINDS.items():
        rows += [[kind, name, value] for name, value in _flat(record.get(part)).items()]
    return Section("provenance", {"provenance": pd.DataFrame(rows, columns=PROVENANCE_COLUMNS)})


def _flat(part: Any, before: str = "") -> dict[str, str]:
    """Nested mappings -> one text by name; of a nested one, its key stands in front."""
    flat: dict[str, str] = {}
    for name, value in part.items() if isinstance(part, Mapping) else ():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name} ")
        else:
            flat[f"{before}{name}"] = "not installed" if value is None else str(value)
    return flat
