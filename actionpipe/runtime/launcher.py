"""torchrun, which says in one line which of its processes died, and gives on what they said by their exit status.

Takes torchrun's arguments:
``python -m actionpipe.runtime.launcher --standalone --nproc-per-node=2 -m MODULE ARGUMENTS``.
"""

import sys

from actionpipe.errors import ExitCode
from actionpipe.runtime import stopping


def launch(arguments: list[str]) -> int:
    """Run torchrun; the exit status of the process that failed first, 1 when it was killed."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    try:
        main(arguments)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:
            return failure.exitcode
        print(
            f"process {rank} (pid {failure.pid}) was killed by signal {-failure.exitcode}; the others were ended",
            file=sys.stderr,
        )
        return ExitCode.FAILED
    return ExitCode.OK


if __name__ == "__main__":
    stopping.obey()
    sys.exit(launch(sys.argv[1:]))
