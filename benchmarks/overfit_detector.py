"""Whether the detector's training works at all: it must learn a few pictures by heart.

Trains a detector on the pictures of a COCO file and validates it on the same ones, by the ordinary train stage:

    python benchmarks/overfit_detector.py --images DIR --boxes instances.json --weights mobilenet_v2.safetensors

Box AP at an overlap of 0.5, as COCO counts it, should come near 1; below 0.7 something is wrong with gradients, targets
or coordinates.
"""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, installed or not

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages import flags
from actionpipe.stages.train import train
from actionpipe.storage import atomic
from actionpipe.storage.workspace import Workspace
from benchmarks.extraction import machine


def _command(
    *,
    images: Annotated[Path, typer.Option(help="Folder of the pictures.")],
    boxes: Annotated[Path, typer.Option(help="Their boxes, a COCO file.")],
    category: Annotated[str, typer.Option(help="The class to learn.")] = "person",
    recipe: Annotated[str, typer.Option(help="The detector's recipe.")] = "faster_rcnn_mobilenetv2",
    weights: Annotated[Path | None, typer.Option(help="Starting weights of the backbone; random when absent.")] = None,
    scratch: Annotated[Path, typer.Option(help="DATA folder to train in; made anew.")] = Path("data/overfit"),
    cfg_options: Annotated[list[str] | None, typer.Option(help="Override a recipe key: key=value.")] = None,
) -> ExitCode:
    """Train a detector on a few pictures and print its AP on the same ones."""
    from actionpipe.stages.flags import parse_overrides

    content = _only(json.loads(boxes.read_text(encoding="utf-8")), category)
    shutil.rmtree(scratch, ignore_errors=True)
    workspace = Workspace(scratch.resolve())
    workspace.root.mkdir(parents=True)
    workspace.frames("train").symlink_to(images.resolve(), target_is_directory=True)
    for file in (workspace.train_coco(0), workspace.val_coco(0)):
        atomic.write_json(file, content)
    detector: dict[str, Any] = {"name": "detector", "recipe": recipe, "classes": [category]}
    detector["weights"] = "scratch" if weights is None else str(weights.resolve())
    members = [{"name": "unused", "recipe": "tsm_small"}]
    competition = {"name": "overfit", "classes": ["a", "b"], "members": members, "detector": detector}
    atomic.write_text(workspace.root / "competition.yaml", yaml.safe_dump(competition))
    started = time.perf_counter()
    code = train(0, workspace.root, only=["detector"], folds=[0], overrides=parse_overrides(cfg_options or []))
    done = json.loads((workspace.run_dir("detector", 0) / "done.json").read_text(encoding="utf-8"))
    minutes = (time.perf_counter() - started) / 60
    print(
        f"{machine()}: AP50 {done['value']:.3f} (epoch {done['epoch']}) on {len(content['images'])} pictures with "
        f"{len(content['annotations'])} boxes, {minutes:.1f} minutes"
    )
    return code


def _only(content: dict[str, Any], category: str) -> dict[str, Any]:
    """The COCO file with the boxes of one category.

    Raises:
        UserError: there is no such category.
    """
    found = [entry for entry in content["categories"] if entry["name"] == category]
    if not found:
        names = ", ".join(entry["name"] for entry in content["categories"])
        raise UserError(f"no category '{category}' in the file of boxes; there are: {names}")
    boxes = [box for box in content["annotations"] if box["category_id"] == found[0]["id"]]
    return {**content, "categories": found, "annotations": boxes}


if __name__ == "__main__":
    flags.run(_command)
