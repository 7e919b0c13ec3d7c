"""The chain as containers run it: a read-only root, another user without a home, 64 MB to share, 256 open files."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from conftest import CHECKOUT

from actionpipe.stages.sample import write_sample

pytestmark = pytest.mark.slow

SETUP = r"""
set -e
mount --make-rprivate /
mount --bind "$DATA" "$DATA"
mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm
while read -r _ _ _ _ place _; do
  case "$place" in "$DATA"|/dev|/dev/*|/proc|/proc/*|/sys|/sys/*) continue ;; esac
  mount -o remount,bind,ro "$place" 2>/dev/null || true
done < /proc/self/mountinfo
if [ "$TEMPORARY" = yes ]; then mount -t tmpfs -o size=64m,mode=1777 tmpfs /var/tmp; fi
ulimit -n 256
cd "$CHECKOUT"
if touch "$CHECKOUT/.written" 2>/dev/null; then echo "the checkout can be written" >&2; exit 99; fi
# The user may be kept from reading the interpreter's folder; what is tried here is writing.
exec setpriv --reuid 65534 --regid 65534 --clear-groups \
  --inh-caps=-all,+dac_read_search --ambient-caps=+dac_read_search --bounding-set=-all,+dac_read_search \
  env -u HOME -u TMPDIR -u USER -u LOGNAME "$@"
"""


def confined(data: Path, *command: object, temporary: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing but ``data`` (and a place for temporary files) can be written."""
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", SETUP, "confined", *map(str, command)],
        env={
            **os.environ,
            "DATA": str(data),
            "CHECKOUT": str(CHECKOUT),
            "TEMPORARY": "yes" if temporary else "no",
            "PYTHONPATH": str(CHECKOUT),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


@pytest.fixture(scope="module")
def data():
    """A small sample in a folder that every user may write; skipped where no such place can be made."""
    if os.getuid() != 0:
        pytest.skip("mounts need root")
    folder = Path(tempfile.mkdtemp(prefix="confined-"))
    try:
        folder.chmod(0o777)
        probe = confined(folder, sys.executable, "-c", f"open({str(folder / 'x')!r}, 'w')")
        if probe.returncode != 0:
            pytest.skip(f"mounts or users are refused here: {probe.stderr.strip()}")
        write_sample(folder, train_clips=5, test_clips=1, size=(96, 64), frames=(8, 9), workers=1)
        for path in folder.rglob("*"):
            path.chmod(0o777 if path.is_dir() else 0o666)
        yield folder
    finally:
        shutil.rmtree(folder)


def run_chain(data, **how):
    flags = ["--data", data, "--train-videos", data / "train_videos", "--test-videos", data / "test_videos"]
    more = ["--competition", "sample", "--gpus", 0, "--cfg-options", "train_cfg.max_epochs=1"]
    return confined(data, sys.executable, "-m", "actionpipe.stages.chain", *flags, *more, **how)


def test_the_chain_ends_right(data):
    done = run_chain(data)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    final = pd.read_csv(data / "results" / "final.csv")
    assert len(final) == 9
    assert final["class"].notna().all()


def test_with_nothing_but_data_to_write_it_goes_on(data):
    """After the chain before: two models are trained anew, and all is scored and fused."""
    shutil.rmtree(data / "results" / "tsm_plain", ignore_errors=True)
    done = run_chain(data, temporary=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(data.glob(".tmp-*")), "what was temporary is gone"


def test_where_nothing_can_be_written_there_is_a_message(data, tmp_path):
    done = confined(data, sys.executable, "-m", "actionpipe.stages.preprocess", "--data", tmp_path)
    assert done.returncode in {1, 2}
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
