"""Kick scooters, bicycles, motorcycles with their riders, and cars."""

import numpy as np

from actionpipe.sample_data.actors import Look, Pair, Pose, draw_person
from actionpipe.sample_data.brush import Brush
from actionpipe.sample_data.scene import Colour, Point

RUBBER: Colour = (26, 26, 28)
METAL: Colour = (150, 152, 156)


def draw_kick_scooter(brush: Brush, look: Look, colour: Colour, sway: float, ahead: float) -> None:
    """Draw a person upright on a kick scooter.

    Args:
        brush: where.
        look: the rider.
        colour: of the scooter.
        sway: shift of the shoulders, in metres.
        ahead: 1 or -1 when riding to the right or the left seen from the side; nearer to 0 the more from the front.
    """
    brush.shadow((0.7, 0.14))
    turned = float(np.sign(ahead) or 1) * max(abs(ahead), 0.6)
    front, back = 0.62 * turned, -0.55 * turned
    for wheel in (front, back):
        brush.ellipse((wheel, 0.14), (0.14 * max(abs(turned), 0.5), 0.14), RUBBER)
    top = (0.42 * turned, 1.06)
    brush.line([(back, 0.16), (front * 0.8, 0.16)], 0.13, colour)
    brush.line([(front, 0.14), top], 0.11, colour)
    across = 0.1 + 0.16 * (1 - abs(turned))
    brush.line([(top[0] - across, top[1]), (top[0] + across, top[1])], 0.09, (36, 36, 38))
    height = look.height
    hip, shoulder = (-0.06 * turned, 0.53 * height + 0.14), (0.0 + sway, 0.82 * height + 0.14)
    hands: Pair = ((top[0] - 0.05 * turned - across * 0.6, 1.04), (top[0] + across * 0.6, 1.02))
    feet: Pair = ((-0.2 * turned - 0.03, 0.2), (0.08 * turned + 0.03, 0.2))
    pose = Pose(
        hip=hip,
        shoulder=shoulder,
        head=(shoulder[0] + 0.03 * turned, 0.94 * height + 0.14),
        knees=(bend(hip, feet[0], 0.05 * turned), bend(hip, feet[1], 0.05 * turned)),
        feet=feet,
        elbows=(bend(shoulder, hands[0], -0.08 * turned), bend(shoulder, hands[1], -0.08 * turned)),
        hands=hands,
    )
    draw_person(brush, look, pose)


def draw_bicycle(brush: Brush, look: Look, colour: Colour, turn: float, ahead: float) -> None:
    """Draw a cyclist seen from the side; ``turn`` of the cranks in radians, ``ahead`` 1 to the right or -1."""
    brush.shadow((0.95, 0.14))
    for wheel in (-0.52, 0.52):
        brush.ring((wheel * ahead, 0.34), (0.31, 0.31), 0.06, RUBBER)
        for spoke in range(3):
            angle = -turn * 0.6 * ahead + spoke * np.pi / 3
            x, y = 0.29 * float(np.cos(angle)), 0.29 * float(np.sin(angle))
            brush.line([(wheel * ahead - x, 0.34 - y), (wheel * ahead + x, 0.34 + y)], 0.015, METAL)
    seat, crank, fork = (-0.2 * ahead, 0.9), (-0.02 * ahead, 0.32), (0.42 * ahead, 0.88)
    rear, front = (-0.52 * ahead, 0.34), (0.52 * ahead, 0.34)
    brush.line([rear, seat, crank, rear], 0.05, colour)
    brush.line([seat, (0.4 * ahead, 0.82), crank], 0.05, colour)
    bar = (0.5 * ahead, 1.02)
    brush.line([front, fork, bar], 0.05, colour)
    brush.line([(seat[0] - 0.1, 0.94), (seat[0] + 0.1, 0.94)], 0.07, RUBBER)
    hip, shoulder = (seat[0], 1.02), (0.12 * ahead, 1.5)
    feet = []
    for half in (np.pi, 0.0):
        angle = -turn * ahead + half
        feet.append((crank[0] + 0.17 * float(np.cos(angle)), crank[1] + 0.17 * float(np.sin(angle))))
    draw_person(brush, look, _seated((hip, shoulder), (feet[0], feet[1]), bar, ahead=ahead, knee=0.2))


