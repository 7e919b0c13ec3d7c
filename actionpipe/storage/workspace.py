"""Where every artefact of one competition lives (the DATA folder): the files through which stages talk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Part = Literal["train", "test"]
"""Which folder of videos a frame store comes from."""
Scored = Literal["val", "test"]
"""What a member of a fold is scored on: the fold's own validation part, or the test clips."""


def part_of(scored: Scored) -> Part:
    """Which videos the clips that are scored come from."""
    return "test" if scored == "test" else "train"


@dataclass(frozen=True)
class Workspace:
    """Paths under one DATA folder; making one touches nothing on disk."""

    root: Path

    @property
    def train_table(self) -> Path:
        """The user's labels: one row a training video."""
        return self.root / "train.csv"

    @property
    def sample_submission(self) -> Path:
        """The user's template: rows and order of the submission."""
        return self.root / "sample_submission.csv"

    @property
    def pretrained(self) -> Path:
        """The user's starting weights."""
        return self.root / "pretrained"

    @property
    def frame_cache(self) -> Path:
        """Decoded frames at the sizes that recipes read; bounded, and may be removed at any time."""
        return self.root / "cache" / "frames"

    def frames(self, part: Part) -> Path:
        """Root of the extracted frames of the training or test videos."""
        return self.root / f"{part}_raw_frame"

    def manifest(self, part: Part) -> Path:
        """One row a video that extract.py has seen."""
        return self.frames(part) / "manifest.csv"

    @property
    def splits(self) -> Path:
        """video, label, group, fold: the one source of folds."""
        return self.root / "splits.csv"

    @property
    def summary(self) -> Path:
        """One row a class, in the order in which the lists number them."""
        return self.root / "preprocess_summary.csv"

    def train_list(self, fold: int, *, oversampled: bool = False) -> Path:
        """``<dir> <frames> <label>`` of the clips that fold's members train on."""
        return self.root / f"train_list_rawframes_fold{fold}{'_tw' if oversampled else ''}.txt"

    def val_list(self, fold: int) -> Path:
        """``<dir> <frames> <label>`` of the clips of the fold."""
        return self.root / f"val_list_rawframes_fold{fold}.txt"

    @property
    def test_list(self) -> Path:
        """``<dir> <frames> 0`` of the readable test clips."""
        return self.root / "test_list_rawframes.txt"

    def train_coco(self, fold: int) -> Path:
        """Boxes that the detector of the fold trains on (COCO)."""
        return self.root / f"train_detect_fold{fold}.json"

    def val_coco(self, fold: int) -> Path:
        """Boxes of the fold's validation clips (COCO)."""
        return self.root / f"val_detect_fold{fold}.json"

    @property
    def test_coco(self) -> Path:
        """Every frame of the test clips, without boxes (COCO)."""
        return self.root / "test.json"

    @property
    def results(self) -> Path:
        """All that training, inference and fusion write."""
        return self.root / "results"

    def run_dir(self, member: str, fold: int) -> Path:
        """One trained model: ``best.pth``, ``last.pth``, the resolved recipe, the log."""
        return self.results / member / f"fold{fold}"

    def best_checkpoint(self, member: str, fold: int) -> Path:
        """The weights with the best validation metric of the fold."""
        return self.run_dir(member, fold) / "best.pth"

    def scores(self, member: str, fold: int, scored: Scored) -> Path:
        """``video_filename`` and one probability column a class."""
        return self.results / "scores" / f"{member}_fold{fold}_{scored}.csv"

    def detections(self, detector: str, fold: int, scored: Scored) -> Path:
        """video, frame, label, score, x1, y1, x2, y2."""
        return self.results / "detections" / f"{detector}_fold{fold}_{scored}.csv"

    def coverage(self, detector: str, fold: int, scored: Scored) -> Path:
        """video, seen, frames, most_boxes: how far those detections go; without it every frame was looked at."""
        return self.results / "detections" / f"{detector}_fold{fold}_{scored}_coverage.csv"

    @property
    def final(self) -> Path:
        """The submission."""
        return self.results / "final.csv"

    @property
    def fusion(self) -> Path:
        """What ``tune`` has chosen: a competition file that postprocess takes weights, thresholds and rules from."""
        return self.results / "fusion.yaml"

    @property
    def tuning(self) -> Path:
        """What ``tune`` has found, for the report; and what it was made from."""
        return self.results / "tuning.json"

    @property
    def report(self) -> Path:
        """The page that shows it all."""
        return self.results / "report.html"

    @property
    def provenance(self) -> Path:
        """Versions, seeds, digests and timings behind the submission."""
        return self.results / "provenance.json"
