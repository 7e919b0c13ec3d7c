import os
import zipfile
from pathlib import Path

import pytest
import typer
import yaml

from actionpipe.errors import ExitCode, TableError, UserError
from actionpipe.runtime.command import guarded
from actionpipe.stages.submit import command, submit

TEMPLATE = "video_filename,class\na.mp4,\nb.mp4,\nc.mp4,\n"
RIGHT = "video_filename,class\na.mp4,run\nb.mp4,walk\nc.mp4,run\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "results").mkdir(parents=True)
    (root / "sample_submission.csv").write_text(TEMPLATE)
    (root / "train.csv").write_text("video_filename,class\nx.mp4,walk\ny.mp4,run\nz.mp4,hop\n")
    (root / "results" / "final.csv").write_text(RIGHT)
    spec = {"name": "toy", "classes": ["walk", "run"], "members": [{"name": "m", "recipe": "r"}]}
    (root / "competition.yaml").write_text(yaml.safe_dump(spec))
    return root


def call(*flags: object) -> int:
    """The command line, with its exit code."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return guarded(lambda **settings: app([str(flag) for flag in flags], **settings))


def test_final_csv_is_checked_unless_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--data", data) == ExitCode.OK
    told = capsys.readouterr().out
    assert "final.csv fits the template: 3 rows" in " ".join(told.split())
    assert [line.split() for line in told.splitlines() if line.strip().startswith(("walk", "run"))] == [
        ["walk", "1"],
        ["run", "2"],
    ]


def test_faults_exit_with_2_and_nothing_is_packed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = data.parent / "mine.csv"
    mine.write_text(RIGHT.replace("walk", "Walk").replace("c.mp4", "d.mp4"))
    archive = data.parent / "out.zip"
    assert call("--data", data, "--check", mine, "--zip", archive) == ExitCode.WRONG_INPUT
    told = capsys.readouterr()
    assert told.out == ""
    assert "3 faults" in told.err
    assert "did you mean 'walk'" in told.err
    assert not archive.exists()
    assert sorted(path.name for path in data.parent.iterdir()) == ["data", "mine.csv"]


def test_the_zip_holds_the_file_as_it_is_and_is_the_same_every_time(data: Path) -> None:
    mine = data.parent / "내 제출.csv"
    mine.write_bytes(b"\xef\xbb\xbf" + RIGHT.replace("\n", "\r\n").encode())
    archive = data.parent / "new folder" / "out.zip"
    assert submit(data, mine, archive=archive) == ExitCode.OK
    with zipfile.ZipFile(archive) as file:
        (entry,) = file.infolist()
        assert (entry.filename, entry.compress_type) == (mine.name, zipfile.ZIP_DEFLATED)
        assert file.read(entry) == mine.read_bytes()
        assert file.testzip() is None
    first = archive.read_bytes()
    os.utime(mine, (1, 10**9))
    submit(data, mine, archive=archive)
    assert archive.read_bytes() == first
    assert [path.name for path in archive.parent.iterdir()] == ["out.zip"]


def test_classes_auto_are_those_of_the_training_table(data: Path) -> None:
    spec = yaml.safe_load((data / "competition.yaml").read_text())
    (data / "competition.yaml").write_text(yaml.safe_dump({**spec, "classes": "auto"}))
    (data / "results" / "final.csv").write_text(RIGHT.replace("walk", "hop"))
    assert submit(data) == ExitCode.OK
    (data / "train.csv").unlink()
    with pytest.raises(TableError, match=r"train\.csv: no such file"):
        submit(data)


def test_wrong_names_are_refused_before_anything_is_read(data: Path) -> None:
    final = data / "results" / "final.csv"
    for archive, words in ((final, r"must name a file that ends with \.zip, such as final\.zip"), (data, "must name")):
        with pytest.raises(UserError, match=words):
            submit(data, archive=archive)
    folder = data.parent / "folder.zip"
    folder.mkdir()
    with pytest.raises(UserError, match="must name"):
        submit(data, archive=folder)
    mine = data.parent / "mine.zip"
    mine.write_text(RIGHT)
    with pytest.raises(UserError, match="is the file to check"):
        submit(data, mine, archive=mine)
    assert mine.read_text() == RIGHT
    final.unlink()
    with pytest.raises(UserError, match=r"final\.csv; make it: python postprocess\.py .* --check FILE"):
        submit(data)


def test_a_missing_template_is_named(data: Path) -> None:
    (data / "sample_submission.csv").unlink()
    with pytest.raises(UserError, match=r"no sample_submission\.csv"):
        submit(data)
