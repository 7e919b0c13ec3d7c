"""People: their looks, the poses they take, and how they are drawn.

A walker is drawn the same from the front and from the back, and his gait is the same forwards and backwards: a clip of
him played in reverse shows a person who walks the other way.
"""

from dataclasses import dataclass, replace

import numpy as np

from actionpipe.sample_data.brush import Brush
from actionpipe.sample_data.scene import Colour, Point

Pair = tuple[Point, Point]


@dataclass(frozen=True)
class Look:
    """How tall a person is (metres) and what he wears."""

    height: float
    bulk: float
    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour


@dataclass(frozen=True)
class Pose:
    """Joints in metres around the foot point: x to the right, y up."""

    hip: Point
    shoulder: Point
    head: Point
    knees: Pair
    feet: Pair
    elbows: Pair
    hands: Pair


def make_look(rng: np.random.Generator) -> Look:
    """Draw a person's height and colours."""
    shirts = [
        (186, 44, 48),
        (40, 84, 168),
        (232, 228, 220),
        (34, 38, 46),
        (222, 176, 52),
        (44, 128, 84),
        (214, 116, 44),
    ]
    trousers = [(34, 40, 62), (58, 54, 50), (104, 92, 74), (28, 28, 30), (64, 84, 118)]
    skins = [(232, 190, 160), (206, 156, 122), (140, 96, 70), (96, 64, 48)]
    hairs = [(32, 26, 24), (92, 62, 38), (170, 134, 82), (128, 126, 124)]
    return Look(
        height=float(rng.uniform(1.58, 1.86)),
        bulk=float(rng.uniform(0.9, 1.15)),
        shirt=_vary(rng, shirts),
        trousers=_vary(rng, trousers),
        skin=_vary(rng, skins),
        hair=_vary(rng, hairs),
    )


def _vary(rng: np.random.Generator, colours: list[Colour]) -> Colour:
    base = colours[int(rng.integers(len(colours)))]
    red, green, blue = (int(np.clip(channel + rng.uniform(-16, 16), 0, 255)) for channel in base)
    return red, green, blue


def walk(look: Look, phase: float, sideways: float) -> Pose:
    """A step of walking.

    Args:
        look: the walker.
        phase: radians; half a turn is one step.
        sideways: 1 when he is seen from the side, 0 from the front or the back.
    """
    height = look.height
    swing = float(np.sin(phase))
    stride = 0.5 * swing * sideways
    # From the front the legs do not part: one foot is seen lifted after the other instead.
    lift = 0.10 * swing * (1 - 0.7 * sideways)
    bob = 0.02 * float(np.cos(2 * phase))
    hip, shoulder = (0.0, 0.5 * height + bob), (0.0, 0.81 * height + bob)
    part = 0.085 * (1 - 0.6 * sideways)
    reach = 0.27 * (0.2 + 0.8 * sideways)
    side = 0.2 * look.bulk * (1 - 0.75 * sideways)
    return Pose(
        hip=hip,
        shoulder=shoulder,
        head=(0.0, 0.93 * height + bob),
        knees=_middles((hip, hip), ((stride - part, max(0, lift)), (part - stride, max(0, -lift)))),
        feet=((stride - part, max(0.0, lift)), (part - stride, max(0.0, -lift))),
        elbows=((-reach * swing * 0.6 - side, 0.63 * height), (reach * swing * 0.6 + side, 0.63 * height)),
        hands=((-reach * swing * 1.2 - side, 0.48 * height), (reach * swing * 1.2 + side, 0.48 * height)),
    )


def stand(look: Look, hands: Pair, lean: float = 0.0, part: float = 0.1) -> Pose:
    """Stand with the hands at given places relative to the shoulders; ``lean`` shifts the shoulders, in metres."""
    height = look.height
    shoulder = (lean, 0.81 * height)
    reached = (
        (shoulder[0] + hands[0][0], shoulder[1] + hands[0][1]),
        (shoulder[0] + hands[1][0], shoulder[1] + hands[1][1]),
    )
    hip = (lean * 0.3, 0.5 * height)
    feet = ((-part, 0.0), (part, 0.0))
    return Pose(
        hip=hip,
        shoulder=shoulder,
        head=(lean * 1.2, 0.93 * height),
        knees=_middles((hip, hip), feet),
        feet=feet,
        elbows=_sag(_middles((shoulder, shoulder), reached)),
        hands=reached,
    )


