import csv
import subprocess
import sys
from pathlib import Path

from clips import write_video

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "extraction.py"


def test_the_benchmark_writes_its_table_as_csv_and_names_the_machine(tmp_path):
    write_video(tmp_path / "a.mp4", frames=5)
    arguments = ["--processes", "1", "--repeats", "1", "--csv", tmp_path / "table.csv"]
    done = subprocess.run(
        [sys.executable, BENCHMARK, tmp_path / "a.mp4", *arguments], capture_output=True, text=True, check=True
    )
    assert "cores" in done.stdout
    with (tmp_path / "table.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["videos"], row["opencv_frames"], row["our_frames"]) == ("a.mp4", "5", "5")
    assert float(row["our_frames_per_cpu_s"]) > 0
    assert float(row["cpu_ratio"]) > 0
