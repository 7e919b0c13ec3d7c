"""Optimiser and schedules of a run that goes on, with the steps an epoch that it had or with others."""

import warnings
from typing import Any

from mmengine.dist import is_main_process

from actionpipe.errors import UserError


def restore(runner: Any, checkpoint: dict[str, Any], *, same_steps: bool) -> None:
    """Give a run the optimiser and the schedules of ``checkpoint``, at the position that its loop has.

    With as many steps an epoch as before everything is as it was, to the bit. With others, the schedules are those of
    a run that had had these steps from the beginning: counted in steps, they would end at other epochs, and a warm-up
    of part of an epoch may have no step left.

    Args:
        runner: its optimiser and schedules are new, its loop stands where the run goes on.
        checkpoint: what ``BestAndLastHook`` has saved.
        same_steps: whether an epoch has as many steps as when it was saved.

    Raises:
        UserError: a schedule follows the metric, and there are more or fewer schedules than before; or the state of one
            is of something else.
    """
    schedulers, states = runner.param_schedulers, checkpoint["param_schedulers"]
    if len(schedulers) == len(states) and (same_steps or any(map(_follows_the_metric, schedulers))):
        runner.optim_wrapper.load_state_dict(checkpoint["optimizer"])
        for scheduler, state in zip(schedulers, states, strict=True):
            # Its entries become attributes of the schedule as they are.
            if not isinstance(state, dict) or not set(state) <= set(scheduler.state_dict()):
                raise UserError("what last.pth says of its schedules is no such thing; begin anew with --no-resume")
            scheduler.load_state_dict(state)
        return
    if any(map(_follows_the_metric, schedulers)):
        raise UserError(
            f"{len(states)} schedules were saved, and with this number of processes or batch size there are "
            f"{len(schedulers)}, one of which follows the metric: go on with the batch of {checkpoint['batch']} "
            "over all processes that the run began with, or begin anew with --no-resume"
        )
    _replay(runner)
    groups = [{key: value for key, value in group.items() if key != "params"} for group in _groups(runner)]
    runner.optim_wrapper.load_state_dict(checkpoint["optimizer"])
    for group, replayed in zip(_groups(runner), groups, strict=True):
        group.update(replayed)
    if is_main_process():
        print(
            f"the batch is another than before ({checkpoint['batch']}); the schedules follow the epochs, now of "
            f"{len(runner.train_loop.dataloader)} steps",
            flush=True,
        )


def _replay(runner: Any) -> None:
    """Take the schedules through all steps and epochs before the loop's position."""
    loop = runner.train_loop
    by_epoch = [one for one in runner.param_schedulers if getattr(one, "by_epoch", True)]
    by_step = [one for one in runner.param_schedulers if not getattr(one, "by_epoch", True)]
    steps = len(loop.dataloader)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimiser itself takes no step
        for step in range(loop._iter):
            for one in by_step:
                one.step()
            if (step + 1) % steps == 0:
                for one in by_epoch:
                    one.step()


def _groups(runner: Any) -> list[dict[str, Any]]:
    return list(runner.optim_wrapper.param_groups)


def _follows_the_metric(scheduler: Any) -> bool:
    return bool(getattr(scheduler, "need_val_args", False))
