"""Where libraries keep what they compile and draw with, on machines where their usual places cannot be written.

numba, torch, matplotlib and fontconfig write below the home folder or beside their code, and some of them fail where
that is read-only, as in ``docker --read-only`` or for a user without a home. What numba compiles for an installed wheel
goes to the user's cache, never into the environment.
"""

import atexit
import contextlib
import os
import resource
import shutil
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOLDERS = {
    "XDG_CACHE_HOME": "cache",
    "MPLCONFIGDIR": "matplotlib",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
}
"""Variables that tell libraries where to keep things; those that a user has set stay."""
KERNELS = Path(__file__).parents[1] / "nn" / "cpu"
"""Where numba keeps our kernels, when it can."""
ENOUGH_FILES = 65536
_OUTPUTS = ("--data", "--output-root", "--out")


def provide(arguments: Sequence[str] | None = None) -> None:
    """Point libraries to a temporary folder where their own cannot be written; let this process open many files.

    Processes started later inherit it. Nothing is changed where everything can be written, but for
    numba's kernels of an installed wheel.

    Args:
        arguments: of the command line, for a folder that can be written when no other can; ``sys.argv`` when None.
    """
    _open_many_files()
    _provide_temporary(sys.argv if arguments is None else arguments)
    home = Path(os.environ.get("HOME") or "/nonexistent")
    needy = not _writable(home)
    installed = KERNELS.is_relative_to(sys.prefix)  # from a wheel: an environment is left as pip made it
    numba = "NUMBA_CACHE_DIR" not in os.environ and (installed or not _writable(KERNELS / "__pycache__", make=True))
    if numba and not needy and installed:
        own = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
        os.environ["NUMBA_CACHE_DIR"] = str(own / "actionpipe" / "numba")
        return
    if not needy and not numba:
        return
    folder = _own_folder()
    if folder is None:
        return
    if needy:
        for name, below in FOLDERS.items():
            os.environ.setdefault(name, str(folder / below))
        if not home.is_dir():
            os.environ["HOME"] = str(folder)
        # getpass looks for a name, and fails for a user of whom only the number is known.
        os.environ.setdefault("USER", f"user{os.getuid()}")
    if numba:
        os.environ["NUMBA_CACHE_DIR"] = str(folder / "numba")


def give_kernels(module: Path) -> None:
    """Copy the kernels of ``module`` that were compiled when it was installed to where numba keeps them now.

    It would use those beside the module only if it could write there, and compiling takes half a minute.
    """
    if "NUMBA_CACHE_DIR" not in os.environ:
        return
    from numba.core.caching import _CacheLocator

    folder = Path(os.environ["NUMBA_CACHE_DIR"]) / _CacheLocator.get_suitable_cache_subpath(str(module))
    # The index of a function (.nbi) names its kernels (.nbc), which must be there before it.
    made = [*(module.parent / "__pycache__").glob(f"{module.stem}.*.nb[ci]")]
    for source in sorted(made, key=lambda path: path.suffix == ".nbi"):
        target = folder / source.name
        with contextlib.suppress(OSError):
            if not target.exists():
                folder.mkdir(parents=True, exist_ok=True)
                part = folder / f".{source.name}.{os.getpid()}"
                shutil.copyfile(source, part)
                part.replace(target)


def _open_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _provide_temporary(arguments: Sequence[str]) -> None:
    """Set TMPDIR to a folder below the output where no usual place can be written."""
    with contextlib.suppress(OSError):
        tempfile.gettempdir()
        return
    for output in [*_named(arguments), Path("data")]:
        if _writable(output, make=output.parent.is_dir()):
            folder = Path(tempfile.mkdtemp(dir=output.absolute(), prefix=".tmp-"))
            atexit.register(_remove_own, folder, os.getpid())
            os.environ["TMPDIR"] = str(folder)
            tempfile.tempdir = None
            return


def _named(arguments: Sequence[str]) -> list[Path]:
    """Folders that a command line names for output."""
    found = []
    for place, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag in _OUTPUTS and (value or place + 1 < len(arguments)):
            path = Path(value or arguments[place + 1])
            found.append(path.parent if path.suffix else path)
    return found


def _remove_own(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _own_folder() -> Path | None:
    """A folder of this user's for all runs, which nobody else can write: kernels that are run are read from it."""
    try:
        folder = Path(tempfile.gettempdir()) / f"actionpipe-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return folder
        own = Path(tempfile.mkdtemp(prefix="actionpipe-"))
    except OSError:
        return None
    atexit.register(_remove_own, own, os.getpid())
    return own


def _writable(folder: Path, *, make: bool = False) -> bool:
    """Whether files can be made in a folder; tried, since access rights do not tell of a read-only disk."""
    try:
        if make:
            folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
