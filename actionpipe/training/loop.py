"""The training loop: begins anywhere in an epoch, steps in micro-batches, and stops before a bad step is taken."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from actionpipe.errors import UserError
from actionpipe.runtime.seeding import seed_all, seed_of_step

Batch = dict[str, Any]


class StepTooLargeError(Exception):
    """A step did not fit; ``clips`` of it at once were too many."""

    def __init__(self, clips: int) -> None:
        super().__init__(f"{clips} at once did not fit into memory")
        self.clips = clips


@LOOPS.register_module()
class StepLoop(EpochBasedTrainLoop):  # type: ignore[misc]
    """mmengine's epochs, step by step the same wherever a run was interrupted.

    Args:
        seed: what the networks' own randomness (dropout, sampled boxes) is drawn from, step by step.
        micro_batch: samples of a process's batch that are run at once; gradients of the parts add up to those of the
            whole, but batch norm sees the parts. None: all.
    """

    def __init__(self, *args: Any, seed: int = 0, micro_batch: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seed = seed
        self.micro_batch = micro_batch
        self.step = 0
        """Steps done of the epoch."""

    def run_epoch(self) -> None:
        """The rest of an epoch, from ``step`` on."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        self.dataloader.sampler.start_at(self.step)
        for index, batch in enumerate(self.dataloader, start=self.step):
            self.run_iter(index, batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1
        self.step = 0

    def run_iter(self, idx: int, data_batch: Batch) -> None:
        """One step.

        Raises:
            UserError: the loss is not a finite number; no weight was changed by it.
            StepTooLargeError: the step does not fit, and can be made smaller.
        """
        seed_all(seed_of_step(self.seed, self._epoch, idx))
        self.runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        outputs = self._train(data_batch, idx)
        self.step = idx + 1
        self.runner.call_hook("after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def _train(self, batch: Batch, index: int) -> dict[str, Any]:
        size = len(batch["inputs"])
        share = min(self.micro_batch or size, size)
        try:
            outputs = self._gradients(batch, size, share)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise StepTooLargeError(share) from error
        own = float(outputs["loss"])
        all_reduce(outputs["loss"], "mean")  # what is logged is the loss of the whole batch
        if not math.isfinite(float(outputs["loss"])):
            raise UserError(self._divergence(batch, index, own))
        wrapper = self.runner.optim_wrapper
        wrapper.step()
        wrapper.zero_grad()
        return outputs

    def _gradients(self, batch: Batch, size: int, share: int) -> dict[str, Any]:
        """Forward and backward over the parts of a batch; what the parts say, averaged by their sizes."""
        model, wrapper = self.runner.model, self.runner.optim_wrapper
        plain = getattr(model, "module", model)
        total: dict[str, Any] = {}
        for first in range(0, size, share):
            part = {key: value[first : first + share] for key, value in batch.items()}
            weight = len(part["inputs"]) / size
            with self._unsynced(model, last=first + share >= size):
                with wrapper.optim_context(plain):
                    data = plain.data_preprocessor(part, True)
                    losses = model(**data, mode="loss")
                loss, said = plain.parse_losses(losses)
                wrapper.backward(loss * weight)
            for key, value in said.items():
                total[key] = total.get(key, 0) + value.detach() * weight
        return total

    @staticmethod
    def _unsynced(model: Any, *, last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged between processes with the last part only."""
        return nullcontext() if last or not hasattr(model, "no_sync") else model.no_sync()

    def _divergence(self, batch: Batch, index: int, loss: float) -> str:
        where = f"in step {index + 1} of {len(self.dataloader)} of epoch {self._epoch + 1}"
        if math.isfinite(loss):
            return f"the loss of another process is no finite number {where}"
        return (
            f"the loss became {loss} {where}, on the batch: {', '.join(names_of(batch['data_samples']))}. The weights "
            "before it are kept. Look at these samples; or train with a smaller learning rate (--cfg-options "
            "optim_wrapper.optimizer.lr=…), or with --precision fp32"
        )


def names_of(samples: Sequence[Any]) -> Iterator[str]:
    """Where the samples of a batch come from: the clip's directory, the frame's file."""
    for sample in samples:
        found = sample.metainfo
        yield str(found.get("directory") or found.get("img_path") or found.get("img_id") or "?")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python says that memory has run out, on a GPU or off it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # torch's allocator for the CPU raises a plain RuntimeError.
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in ("DefaultCPUAllocator", "not enough memory", "can't allocate memory")
    )
