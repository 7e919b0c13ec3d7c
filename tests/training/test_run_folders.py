"""What a run leaves in its folder, and what the next one makes of it."""

from pathlib import Path

from actionpipe.training.training_inputs import is_due


def test_half_written_checkpoints_of_a_killed_run_go_before_its_folder_is_set_aside(tmp_path: Path) -> None:
    directory = tmp_path / "fold0"
    assert is_due(directory, {"seed": 0}, resume=True)
    (directory / "last.pth").write_bytes(b"whole")
    (directory / ".last.pth.abcdefgh.part").write_bytes(b"half")
    (directory / ".mine.abcdefgh.part").write_bytes(b"the user's")
    assert is_due(directory, {"seed": 1}, resume=True)
    (aside,) = tmp_path.glob("fold0_before_*")
    assert sorted(path.name for path in aside.iterdir()) == [".mine.abcdefgh.part", "inputs.json", "last.pth"]
