"""What a trained model depends on: lists, recipe, weights, options; and whether what is there was made from it."""

import json
import time
from pathlib import Path
from typing import Any

from actionpipe.competition.file import Competition, Detector, Member
from actionpipe.errors import UserError
from actionpipe.recipes.building import said_by
from actionpipe.recipes.locate import recipe_digest
from actionpipe.storage.atomic import digest, read_record, remove_left_over, write_json
from actionpipe.storage.workspace import Workspace
from actionpipe.training.options import Options


def inputs_of(
    model: Member | Detector,
    fold: int,
    workspace: Workspace,
    competition: Competition,
    overrides: dict[str, Any],
    seed: int,
    options: Options = Options(),  # noqa: B008  (frozen)
) -> dict[str, Any]:
    """All that a trained model depends on, as plain data: when it differs, what was trained before is out of date."""
    if isinstance(model, Member):
        lists = [workspace.train_list(fold, oversampled=model.clips == "oversampled"), workspace.val_list(fold)]
    else:
        lists = [workspace.train_coco(fold), workspace.val_coco(fold)]
    for file in lists:
        if not file.exists():
            raise UserError(f"{model.name} of fold {fold} needs {file}, which is not there; run: python preprocess.py")
    with said_by(f"'{model.name}' in the competition file"):
        made_from = recipe_digest(model.recipe)
    return {
        "recipe": model.recipe,
        "recipe_digest": made_from,
        "overrides": {**model.overrides, **overrides},
        "weights": str(model.weights) if model.weights is not None else None,
        "classes": competition.classes if isinstance(model, Member) else model.classes,
        "metric": competition.metric,
        "lists": {file.name: digest(file) for file in lists},
        "seed": seed,
        # Named only where it is so: models that were trained before the key came stay current.
        **({"augment": False} if isinstance(model, Member) and not model.augment else {}),
        **({"options": counted} if (counted := options.that_count()) else {}),
    }


def is_due(directory: Path, inputs: dict[str, Any], *, resume: bool) -> bool:
    """Whether ``directory`` still has to be trained; results of other inputs are set aside first."""
    for name in ("best.pth", "last.pth") if directory.is_dir() else ():
        remove_left_over(directory / name)  # they are large, and a folder that is set aside is never written to again
    record = directory / "inputs.json"
    inputs = json.loads(json.dumps(inputs))
    before = read_record(record)
    done = read_record(directory / "done.json") is not None and (directory / "best.pth").exists()
    if before == inputs and done:
        return False
    if directory.exists() and any(directory.glob("*.pth")) and (before != inputs or not resume):
        stamp = f"{directory.name}_before_{time.strftime('%Y%m%d_%H%M%S')}"
        names = [stamp, *(f"{stamp}_{number}" for number in range(2, 1000))]
        aside = next(path for name in names if not (path := directory.with_name(name)).exists())
        directory.rename(aside)
        why = "it was not to be gone on from" if before == inputs else "its inputs have changed"
        print(f"{directory}: set aside as {aside.name}, {why}", flush=True)
    write_json(record, inputs)
    return True
