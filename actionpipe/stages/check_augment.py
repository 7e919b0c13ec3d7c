"""A look at what a recipe's training pipeline does to clips; nothing in DATA is read or changed.

Reads a video, or draws a clip of the embedded sample. Writes a contact sheet (JPEG or PNG) where ``--out`` says.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actionpipe.errors import ExitCode, UserError

if TYPE_CHECKING:
    from actionpipe.recipes.contact_sheet import Image
    from actionpipe.video.frames import Choose

SUFFIXES = (".jpg", ".jpeg", ".png")
DRAWN: Any = {"seed": 0, "size": (480, 270), "frames": (40, 40)}
"""The sample's clips that may be drawn; of these a cyclist by day is, who fills much of the picture."""


def check_augment(
    recipe: str, out: Path, *, video: Path | None = None, clips: int = 6, frames: int = 8, seed: int = 0
) -> ExitCode:
    """Write a contact sheet: a clip as it is, and as the recipe's training pipeline would hand it to the network.

    The pipeline is the recipe's own, from after its decoding up to the shaping of the batch.

    Args:
        recipe: the name of a classifier's recipe, or the path of one.
        out: the picture; its suffix says which kind.
        video: the clip; one of the embedded sample is drawn when None.
        clips: so many draws, a row each; the first rows do not depend on how many follow.
        frames: at most so many frames a row, spread evenly over those that the pipeline chose.
        seed: of the frames chosen and of the draws.

    Returns:
        OK.

    Raises:
        UserError: no such recipe or video, a recipe that is no classifier's, or a suffix that is no picture's.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UserError(f"--out {out} must be a picture: a name that ends with {' or '.join(SUFFIXES)}")
    if video is not None and not video.is_file():
        raise UserError(f"--video {video} is no file; name a video, or leave --video away for a drawn clip")
    from actionpipe.openmmlab import activation

    activation.activate()
    import cv2

    from actionpipe.openmmlab import registration
    from actionpipe.recipes import recipe as recipes
    from actionpipe.recipes.contact_sheet import Row, contact_sheet
    from actionpipe.recipes.locate import typed
    from actionpipe.recipes.training_views import TrainViews
    from actionpipe.storage.atomic import atomic

    registration.register()
    views = TrainViews(recipes.load(typed(recipe), {}), recipe)
    sampled = {}

    def choose(number: int) -> list[int]:
        sampled.update(views.sample(number, seed))
        return [int(index) for index in sampled["frame_inds"].reshape(-1)]

    images = _drawn(choose) if video is None else _decoded(video, choose)
    rows = [Row("as it is", images)]
    for number in range(1, clips + 1):
        view = views.draw(sampled, images, seed, number)
        rows.append(Row(f"{number}: {', '.join(view.drawn) or 'nothing'}", view.frames))
    sheet = cv2.cvtColor(contact_sheet(rows, frames), cv2.COLOR_RGB2BGR)
    suffix = out.suffix.lower()
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 80]
    with atomic(out) as temporary:
        temporary.write_bytes(cv2.imencode(suffix, sheet, options)[1].tobytes())
    print(f"{out}: a clip of {len(images)} frames as it is, and {clips} draws of the train_pipeline of {recipe}")
    return ExitCode.OK


def _drawn(choose: "Choose") -> "list[Image]":
    """Frames of a clip of the embedded sample, RGB."""
    from actionpipe.sample_data.sample_clip import draw_clip
    from actionpipe.sample_data.write_sample import plan_clips

    plan = next(plan for plan in plan_clips("train", 1, **DRAWN) if plan.label == "ride_cycle")
    clip = draw_clip(plan.label, plan.scene, plan.seed, plan.size, plan.n_frames)
    return [clip.frames[number - 1] for number in choose(len(clip.frames))]


def _decoded(video: Path, choose: "Choose") -> "list[Image]":
    """Frames of a video as extraction would store them, RGB."""
    import cv2

    from actionpipe.video.decode import UnreadableError
    from actionpipe.video.isolated import FramesApart

    try:
        _, images = FramesApart(video).select(choose)
    except UnreadableError as error:
        raise UserError(f"--video {video} cannot be read: {error}") from None
    return [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images]


def augment(
    recipe: Annotated[str, typer.Option(help="A classifier's recipe, by name or as a .py of your own.")],
    out: Annotated[Path, typer.Option(help="The picture to write, .jpg or .png.", metavar="FILE")],
    video: Annotated[Path | None, typer.Option(help="A video; else a drawn clip.", metavar="FILE")] = None,
    clips: Annotated[int, typer.Option(min=1, help="So many draws, a row each.")] = 6,
    frames: Annotated[int, typer.Option(min=1, help="At most so many frames a row, spread evenly.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same.")] = 0,
) -> ExitCode:
    """Write a contact sheet of what a recipe's training pipeline does to a clip."""
    return check_augment(recipe, out, video=video, clips=clips, frames=frames, seed=seed)
