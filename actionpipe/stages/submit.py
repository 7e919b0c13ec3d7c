"""Checks a submission against the template, and packs it for upload.

Reads the submission (results/final.csv unless told), sample_submission.csv and, when the classes are ``auto``,
train.csv. Writes the zip file that ``--zip`` names, if any.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actionpipe.competition.file import find, load
from actionpipe.errors import ExitCode, UserError
from actionpipe.runtime import terminal
from actionpipe.stages.flags import CompetitionFile, DataFolder, run
from actionpipe.storage.workspace import Workspace

if TYPE_CHECKING:
    from actionpipe.fusion.check_submission import Checked


def submit(
    data: Path, submission: Path | None = None, *, archive: Path | None = None, competition: Path | None = None
) -> ExitCode:
    """Check a submission, print what it holds, and write it into a zip file when asked.

    Args:
        data: the DATA folder.
        submission: the file to check; ``results/final.csv`` when None.
        archive: a zip file to write once the check has passed; the same CSV gives the same bytes.
        competition: the competition file or a shipped one's name; see ``competition.find`` for the default.

    Raises:
        UserError: the submission, the template or the name of the zip file is wrong; nothing was written.
    """
    from actionpipe.data.user_tables import resolve_competition
    from actionpipe.fusion.check_submission import check_submission

    workspace = Workspace(data)
    path = submission or workspace.final
    if archive is not None and (archive.suffix.lower() != ".zip" or archive.is_dir()):
        raise UserError(f"--zip {archive} must name a file that ends with .zip, such as {path.stem}.zip")
    if archive is not None and archive.resolve() == path.resolve():
        raise UserError(f"--zip {archive} is the file to check; give the zip file another name")
    if submission is None and not path.exists():
        raise UserError(
            f"no submission at {path}; make it: python postprocess.py --data {data}; or name one: --check FILE"
        )
    resolved = resolve_competition(workspace, load(find(data, competition)))
    checked = check_submission(path, workspace.sample_submission, resolved.table, resolved.class_names)
    _show(checked)
    if archive is not None:
        write_zip(archive, checked)
        print(f"packed: {archive}, which holds {path.name}")
    return ExitCode.OK


def write_zip(path: Path, checked: "Checked") -> None:
    """Write the file that was checked into a zip file, atomically; the same content and name give the same bytes."""
    import zipfile

    from actionpipe.storage.atomic import atomic

    entry = zipfile.ZipInfo(checked.path.name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # else it is another on Windows
    entry.external_attr = 0o644 << 16
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        file.writestr(entry, checked.content)


def _show(checked: "Checked") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console = terminal.console()
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("class", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    for name, count in checked.count_of_class.items():
        table.add_row(name, str(count))
    console.print(table)
    for warning in checked.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    console.print(f"{checked.path!s} fits the template: {checked.rows} rows", soft_wrap=True)


def command(
    data: DataFolder = Path("data"),
    check: Annotated[
        Path | None, typer.Option(help="The submission; DATA/results/final.csv unless told.", metavar="FILE")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--zip", help="Pack the submission when it is right.", metavar="OUT.zip")
    ] = None,
    competition: CompetitionFile = None,
) -> ExitCode:
    """Check a submission against DATA/sample_submission.csv, all faults at once, and pack it for upload."""
    return submit(data, check, archive=archive, competition=competition)


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