def tilted(pose: Pose, angle: float, squeeze: float = 1.0) -> Pose:
    """The pose turned about the foot point by ``angle`` radians to the right; ``squeeze`` shortens it along x."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))

    def turn(point: Point) -> Point:
        x, y = point
        return (x * cos + y * sin) * squeeze, y * cos - x * sin + 0.12 * abs(sin)

    def both(pair: Pair) -> Pair:
        return turn(pair[0]), turn(pair[1])

    return replace(
        pose,
        hip=turn(pose.hip),
        shoulder=turn(pose.shoulder),
        head=turn(pose.head),
        knees=both(pose.knees),
        feet=both(pose.feet),
        elbows=both(pose.elbows),
        hands=both(pose.hands),
    )


def draw_person(brush: Brush, look: Look, pose: Pose, helmet: Colour | None = None) -> None:
    """Draw a person in a pose."""
    dark = _darker(look.shirt)
    for index, trousers in enumerate((_darker(look.trousers), look.trousers)):
        brush.line([pose.hip, pose.knees[index], pose.feet[index]], 0.15 * look.bulk, trousers)
        foot = pose.feet[index]
        brush.ellipse((foot[0], foot[1] + 0.03), (0.1, 0.05), (30, 28, 28))
    brush.line([pose.shoulder, pose.elbows[0], pose.hands[0]], 0.1 * look.bulk, dark)
    brush.line([pose.hip, pose.shoulder], 0.34 * look.bulk, look.shirt)
    brush.line([pose.shoulder, pose.elbows[1], pose.hands[1]], 0.1 * look.bulk, dark)
    for hand in pose.hands:
        brush.disc(hand, 0.06, look.skin)
    radius = 0.078 * look.height
    brush.disc(pose.head, radius, look.skin)
    up = (pose.head[0] - pose.shoulder[0], pose.head[1] - pose.shoulder[1])
    length = max(1e-6, float(np.hypot(*up)))
    cap = (pose.head[0] + up[0] / length * 0.05, pose.head[1] + up[1] / length * 0.05)
    brush.disc(cap, radius * (0.9 if helmet is None else 1.15), look.hair if helmet is None else helmet)


def draw_umbrella(brush: Brush, hand: Point, angle: float, opened: float, colour: Colour) -> None:
    """Draw an umbrella held at ``hand``; ``angle`` 0 points up, in radians; ``opened`` 0 to 1."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))

    def at(across: float, along: float) -> Point:
        return hand[0] + across * cos + along * sin, hand[1] + along * cos - across * sin

    tip, half, drop = 0.95, 0.05 + 0.65 * opened, 0.7 - 0.3 * opened
    brush.line([at(0, -0.1), at(0, tip)], 0.035, (40, 36, 34))
    turns = np.linspace(0, np.pi, 13)
    dome = [at(half * float(np.cos(turn)), tip - drop + drop * float(np.sin(turn)) ** 0.8) for turn in turns]
    hem = []
    for panel in range(4):
        start = -half + panel * half / 2
        hem += [at(start, tip - drop), at(start + half / 4, tip - drop + 0.09 * opened)]
    brush.polygon([*dome, *hem], colour)
    for rib in (-0.5, 0.0, 0.5):
        brush.line([at(half * rib, tip - drop + 0.02), at(0, tip)], 0.02, _darker(colour))


def _darker(colour: Colour) -> Colour:
    red, green, blue = (int(channel * 0.78) for channel in colour)
    return red, green, blue


def _middles(first: Pair, second: Pair) -> Pair:
    (a, b), (c, d) = first, second
    return ((a[0] + c[0]) / 2, (a[1] + c[1]) / 2), ((b[0] + d[0]) / 2, (b[1] + d[1]) / 2)


def _sag(pair: Pair) -> Pair:
    return (pair[0][0], pair[0][1] - 0.06), (pair[1][0], pair[1][1] - 0.06)
