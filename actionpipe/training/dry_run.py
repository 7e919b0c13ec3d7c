"""What a run would be: the resolved recipe, the network's size and cost, memory and time of an epoch, from a few steps.

Trains in a temporary folder; nothing in DATA is written but the frame cache.
"""

import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from actionpipe.nn.flop_count import count_flops
from actionpipe.runtime.duration import duration
from actionpipe.storage.atomic import scratch_folder
from actionpipe.training.prepare import Job, prepared

STEPS = 4
"""Steps that are taken; the first is not timed, as memory is set up and kernels are chosen in it."""


@dataclass(frozen=True)
class Estimate:
    """What a few steps have shown."""

    parameters: int
    trained: int
    """Parameters that learn."""
    flops: int
    """Multiplications and additions of a forward pass of one sample."""
    memory_gib: float
    """Peak of this process (CPU) or of the GPU."""
    step_seconds: float
    steps: int
    """Of an epoch."""
    epochs: int


def show(job: Job) -> None:
    """Print the resolved recipe of ``job`` and what it costs."""
    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    recipe, _ = prepared(replace(job, resume=False))
    text = recipe.pretty_text
    found = measure(recipe, job)
    epoch = found.step_seconds * found.steps
    print(text)
    lines = {
        "parameters": f"{found.parameters / 1e6:.2f} M, {found.trained / 1e6:.2f} M of them learn",
        "forward pass": f"{found.flops / 1e9:.2f} GFLOPs a sample (a multiplication and an addition count as two)",
        "memory": f"{found.memory_gib:.1f} GiB at the peak of {STEPS} steps of {recipe.train_batch} samples",
        "step": f"{found.step_seconds:.2f} s, {recipe.train_batch / found.step_seconds:.1f} samples a second",
        "epoch": f"{found.steps} steps, {duration(epoch)}, validation not counted",
        "run": f"{found.epochs} epochs, {duration(epoch * found.epochs)}",
    }
    print(f"# {job.member} fold {job.fold}")
    for name, value in lines.items():
        print(f"{name:13} {value}")


def measure(recipe: Any, job: Job) -> Estimate:
    """Take ``STEPS`` steps of a prepared recipe, in a folder that is then removed."""
    import torch

    from actionpipe.training.loading import loader_errors
    from actionpipe.training.runner import Run

    keep = {"EpochLineHook", "BestAndLastHook"}  # they print and save
    recipe.custom_hooks = [hook for hook in recipe.custom_hooks if hook["type"] not in keep]
    recipe.val_dataloader = recipe.val_cfg = recipe.val_evaluator = None
    with scratch_folder() as folder:
        run = Run.from_recipe(recipe, folder, seed=job.seed, device=job.device)
        loop = run.build_train_loop(run._train_loop)
        run._train_loop = loop
        run.optim_wrapper = run.build_optim_wrapper(run.optim_wrapper)
        run._init_model_weights()
        seconds = []
        with loader_errors():
            batches = iter(loop.dataloader)
            batch = next(batches)
            for step in range(STEPS):
                started = time.perf_counter()
                loop._train(batch, step)
                if job.device == "cuda":
                    torch.cuda.synchronize()
                batch = next(batches, batch)
                seconds.append(time.perf_counter() - started)
            del batches
        plain: Any = getattr(run.model, "module", run.model)
        return Estimate(
            parameters=sum(weight.numel() for weight in plain.parameters()),
            trained=sum(weight.numel() for weight in plain.parameters() if weight.requires_grad),
            flops=count_flops(plain, {key: value[:1] for key, value in batch.items()})["Global"],
            memory_gib=peak_gib(job.device),
            step_seconds=min(seconds[1:]),
            steps=len(loop.dataloader),
            epochs=loop.max_epochs,
        )


def peak_gib(device: str) -> float:
    """The most memory held so far, in GiB: of the GPU by torch, or of this process."""
    import resource

    import torch

    if device == "cuda":
        return torch.cuda.max_memory_reserved() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """``python -m actionpipe.training.dry_run JSON``: what the train stage starts for ``--dry-run``."""
    from actionpipe.runtime.command import work

    sys.exit(work(lambda text: show(Job.from_json(text))))


if __name__ == "__main__":
    main()
