"""Behaviours: what moves where, in the metres of the street."""

import numpy as np
import pytest

from actionpipe.sample_data.actors import draw_person, make_look, stand, tilted, walk
from actionpipe.sample_data.behaviours import (
    BEHAVIOURS,
    fall_down,
    fighting,
    jay_walk,
    normal,
    putup_umbrella,
    ride_kick,
)
from actionpipe.sample_data.brush import Brush
from actionpipe.sample_data.passers import passers
from actionpipe.sample_data.paths import Path
from actionpipe.sample_data.scene import make_scene

SECONDS = 4.0
SEEDS = range(40)


def test_classes_stand_in_the_order_of_the_original_challenge() -> None:
    assert list(BEHAVIOURS) == [
        "putup_umbrella",
        "ride_kick",
        "fall_down",
        "driveway_walk",
        "jay_walk",
        "ride_moto",
        "ride_cycle",
        "fighting",
        "normal",
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_jay_walker_steps_over_the_kerb_away_from_the_crossing(seed: int) -> None:
    scene = make_scene("s00", seed)
    [actor] = jay_walk(np.random.default_rng(seed), scene, SECONDS)
    start, end = actor.place(0.0), actor.place(SECONDS)
    assert -scene.pavement < start[1] < -0.1
    assert end[1] > 0.5
    if scene.crossing is not None:
        half_width = 0.9 * 2.5
        for time in np.linspace(0, SECONDS, 9):
            along, out = actor.place(time)
            assert out < 0 or abs(along - scene.crossing) > half_width - 0.9, "on the crossing nobody jay-walks"


@pytest.mark.parametrize("seed", SEEDS)
def test_normal_people_stay_on_the_pavement(seed: int) -> None:
    scene = make_scene("s00", seed)
    for actor in normal(np.random.default_rng(seed), scene, SECONDS):
        assert all(-scene.pavement - 0.1 < actor.place(time)[1] < 0 for time in np.linspace(0, SECONDS, 9))


def test_kick_scooters_go_both_ways_over_the_kerb_and_along_it() -> None:
    ways = set()
    for seed in SEEDS:
        [rider] = ride_kick(np.random.default_rng(seed), make_scene("s00", seed), SECONDS)
        outwards = rider.place(SECONDS)[1] - rider.place(0.0)[1]
        ways.add("along" if abs(outwards) < 0.05 else "out" if outwards > 0 else "back")
    assert ways == {"along", "out", "back"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fallen_stay_where_they_fell_long_enough_to_be_counted(seed: int) -> None:
    [actor] = fall_down(np.random.default_rng(seed), make_scene("s00", seed), 40 / 15)
    assert actor.label == "fall_down"
    assert actor.place(actor.boxed_from) == actor.place(40 / 15)
    assert (40 / 15 - actor.boxed_from) * 15 > 11, "the rules want more than ten boxes even in the shortest clip"


def test_the_lying_are_wider_than_high_and_the_standing_are_not() -> None:
    look = make_look(np.random.default_rng(0))
    for angle, lying in ((0.0, False), (1.5, True), (-1.5, True)):
        brush = Brush(np.zeros((200, 200, 3), np.uint8), (100.0, 150.0), 40.0)
        draw_person(brush, look, tilted(walk(look, 1.0, 1.0), angle))
        assert brush.box is not None
        xmin, ymin, xmax, ymax = brush.box
        assert (xmax - xmin > 1.5 * (ymax - ymin)) == lying


@pytest.mark.parametrize("sideways", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("phase", np.linspace(0, 6, 7))
def test_a_walker_points_neither_way(phase: float, sideways: float) -> None:
    pose = walk(make_look(np.random.default_rng(1)), phase, sideways)
    for x in (pose.hip[0], pose.shoulder[0], pose.head[0]):
        assert x == 0
    for pair in (pose.feet, pose.knees, pose.hands, pose.elbows):
        assert pair[0][0] + pair[1][0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_fighters_stay_within_reach(seed: int) -> None:
    one, other = fighting(np.random.default_rng(seed), make_scene("s00", seed), SECONDS)
    for time in np.linspace(0, SECONDS, 30):
        assert 0.4 < other.place(time)[0] - one.place(time)[0] < 1.2


def test_passers_go_either_way_and_are_never_boxed() -> None:
    scene = make_scene("s00", 3)
    directions = set()
    for seed in SEEDS:
        for actor in passers(np.random.default_rng(seed), scene, SECONDS):
            assert actor.label is None
            directions.add(np.sign(actor.place(SECONDS)[0] - actor.place(0.0)[0]))
    assert directions == {-1, 0, 1}


def test_a_path_and_its_reverse_meet() -> None:
    path = Path((1.0, -1.0), (2.0, 3.0), SECONDS)
    for time in (0.0, 1.0, SECONDS):
        assert path.reversed().at(SECONDS - time) == pytest.approx(path.at(time))
    assert path.travelled(SECONDS) == pytest.approx(np.hypot(1, 4))
    assert Path.still((1.0, 2.0)).ahead == 0


def test_leaning_moves_the_head_and_not_the_feet() -> None:
    look = make_look(np.random.default_rng(2))
    upright, leaning = (stand(look, ((0.0, -0.5), (0.0, -0.5)), lean) for lean in (0.0, 0.2))
    assert leaning.feet == upright.feet
    assert leaning.head[0] > upright.head[0]


@pytest.mark.parametrize("seed", range(30))
def test_the_open_umbrella_is_seen_over_the_head(seed: int) -> None:
    scene = make_scene("s00", seed)
    [actor] = putup_umbrella(np.random.default_rng(seed), scene, SECONDS)
    boxes = []
    for time in (0.0, SECONDS):
        _, y, scale = scene.project(actor.place(time))
        brush = Brush(np.zeros((200, 400, 3), np.uint8), (200.0, 200 * y), 200 * scale)
        actor.draw(brush, time)
        assert brush.box is not None
        boxes.append((brush.box, 200 * scale))
    (closed, _), (opened, metre) = boxes
    assert opened[1] > 0, "the picture cuts the umbrella off"
    assert opened[3] - opened[1] > 1.95 * metre
    assert opened[2] - opened[0] > 1.2 * metre
    assert opened[1] < closed[1]
