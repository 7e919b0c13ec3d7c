"""Changed files, for a time: nothing but success or a message may come of them.

    pytest tests/fuzz                                     two minutes over all targets, as in CI
    pytest tests/fuzz --fuzz-minutes 60 --fuzz-seed 7     an hour, with other inputs
    pytest tests/fuzz -k weights --fuzz-minutes 5         one target alone

A failing input is kept with what it did; the end of the run names the folder and how to run it again. Once it is mended
it becomes an ordinary test beside the module that read it.
"""

from pathlib import Path

import pytest
import watch
from fuzz_report import kept_in
from targets import TARGETS, Target
from watch import HANG, Tally, fuzz
from worker import Bench


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_changed_files(target: Target, request: pytest.FixtureRequest) -> None:
    seconds = request.config.getoption("--fuzz-minutes") * 60
    chosen = [item.callspec.params["target"] for item in request.session.items if item.get_closest_marker("fuzz")]
    share = target.share / sum(other.share for other in chosen)
    tally = fuzz(target.name, seconds * share, request.config.getoption("--fuzz-seed"), kept_in(request.config))
    request.node.user_properties.append(("fuzz", tally.as_dict()))
    assert not tally.failures, "\n".join(line for lines in tally.failures.values() for line in lines)


def test_the_watch_notices_what_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets made to fail in each way: an exception, a hang, a death, memory."""
    worker = tmp_path / "worker.py"
    source = Path(watch.WORKER).read_text()
    marker = "from targets import TARGETS, Target\n"
    assert marker in source
    broken = """
from targets import Target
def _make(folder): (folder / "a.txt").write_text("good")
def _read(folder):
    if (folder / "a.txt").read_bytes() == b"good":
        return
    how = os.environ["HOW"]
    if how == "exception":
        raise KeyError("a")
    if how == "hang":
        time.sleep(1000)
    if how == "death":
        os.kill(os.getpid(), 11)
    if how == "memory":
        b"x" * 2**30
TARGETS = {"broken": Target("broken", _make, _read, {"*.txt": "bytes"})}
"""
    before = f"import os, sys\nsys.path.insert(0, {str(watch.WORKER.parent)!r})\n"
    worker.write_text(before + source.replace(marker, broken))
    monkeypatch.setattr(watch, "WORKER", worker)
    words = {"exception": "KeyError", "hang": "hang: more than 4", "death": "killed by SIGSEGV", "memory": "grew by"}
    for how, word in words.items():
        monkeypatch.setenv("HOW", how)
        tally: Tally = fuzz("broken", 8, 0, tmp_path / how, hang=4.0)
        assert tally.failed >= 1, how
        assert tally.accepted >= 1
        assert word in next(iter(tally.failures.values()))[0]
        assert list((tmp_path / how).glob("broken-0-*.txt"))
    assert HANG > 4


def test_the_same_seed_gives_the_same_inputs(tmp_path: Path) -> None:

    inputs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        bench = Bench(TARGETS["competition"], 3, tmp_path / name)
        inputs.append([bench.input(number) for number in range(60)])
    assert inputs[0] == inputs[1]
    assert len({content for _, content in inputs[0]}) > 40
