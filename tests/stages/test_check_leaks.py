from pathlib import Path

import pytest
import typer
from conftest import Tiny

from actionpipe.data.lists import read_list, write_list
from actionpipe.data.video_index import VideoIndex
from actionpipe.errors import ExitCode, UserError
from actionpipe.fusion.probabilities import checked_splits
from actionpipe.runtime.command import guarded
from actionpipe.stages.check_leaks import check_leaks, leaks
from actionpipe.stages.train import train
from actionpipe.storage.manifest import Manifest


def call(*flags: object) -> int:
    """The command line, with its exit code."""
    app = typer.Typer(add_completion=False)
    app.command()(leaks)
    return guarded(lambda **settings: app([str(flag) for flag in flags], **settings))


def copy(tiny: Tiny, part: str, name: str, other: str) -> None:
    """Let the manifest say that a video has the bytes of a training video."""
    path = tiny.workspace.manifest("train" if part == "train" else "test")
    (source,) = VideoIndex(Manifest.read(tiny.workspace.manifest("train"))).find(other)
    text = path.read_text(encoding="utf-8")
    assert f",d{name}," in text
    path.write_text(text.replace(f",d{name},", f",{source.digest},"), encoding="utf-8")


def torn(tiny: Tiny) -> tuple[str, str]:
    """A clip of each fold."""
    rows = [line.rsplit(",", 1) for line in tiny.workspace.splits.read_text().splitlines()[1:]]
    return tuple(next(row[0].split(",")[0] for row in rows if row[1] == fold) for fold in "01")  # type: ignore[return-value]


def test_what_preprocess_leaves_is_clean(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in tiny.root.rglob("*") if path.is_file()}
    assert call("--data", tiny.root) == ExitCode.OK
    assert capsys.readouterr().out == f"no leak between the folds of {tiny.workspace.splits}\n"
    assert {path: path.read_bytes() for path in tiny.root.rglob("*") if path.is_file()} == before


def test_leaks_are_printed_and_fail(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = torn(tiny)
    copy(tiny, "train", one, other)
    write_list(tiny.workspace.train_list(1), read_list(tiny.workspace.val_list(1)))
    assert check_leaks(tiny.root) == ExitCode.FAILED
    told = capsys.readouterr().out
    assert f"'{one}' in fold 0, '{other}' in fold 1" in told
    assert f"leak: {tiny.workspace.train_list(1)}: " in told
    assert "2 leaks: " in told


def test_test_videos_among_the_training_videos_are_a_warning(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    copy(tiny, "test", tiny.test[1], tiny.train[0][0])
    assert check_leaks(tiny.root) == ExitCode.OK
    told = capsys.readouterr().out
    assert f"warning: training video '{tiny.train[0][0]}' has the same bytes as test video '{tiny.test[1]}'" in told


def test_without_folds_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folds at .*splits\.csv.*python preprocess\.py"):
        check_leaks(tmp_path)


def test_training_and_fusion_refuse_them(tiny: Tiny) -> None:
    from actionpipe.competition.file import load

    competition = load(tiny.root / "competition.yaml")
    assert len(checked_splits(tiny.workspace, competition)) == len(tiny.train)
    path = tiny.workspace.train_list(1)
    write_list(path, [*read_list(path), read_list(tiny.workspace.val_list(1))[0]])
    with pytest.raises(UserError, match="fold 1 would be measured on what it was trained on"):
        train(0, tiny.root, folds=[0, 1])
    assert not tiny.workspace.results.exists()
    one, other = torn(tiny)
    copy(tiny, "train", one, other)
    for refuse in (lambda: checked_splits(tiny.workspace, competition), lambda: train(0, tiny.root, folds=[0])):
        with pytest.raises(UserError, match=r"videos with the same bytes .* are torn"):
            refuse()
    assert not tiny.workspace.results.exists()
