"""A look for leaks: what stands on both sides of a cut into folds, or among the test videos too.

Reads splits.csv, {train,test}_raw_frame/manifest.csv, and of every fold train_list_rawframes_fold{k}.txt (and its _tw),
val_list_rawframes_fold{k}.txt and {train,val}_detect_fold{k}.json. Writes nothing.
"""

from pathlib import Path

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flags import DataFolder
from actionpipe.storage.workspace import Workspace


def check_leaks(data: Path) -> ExitCode:
    """Print every leak under ``data``, and the training videos that are also test videos.

    Returns:
        FAILED when a fold is spoilt; OK when all is clean, or when only test videos stand among the training videos.

    Raises:
        UserError: there is no ``splits.csv``, or a file is malformed.
    """
    from actionpipe.data import leaks as found

    workspace = Workspace(data)
    if not workspace.splits.exists():
        raise UserError(f"no folds at {workspace.splits}, so there is nothing to check; type: python preprocess.py")
    faults = found.check_leaks(workspace)
    for line in faults:
        print(f"leak: {line}")
    for line in found.describe_test_copies(workspace):
        print(f"warning: {line}")
    if faults:
        count = f"{len(faults)} leak" + ("s" if len(faults) > 1 else "")
        print(f"{count}: out-of-fold numbers of these folds are too good; mend them and train again")
        return ExitCode.FAILED
    print(f"no leak between the folds of {workspace.splits}")
    return ExitCode.OK


def leaks(
    data: DataFolder = Path("data"),
) -> ExitCode:
    """Look for groups, copies and clips that stand on both sides of a cut into folds."""
    return check_leaks(data)
