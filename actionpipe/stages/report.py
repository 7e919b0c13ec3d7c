"""Makes one page of all that is known of a result: how good it is, why, and where it fails.

Reads splits.csv, preprocess_summary.csv, {train,test}_raw_frame (manifests, frames of a few clips),
val_detect_fold*.json and, under results, out_of_fold.csv, ladder.csv, changes.csv, leaderboard.csv, nested.csv,
tuning.json, final.csv, provenance.json, timings.json, detections/*.csv and the TensorBoard events of training.
What is missing is said to be.
Writes results/report.html and results/report/*.csv; last results/report.json, the digests of all of them, by which the
next run sees that nothing has changed.
"""

from pathlib import Path

from actionpipe.competition.file import find, load
from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flags import CompetitionFile, DataFolder, run
from actionpipe.storage import locks, unchanged
from actionpipe.storage.workspace import Workspace


@locks.one_at_a_time("report", lambda given: locks.fusion_lock(given["data"]))
def report(data: Path, competition: Path | None = None) -> Path:
    """Write the report of the results under ``data`` where it is out of date; return the page.

    Args:
        data: the DATA folder.
        competition: the competition file or a shipped one's name; see ``competition.find`` for the default.

    Raises:
        UserError: no such folder, no competition file, or classes that nobody knows.
    """
    from actionpipe.fusion.source_files import report_sources

    if not data.is_dir():
        raise UserError(f"no folder at {data}; name the folder with the tables and results: --data DATA")
    workspace, path = Workspace(data), find(data, competition)
    asked = load(path)
    sources = report_sources(workspace, asked, path)
    record = unchanged.Record(workspace.results / "report.json", data, "report")
    if record.read(sources) is not None:
        print(unchanged.SAID)
        return workspace.report

    from actionpipe.data.user_tables import resolve_competition
    from actionpipe.report.write_report import write_report

    read = unchanged.digests(sources)
    record.write(read, write_report(workspace, resolve_competition(workspace, asked)), {})
    return workspace.report


def command(
    data: DataFolder = Path("data"),
    competition: CompetitionFile = None,
) -> ExitCode:
    """Write DATA/results/report.html: how good the result is, why, and where it fails; one file that opens anywhere.

    Every number on it stands in a table under DATA/results/report too.
    """
    print(f"report: {report(data, competition)}")
    return ExitCode.OK


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
