"""What moves how: one function a class, each returning the actors of a clip.

Times are seconds from the start of the clip. Places are (along, out) on the ground of the scene, in metres.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from actionpipe.sample_data import vehicles
from actionpipe.sample_data.actors import Look, Pair, draw_person, draw_umbrella, make_look, stand, tilted, walk
from actionpipe.sample_data.brush import Brush
from actionpipe.sample_data.paths import Path, across, along_kerb, pass_by, spot
from actionpipe.sample_data.scene import Colour, Point, Scene

PAINTS: list[Colour] = [(198, 42, 40), (36, 88, 178), (238, 196, 48), (40, 42, 48), (230, 230, 226), (52, 142, 92)]
BRIGHT: list[Colour] = [(230, 60, 50), (60, 130, 230), (250, 210, 60), (240, 240, 236), (80, 200, 120)]
"""For kick scooters, which are small: they are seen on dark asphalt too."""


@dataclass(frozen=True)
class Actor:
    """Someone or something in a clip."""

    place: Callable[[float], Point]
    """Where it stands at a time."""
    draw: Callable[[Brush, float], None]
    """Draws it as it is at a time, around its place."""
    label: str | None = None
    """The detector's class, for what is to be boxed."""
    boxed_from: float = 0.0
    """Seconds; before that there is no box."""


Behaviour = Callable[[np.random.Generator, Scene, float], list[Actor]]
"""(random numbers, scene, seconds) -> the actors of the clip."""


def walker(rng: np.random.Generator, path: Path) -> Actor:
    """A person who walks along a path, or stands when it has no length."""
    look = make_look(rng)
    step = look.height * float(rng.uniform(0.4, 0.46))
    start = float(rng.uniform(0, 2 * np.pi))

    def draw(brush: Brush, time: float) -> None:
        brush.shadow((0.32, 0.1))
        phase = start + np.pi * path.travelled(time) / step
        draw_person(brush, look, walk(look, phase, path.sideways))

    return Actor(path.at, draw)


def jay_walk(rng: np.random.Generator, scene: Scene, seconds: float) -> list[Actor]:
    """A person steps from the pavement over the kerb into the carriageway. In reverse it is ``driveway_walk``."""
    return [walker(rng, across(rng, scene, seconds, speed=(0.95, 1.4)))]


def ride_kick(rng: np.random.Generator, scene: Scene, seconds: float) -> list[Actor]:
    """A person glides along on a kick scooter, upright, on the paths that walkers take."""
    look, colour = make_look(rng), pick(rng, BRIGHT)
    if rng.random() < 0.75:
        path = across(rng, scene, seconds, speed=(1.2, 1.8))
        path = path.reversed() if rng.random() < 0.5 else path
    else:
        path = along_kerb(rng, seconds, speed=(1.3, 2.4), out=float(rng.uniform(0.5, 2.2)))
    rhythm, phase = float(rng.uniform(0.3, 0.6)), float(rng.uniform(0, 6))

    def draw(brush: Brush, time: float) -> None:
        sway = 0.03 * float(np.sin(2 * np.pi * rhythm * time + phase))
        vehicles.draw_kick_scooter(brush, look, colour, sway, path.ahead)

    return [Actor(path.at, draw, label="ride_kick")]


def fall_down(rng: np.random.Generator, scene: Scene, seconds: float) -> list[Actor]:
    """A person far away walks, falls and stays lying."""
    look = make_look(rng)
    falls = float(rng.uniform(0.2, 0.4)) * seconds
    lasts = float(rng.uniform(0.4, 0.6))
    if rng.random() < 0.7:
        out = float(rng.uniform(-scene.pavement + 0.3, -scene.pavement * 0.4))
        path = along_kerb(rng, seconds, speed=(0.8, 1.3), out=out)
    else:
        path = across(rng, scene, seconds, speed=(0.8, 1.1))
    side = float(np.sign(path.ahead) or 1.0)
    rest, start = float(rng.uniform(1.42, 1.6)), float(rng.uniform(0, 6))
    squeeze = float(rng.uniform(0.8, 1.0))

    def draw(brush: Brush, time: float) -> None:
        fallen = float(np.clip((time - falls) / lasts, 0, 1)) ** 1.6
        brush.shadow((0.32 + 0.3 * fallen, 0.1))
        pose = walk(look, start + np.pi * path.travelled(min(time, falls)) / 0.72, path.sideways)
        if fallen > 0:
            pose = tilted(pose, side * rest * fallen, 1 - (1 - squeeze) * fallen)
        draw_person(brush, look, pose)

    def place(time: float) -> Point:
        return path.at(min(time, falls + 0.3 * lasts))

    return [Actor(place, draw, label="fall_down", boxed_from=falls + lasts * 0.95)]