def draw_motorcycle(brush: Brush, look: Look, colour: Colour, bounce: float, ahead: float) -> None:
    """Draw a motorcyclist with a helmet, seen from the side; ``bounce`` in metres, ``ahead`` 1 to the right or -1."""
    brush.shadow((1.15, 0.17), 0.45)
    for wheel in (-0.68, 0.68):
        brush.disc((wheel * ahead, 0.33), 0.35, RUBBER)
        brush.disc((wheel * ahead, 0.33), 0.14, METAL)

    def at(x: float, y: float) -> Point:
        return x * ahead, y + bounce

    brush.line([at(-0.1, 0.3), at(-0.95, 0.34)], 0.11, METAL)
    brush.polygon([at(-0.42, 0.3), at(0.34, 0.3), at(0.42, 0.62), at(-0.5, 0.6)], (58, 58, 62))
    body = [at(-1.0, 0.9), at(-0.55, 0.68), at(0.1, 0.6), at(0.62, 0.66), at(0.72, 0.98), at(0.4, 1.08), at(-0.2, 0.82)]
    brush.polygon(body, colour)
    brush.line([at(-0.75, 0.88), at(-0.15, 0.84)], 0.14, (34, 32, 32))
    brush.line([(0.68 * ahead, 0.36), at(0.56, 1.0)], 0.09, METAL)
    brush.disc(at(0.72, 0.88), 0.11, (255, 240, 190))
    bar = at(0.38, 1.14)
    hip, shoulder = at(-0.32, 0.96), at(0.06, 1.44)
    feet: Pair = (at(-0.02, 0.36), at(0.04, 0.36))
    draw_person(brush, look, _seated((hip, shoulder), feet, bar, ahead=ahead, knee=0.24), helmet=(36, 38, 44))


def draw_car(brush: Brush, colour: Colour) -> None:
    """Draw a car from the side, the same at both ends so that nothing tells which way it points."""
    brush.shadow((2.2, 0.3), 0.5)
    red, green, blue = (int(channel * 0.8) for channel in colour)
    body = [(-2.0, 0.28), (2.0, 0.28), (2.02, 0.72), (1.5, 0.88), (-1.5, 0.88), (-2.02, 0.72)]
    brush.polygon([(-1.45, 0.84), (-0.9, 1.42), (0.9, 1.42), (1.45, 0.84)], (red, green, blue))
    brush.polygon([(-1.22, 0.86), (-0.82, 1.32), (-0.08, 1.32), (-0.08, 0.86)], (52, 64, 76))
    brush.polygon([(1.22, 0.86), (0.82, 1.32), (0.08, 1.32), (0.08, 0.86)], (52, 64, 76))
    brush.polygon(body, colour)
    brush.line([(-1.95, 0.5), (1.95, 0.5)], 0.04, (red, green, blue))
    for end in (-1, 1):
        brush.disc((1.25 * end, 0.32), 0.33, RUBBER)
        brush.disc((1.25 * end, 0.32), 0.17, METAL)
        brush.ellipse((1.9 * end, 0.66), (0.1, 0.07), (246, 236, 200))


def bend(start: Point, end: Point, bulge: float) -> Point:
    """The middle joint of a limb from ``start`` to ``end``, pushed ``bulge`` metres along x."""
    return (start[0] + end[0]) / 2 + bulge, (start[1] + end[1]) / 2


def _seated(trunk: Pair, feet: Pair, bar: Point, *, ahead: float, knee: float) -> Pose:
    hip, shoulder = trunk
    lean = 0.16 * ahead
    head = (shoulder[0] + lean * 0.6, shoulder[1] + 0.24)
    elbow = ((shoulder[0] + bar[0]) / 2 - 0.02 * ahead, (shoulder[1] + bar[1]) / 2 - 0.08)
    return Pose(
        hip=hip,
        shoulder=shoulder,
        head=head,
        knees=(_knee(hip, feet[0], knee * ahead), _knee(hip, feet[1], knee * ahead)),
        feet=feet,
        elbows=(elbow, elbow),
        hands=(bar, bar),
    )


def _knee(hip: Point, foot: Point, bulge: float) -> Point:
    middle = bend(hip, foot, bulge)
    return middle[0], middle[1] + 0.06
