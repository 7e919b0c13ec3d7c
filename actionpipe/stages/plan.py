"""Proposes a competition file, with the reason of each choice above it.

Reads, under DATA, train.csv and, as far as they are there, sample_submission.csv, the manifests of
{train,test}_raw_frame, and train_boxes.csv or a COCO file. Writes competition.yaml; where there is one already,
competition.proposed.yaml.
"""

from pathlib import Path
from typing import Annotated

import typer

from actionpipe.errors import ExitCode, UserError
from actionpipe.stages.flags import DataFolder, run
from actionpipe.storage.workspace import Workspace


def plan(data: Path, out: Path | None = None, *, memory_gib: float | None = None) -> ExitCode:
    """Propose a competition file for the tables under ``data`` and this machine.

    Args:
        data: the DATA folder; only ``train.csv`` must be there.
        out: where to write it; ``DATA/competition.yaml``, or ``DATA/competition.proposed.yaml`` beside it, when None.
        memory_gib: of one GPU, or of a machine without; what is found when None.

    Raises:
        UserError: a table is wrong, there are too few classes or clips, or ``out`` is there already.
    """
    from actionpipe.competition.file import own_file
    from actionpipe.planning.machine import find_machine
    from actionpipe.planning.proposal import propose
    from actionpipe.storage.atomic import write_text

    own = own_file(data)
    if out is not None and out.exists():
        raise UserError(f"--out {out} is there already and is left as it is; move it away, or name another file")
    path = out or (data / "competition.proposed.yaml" if own.exists() else own)
    proposal = propose(Workspace(data), find_machine(memory_gib))
    write_text(path, proposal.text)
    for note in proposal.notes:
        print(f"note: {note}")
    if out is None and path != own:
        print(f"{own} is there already and is left as it is")
    print(f"proposed: {path}; read it, change what you know better, then: {_next(data, path, own)}")
    return ExitCode.OK


def _next(data: Path, path: Path, own: Path) -> str:
    command = f"python preprocess.py --data {data}"
    return command if path == own else f"{command} --competition {path}"


def command(
    data: DataFolder = Path("data"),
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; DATA/competition.yaml unless told.", metavar="FILE")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(help="GiB of one GPU, or of a machine without; else what is found.", metavar="GB")
    ] = None,
) -> ExitCode:
    """Propose a competition file from the tables, the extracted frames and this machine."""
    return plan(data, out, memory_gib=memory)


def main() -> None:
    """The command line."""
    run(command)


if __name__ == "__main__":
    main()
