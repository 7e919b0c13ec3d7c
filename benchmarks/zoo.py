"""The zoo: every recipe of a recogniser with what it costs and how many clips a second it scores on this machine.

    python benchmarks/zoo.py [--out docs/zoo.md] [--only slowfast_r50] [--seconds 10]

Random weights: how fast a network is does not depend on what it has learnt. One view of a video of 320x256, decoding
not counted; the engine and precision that `inference.sh` would take.
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from actionpipe.openmmlab import activation, registration

CHECKOUT = Path(__file__).resolve().parents[1]
RECIPES = CHECKOUT / "actionpipe" / "configs" / "recipes"
SIZE = (320, 256)
CLASSES = 400


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="page to write; printed when left away")
    parser.add_argument("--only", action="append", help="recipe; may be given several times")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is timed")
    given = parser.parse_args()
    activation.activate()
    registration.register()
    names = given.only or sorted(file.stem for file in RECIPES.glob("*.py") if not file.stem.startswith("faster_rcnn"))
    rows = []
    for name in names:
        rows.append(measure(name, given.seconds))
        print(" | ".join(rows[-1]), flush=True)
    text = page(rows)
    if given.out is None:
        print(text)
    else:
        given.out.write_text(text, encoding="utf-8")


def measure(name: str, seconds: float) -> list[str]:
    """A line of the table."""
    from actionpipe.inference.clip_scorer import ClipScorer, build_recogniser
    from actionpipe.inference.cost import Grey, measure_cost
    from actionpipe.inference.network_cache import Cache
    from actionpipe.inference.network_inputs import ClipInput
    from actionpipe.inference.protocol import Protocol, describe
    from actionpipe.recipes import recipe as recipes
    from actionpipe.runtime.engines import choose_engine
    from actionpipe.runtime.processes import choose

    cost = measure_cost(recipes.load(name, {}), CLASSES, SIZE, depth=0)
    recipe = recipes.load(name, {})
    said = describe(recipe, Protocol()).partition(", ")[2]
    shape = "x".join(map(str, cost.input_shape[-2:][::-1]))
    source = recipe.initial_weights.files[0] if recipe.initial_weights else "random"
    engine = choose_engine("auto", "auto", choose(1 if torch.cuda.is_available() else 0))
    torch.set_num_threads(engine.threads)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "best.pth"
        torch.save(build_recogniser(recipe, CLASSES).state_dict(), weights)
        scorer = ClipScorer(recipe, weights, CLASSES, engine, Cache(Path(folder) / "cache", {}))
        clip = ClipInput(recipe)(Grey(SIZE))[1]
        speed = clips_a_second(scorer, clip, seconds, engine.lanes)
    return [
        f"`{name}`",
        f"{cost.total.parameters / 1e6:.1f}",
        f"{cost.total.multiply_adds / 1e9:.1f}",
        f"{said}, {shape}",
        f"{speed:.2f}",
        source,
    ]


def clips_a_second(scorer: Any, clip: torch.Tensor, seconds: float, lanes: int) -> float:
    """All lanes at once, as inference does it; the first clip, in which networks are compiled, is not timed."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(scorer.score, [clip] * lanes))
        started, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - started) < seconds:
            done += len(list(pool.map(scorer.score, [clip] * lanes)))
    return done / spent


def page(rows: list[list[str]]) -> str:
    """The table as Markdown, with the machine."""
    head = ["recipe", "parameters (M)", "GFLOPs", "clip", "clips a second", "starting weights"]
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
    return f"""# The zoo

Recipes of recognisers, each a few lines in `actionpipe/configs/recipes/` on top of mmaction2's own config.
Parameters with a head of {CLASSES} classes; GFLOPs of one clip as papers count them (a multiplication and an addition
are one), as `actionpipe flops RECIPE` counts them; clips a second as `inference.sh` scores them, decoding not
counted, on {machine()} (`python benchmarks/zoo.py --out docs/zoo.md`).

{chr(10).join(lines)}

Any other config of mmaction2 that classifies clips of RGB frames works by its name,
`--recipe mmaction::recognition/csn/…`: frames are read in place of files, batch norms of process groups become plain
ones, weights that it would download are looked for in `DATA/pretrained`, and its learning rate is scaled to the batch.

Starting weights are looked for by name in `DATA/pretrained`; what of a file is taken over, adapted (2D to 3D, class
head) or left is printed and kept in `initial_weights.json`. Schedules are stretched to `train_cfg.max_epochs`.
"""


def machine() -> str:
    """Cores and instruction sets, or the GPU."""
    from actionpipe.runtime.processes import cores

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    flags = set(re.findall(r"\b(?:avx2|avx512f|avx512_vnni|avx512_bf16|amx_bf16)\b", _cpu()))
    names = {"avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "bf16", "amx_bf16": "AMX", "avx2": "AVX2"}
    found = [names[flag] for flag in ("avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{cores()} cores ({', '.join(found or ['AVX2' if 'avx2' in flags else sys.platform])})"


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    main()
