import os
import subprocess
import sys
from pathlib import Path

import pytest
from clips import write_video

WORK = """
import os, sys
from pathlib import Path
from actionpipe.video.discover import Source
from actionpipe.storage.manifest import Settings
from actionpipe.video.extract_task import Task, work
assert not {"numpy", "cv2"} & set(sys.modules)
path, out = map(Path, sys.argv[1:])
print(work(Task(Source(path, path.name, "a_frames"), out, Settings(), None)).frames)
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists the threads of a process there")
def test_a_worker_has_one_thread(tmp_path):
    write_video(tmp_path / "a.mp4", frames=3)
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", WORK, tmp_path / "a.mp4", tmp_path / "out"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["3", "1"]