def putup_umbrella(rng: np.random.Generator, _scene: Scene, seconds: float) -> list[Actor]:
    """A person lifts a closed umbrella and opens it over the head."""
    look, colour = make_look(rng), pick(rng, [*PAINTS, (212, 96, 160), (120, 72, 160)])
    starts = float(rng.uniform(0.15, 0.35)) * seconds
    lifts, opens = float(rng.uniform(0.5, 0.8)), float(rng.uniform(0.35, 0.6))
    side = float(rng.choice([-1, 1]))
    walks = rng.random() < 0.5
    speed = (0.4, 0.9) if walks else (0.0, 0.0)
    path = along_kerb(rng, seconds, speed=speed, out=float(rng.uniform(-2.0, -0.4)))

    def draw(brush: Brush, time: float) -> None:
        brush.shadow((0.35, 0.1))
        raised = _smooth((time - starts) / lifts)
        opened = _smooth((time - starts - lifts) / opens)
        hand = (side * (0.26 - 0.06 * raised), look.height * (0.46 + 0.3 * raised))
        if walks:
            pose = walk(look, np.pi * path.travelled(time) / 0.7, path.sideways)
        else:
            pose = stand(look, ((-side * 0.22, -0.55), (0.0, 0.0)))
        elbow = (side * 0.27, look.height * (0.6 + 0.02 * raised))
        held = _with_hand(pose.hands, pose.elbows, hand, elbow)
        pose = type(pose)(pose.hip, pose.shoulder, pose.head, pose.knees, pose.feet, held[1], held[0])
        draw_person(brush, look, pose)
        draw_umbrella(brush, hand, side * ((1 - raised) * 2.8 - 0.12 * raised), opened, colour)

    return [Actor(path.at, draw)]


def ride_moto(rng: np.random.Generator, _scene: Scene, seconds: float) -> list[Actor]:
    """A motorcyclist with a helmet rides along the carriageway."""
    look, colour = make_look(rng), pick(rng, PAINTS)
    path = pass_by(rng, seconds, speed=(3.2, 4.8), out=(0.6, 1.8))

    def draw(brush: Brush, time: float) -> None:
        bounce = 0.012 * float(np.sin(31 * time))
        vehicles.draw_motorcycle(brush, look, colour, bounce, path.ahead)

    return [Actor(path.at, draw)]


def ride_cycle(rng: np.random.Generator, _scene: Scene, seconds: float) -> list[Actor]:
    """A cyclist pedals along the carriageway."""
    look, colour = make_look(rng), pick(rng, PAINTS)
    path = pass_by(rng, seconds, speed=(1.9, 2.8), out=(0.6, 1.8))

    def draw(brush: Brush, time: float) -> None:
        vehicles.draw_bicycle(brush, look, colour, path.travelled(time) / 0.85, path.ahead)

    return [Actor(path.at, draw)]


def fighting(rng: np.random.Generator, _scene: Scene, _seconds: float) -> list[Actor]:
    """Two people close together strike at each other and sway to and fro."""
    out = float(rng.uniform(-2.2, -0.4) if rng.random() < 0.75 else rng.uniform(0.5, 2.0))
    centre = spot(rng, out)
    pace, phase = float(rng.uniform(0.5, 0.8)), float(rng.uniform(0, 6))
    gap, drift = float(rng.uniform(0.38, 0.46)), float(rng.uniform(0.25, 0.5))
    actors = []
    for side in (-1.0, 1.0):
        look = make_look(rng)
        beat, offset = float(rng.uniform(1.6, 2.3)), float(rng.uniform(0, 1))
        actors.append(_fighter(look, centre, (side, gap), (pace, phase, drift), (beat, offset)))
    return actors


