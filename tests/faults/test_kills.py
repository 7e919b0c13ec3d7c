"""A stage killed at any moment and run again leaves what one leaves that was never killed, to the byte.

``pytest tests/faults --kills 200`` is the long form. What is not compared, as it rightly tells the time, is listed in
``artefacts.py``. The moments follow from ``--kill-seed``, which is printed with the table at the end.
"""

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "preload"))
from killing import Killer, shares
from material import stages

from actionpipe.runtime import stopping

SHARES = {name: stage.kills for name, stage in stages(Path(), Path()).items() if stage.kills}


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    killer = Killer(tmp_path_factory.mktemp("kills"))
    yield killer
    killer.server.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SHARES)
def test_a_killed_stage_ends_as_one_that_was_not(
    name: str, killer: Killer, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    seed = request.config.getoption("--kill-seed")
    chance = random.Random(f"{seed} {name}")
    whole = killer.learn(name)
    found = [killer.kill(name, chance) for _ in range(shares(SHARES, request.config.getoption("--kills"))[name])]
    equal = sum(not kill.faults for kill in found)
    lines = [
        f"{name}: {len(found)} kills, {equal} reruns equal (undisturbed {whole.seconds:.1f} s, {whole.events} changes "
        f"to files; seed {seed})"
    ]
    lines += [
        f"    {kill.seconds:6.2f} s, by {kill.how:<5}  {kill.where}" + "".join(f"\n        {x}" for x in kill.faults)
        for kill in found
    ]
    record_property("kills", "\n".join(lines))
    assert equal == len(found), "\n".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SHARES)
def test_ctrl_c_ends_any_stage_with_a_line(name: str, killer: Killer, request: pytest.FixtureRequest) -> None:
    status, said = killer.interrupt(name, random.Random(f"{request.config.getoption('--kill-seed')} {name} Ctrl-C"))
    assert status == 130, said
    assert said.count(stopping.MESSAGE) == 1, said
    assert "Traceback" not in said, said


@pytest.mark.parametrize("kills", [20, 57, 200])
def test_every_stage_gets_its_share(kills: int) -> None:
    numbers = shares(SHARES, kills)
    assert sum(numbers.values()) == kills and min(numbers.values()) >= 1
