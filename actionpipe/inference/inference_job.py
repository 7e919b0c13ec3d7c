"""Works off prediction tasks, in one process or as one of torchrun's.

Reads checkpoints, lists and frames or videos. Writes ``results/scores/*.csv`` and ``results/detections/*.csv``, each
with a JSON beside it that says what it was made from.
"""

from collections.abc import Sequence

from actionpipe.inference import reference
from actionpipe.inference.detect_frames import detect, groups_of, is_decided
from actionpipe.inference.job import InferenceJob
from actionpipe.inference.run_context import RunContext
from actionpipe.inference.score_clips import score
from actionpipe.inference.tasks import Task, is_current
from actionpipe.training.train_job import end_process, start_processes


def run_tasks(tasks: Sequence[Task], context: RunContext) -> None:
    """Make every table that is missing or out of date: first the scores, which tell where the detector must look."""
    scores = [task for task in tasks if task.kind == "clips" and not is_current(task, context.inputs(task))]
    if context.engine.name == "reference":
        reference.score(scores, context)
    else:
        score(scores, context)
    for group in groups_of([task for task in tasks if task.kind == "frames"]):
        if is_decided(group, context):
            continue
        if context.engine.name == "reference":
            reference.detect(group, context)
        else:
            detect(group, context)


def run_job(argument: str) -> None:
    """Do what the inference stage wrote into ``argument`` (``InferenceJob`` as JSON)."""
    import torch

    from actionpipe.openmmlab import activation, registration

    activation.activate()
    registration.register()
    job = InferenceJob.from_json(argument)
    engine = job.context.engine
    start_processes(engine.device)
    if engine.name != "reference":
        torch.set_num_threads(engine.threads)
        # fp32 is to mean that: by default cuDNN rounds the factors of its convolutions to 10 bits.
        torch.backends.cudnn.allow_tf32 = engine.precision != "fp32"
    run_tasks(job.tasks, job.context)


def main() -> None:
    """``python -m actionpipe.inference.inference_job JSON``: what the inference stage starts."""
    from actionpipe.runtime.command import work

    end_process(work(run_job))


if __name__ == "__main__":
    main()