def _fighter(look: Look, centre: Point, stance: Point, sway: tuple[float, float, float], strikes: Point) -> Actor:
    (side, gap), (pace, phase, drift), (beat, offset) = stance, sway, strikes

    def place(time: float) -> Point:
        to_and_fro = drift * float(np.sin(2 * np.pi * pace * time + phase))
        apart = gap + 0.1 * float(np.sin(2 * np.pi * 1.1 * time + 2 * phase))
        return centre[0] + to_and_fro + side * apart, centre[1] + 0.02 * side

    def draw(brush: Brush, time: float) -> None:
        brush.shadow((0.35, 0.1))
        turn = beat * time + offset
        blow = abs(float(np.sin(np.pi * turn))) ** 3
        hits = (-side * (0.16 + 0.5 * blow), -0.22 + 0.3 * blow)
        guard = (-side * (0.25 + 0.1 * (1 - blow)), -0.1)
        kick = max(0.0, float(np.sin(np.pi * turn / 2.5))) ** 6
        pose = stand(look, (hits, guard) if int(turn) % 2 else (guard, hits), -side * (0.02 + 0.16 * blow), 0.24)
        foot = (pose.feet[0][0] - side * 0.4 * kick, 0.45 * kick)
        feet: Pair = (foot, pose.feet[1])
        knees: Pair = (vehicles.bend(pose.hip, foot, -side * 0.08), pose.knees[1])
        draw_person(brush, look, type(pose)(pose.hip, pose.shoulder, pose.head, knees, feet, pose.elbows, pose.hands))

    return Actor(place, draw)


def normal(rng: np.random.Generator, _scene: Scene, seconds: float) -> list[Actor]:
    """One or two people walk along the pavement, or stand and talk."""
    out = float(rng.uniform(-2.2, -0.5))
    if rng.random() < 0.35:
        centre = spot(rng, out)
        half = float(rng.uniform(0.38, 0.6))
        return [_talker(rng, (centre[0] + side * half, out), side) for side in (-1.0, 1.0)]
    path = along_kerb(rng, seconds, speed=(0.8, 1.4), out=out)
    if rng.random() < 0.5:
        return [walker(rng, path)]
    beside = float(rng.uniform(-0.5, 0.5))
    return [walker(rng, path), walker(rng, path.shifted((beside, 0.45)))]


def _talker(rng: np.random.Generator, place: Point, side: float) -> Actor:
    look = make_look(rng)
    pace, phase = float(rng.uniform(0.2, 0.5)), float(rng.uniform(0, 6))

    def draw(brush: Brush, time: float) -> None:
        brush.shadow((0.3, 0.1))
        wave = max(0.0, float(np.sin(2 * np.pi * pace * time + phase)))
        hands = ((-side * (0.1 + 0.12 * wave), -0.56 + 0.18 * wave), (side * 0.14, -0.56))
        draw_person(brush, look, stand(look, hands))

    return Actor(Path.still(place).at, draw)


def _with_hand(hands: Pair, elbows: Pair, hand: Point, elbow: Point) -> tuple[Pair, Pair]:
    """The second hand and elbow replaced: hands, elbows."""
    return (hands[0], hand), (elbows[0], elbow)


def _smooth(progress: float) -> float:
    share = float(np.clip(progress, 0, 1))
    return share * share * (3 - 2 * share)


def pick(rng: np.random.Generator, colours: list[Colour]) -> Colour:
    """One of the colours."""
    return colours[int(rng.integers(len(colours)))]


BEHAVIOURS: dict[str, Behaviour] = {
    "putup_umbrella": putup_umbrella,
    "ride_kick": ride_kick,
    "fall_down": fall_down,
    "driveway_walk": jay_walk,  # played in reverse, see clip.py
    "jay_walk": jay_walk,
    "ride_moto": ride_moto,
    "ride_cycle": ride_cycle,
    "fighting": fighting,
    "normal": normal,
}
"""The classes, in the order of the original challenge."""
