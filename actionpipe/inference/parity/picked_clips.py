"""The clips, and the frames of them, on which an engine is compared with the reference engine."""

from collections.abc import Sequence
from pathlib import Path

from actionpipe.data.coco import Coco, frames_coco, spread
from actionpipe.data.lists import read_list, write_list
from actionpipe.data.video_index import name_of_directory
from actionpipe.errors import UserError
from actionpipe.inference.clips import Clip, listed_clips
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.tasks import Task
from actionpipe.storage.atomic import digest
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import part_of
from actionpipe.video.decode import Image, UnreadableError
from actionpipe.video.isolated import FramesApart

FRAME_CLIPS = 4
"""The frames for the detector are of so many clips, of more where these have too few: a rule counts within one clip."""


class Picked:
    """Some clips of a list, and some frames of a few of them for the detector."""

    def __init__(self, context: RunContext, task: Task, clips: int, frames: int, scratch: Path) -> None:
        """Pick at most ``clips`` and ``frames``, spread evenly over the task's list and over the clips.

        Raises:
            UserError: the list is empty, or the context's videos are not those that the frames were extracted from.
        """
        self.context, self.scratch = context, scratch
        self.part = part_of(task.scored)
        self.root = context.workspace.frames(self.part)
        listed = list(dict.fromkeys(read_list(Path(task.clips))))
        if not listed:
            raise UserError(f"{task.clips} has not one clip to compare; run: python preprocess.py")
        self.lines = [listed[place - 1] for place in spread(len(listed), clips)]
        """Of the list: what the reference reads."""
        self.list = scratch / "clips.txt"
        write_list(self.list, self.lines)
        self.clips = listed_clips(context.workspace, context.competition, self.part, self.list)
        """What the engine reads, in the same order: extracted frames, or the videos."""
        if context.videos is not None:
            self.clips = self._from_videos(context.videos)
        self.frames = self._frames(frames)
        """Of a few clips: the numbers of the frames for the detector, ascending from 1."""

    def _frames(self, number: int) -> list[tuple[Clip, list[int]]]:
        clips = min(FRAME_CLIPS, number)
        while clips < min(len(self.clips), number) and sum(self._lengths(clips)) < number:
            clips = min(2 * clips, number)
        places = [place - 1 for place in spread(len(self.clips), clips)]
        share, rest = divmod(number, len(places))
        return [
            (self.clips[place], spread(self.lines[place].frames, share + (turn < rest)))
            for turn, place in enumerate(places)
        ]

    def _lengths(self, clips: int) -> list[int]:
        """Of so many clips, spread over all."""
        return [self.lines[place - 1].frames for place in spread(len(self.clips), clips)]

    def coco(self, classes: Sequence[str]) -> Coco:
        """The frames for the detector of these ``classes``, in order, for the reference."""
        workspace, competition = self.context.workspace, self.context.competition
        names, manifest = name_of_directory(workspace, competition, self.part), Manifest.read(self._manifest)
        content = frames_coco(self.lines, manifest, names, classes)
        wanted = {(clip.video, number) for clip, numbers in self.frames for number in numbers}
        content["images"] = [image for image in content["images"] if (image["video"], image["frame"]) in wanted]
        return content

    def read(self, clip: Clip, numbers: Sequence[int]) -> list[Image]:
        """The frames of a clip by number, as the engine reads them.

        Raises:
            UserError: the video cannot be read, or has another number of frames than were extracted.
        """
        try:
            count, images = clip.frames.select(lambda count: [number for number in numbers if number <= count])
        except UnreadableError as error:
            raise UserError(f"'{clip.video}' cannot be read: {error}; leave --videos away") from None
        self.check(clip, count)
        return images

    def check(self, clip: Clip, count: int) -> None:
        """Refuse a clip in which the engine has found another number of frames than the list says."""
        extracted = self.lines[self.clips.index(clip)].frames
        if count != extracted:
            raise UserError(
                f"'{clip.video}' has {count} frames when it is read directly, but {extracted} are in the list; run: "
                "python extract.py for it with --overwrite, and python preprocess.py"
            )

    def _from_videos(self, folder: Path) -> list[Clip]:
        """The clips straight from the files that the frames were extracted from, with the settings of then.

        ``clips.video_clips`` would take the extracted frames of such files: both sides would read the same.
        """
        entry_of_directory = {entry.frames_dir: entry for entry in Manifest.read(self._manifest).entries}
        clips, faults = [], []
        for line, clip in zip(self.lines, self.clips, strict=True):
            entry = entry_of_directory[line.directory]
            path = folder / entry.video
            if not path.exists():
                faults.append(f"{path} is not there, of which {self.root / line.directory} has the frames")
            elif digest(path) != entry.digest:
                faults.append(f"{path} is not the file of which {self.root / line.directory} has the frames")
            else:
                clips.append(Clip(clip.video, FramesApart(path, entry.settings)))
        if faults:
            raise UserError(
                f"{faults[0]} (one of {len(faults)} such clips). With --videos both must be there: name the folder "
                f"that extract.py has read, or run: python extract.py --dir {folder} --output-root {self.root}"
            )
        return clips

    @property
    def _manifest(self) -> Path:
        return self.context.workspace.manifest(self.part)
