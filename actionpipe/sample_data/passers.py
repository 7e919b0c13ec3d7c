"""Those who mean nothing: people who pass or stand about, parked and passing cars."""

import numpy as np

from actionpipe.sample_data import vehicles
from actionpipe.sample_data.actors import draw_umbrella
from actionpipe.sample_data.behaviours import PAINTS, Actor, pick, walker
from actionpipe.sample_data.brush import Brush
from actionpipe.sample_data.paths import Path, along_kerb, pass_by
from actionpipe.sample_data.scene import Scene


def passers(rng: np.random.Generator, scene: Scene, seconds: float) -> list[Actor]:
    """People, parked and passing cars that mean nothing: they are drawn alike for every class, and go either way."""
    actors = []
    for _ in range(int(rng.choice(3, p=[0.62, 0.3, 0.08]))):
        out = float(rng.uniform(-scene.pavement + 0.3, -scene.pavement * 0.6))
        speed = (0.0, 0.0) if rng.random() < 0.3 else (0.8, 1.4)
        person = walker(rng, along_kerb(rng, seconds, speed=speed, out=out, reach=3.6))
        actors.append(_sheltered(rng, person) if rng.random() < 0.08 else person)
    if rng.random() < 0.3:
        side = -float(np.sign(scene.crossing or rng.choice([-1, 1])))
        actors.append(_car(rng, Path.still((side * float(rng.uniform(4.3, 5.2)), 0.95))))
    if rng.random() < 0.12:
        actors.append(_car(rng, pass_by(rng, seconds, speed=(8.0, 11.0), out=(2.9, 3.2))))
    return actors


def _sheltered(rng: np.random.Generator, person: Actor) -> Actor:
    """Someone whose umbrella is open all the time."""
    colour = pick(rng, PAINTS)

    def draw(brush: Brush, time: float) -> None:
        person.draw(brush, time)
        draw_umbrella(brush, (0.14, 1.25), 0.05, 1.0, colour)

    return Actor(person.place, draw)


def _car(rng: np.random.Generator, path: Path) -> Actor:
    colour = pick(rng, [*PAINTS, (150, 154, 160), (96, 100, 108)])

    def draw(brush: Brush, _time: float) -> None:
        vehicles.draw_car(brush, colour)

    return Actor(path.at, draw)
