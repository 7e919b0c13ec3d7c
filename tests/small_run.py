"""A whole run of training in less than a second: the real loop, order and hooks on a small network and small clips."""

import os
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import Dataset

from actionpipe.runtime.seeding import SeededItems
from actionpipe.training.execution import set_precision
from actionpipe.training.runner import Run


class KilledError(Exception):
    """Stands for the end of a process."""


class _Noise(Dataset):
    """``samples`` pictures float32 (3, 6, 6) of two classes, brighter and darker, with noise drawn anew each time."""

    def __init__(self, samples: int, broken: int | None = None) -> None:
        self.samples = samples
        self.broken = broken

    def __len__(self):
        return self.samples

    def __getitem__(self, item):
        label = item % 2
        picture = torch.from_numpy(np.random.standard_normal((3, 6, 6))).float() + label
        if item == self.broken:
            picture[0, 0, 0] = torch.nan
        return {
            "inputs": picture,
            "data_samples": BaseDataElement(metainfo={"directory": f"clip_{item}", "label": label}),
        }


@DATASETS.register_module(force=True)
class SmallClips(SeededItems, _Noise):
    """The same as the datasets of training: what is drawn for a sample follows from its ``Draw``."""


@MODELS.register_module(force=True)
class SmallNet(BaseModel):
    """(N, 3, 6, 6) -> logits (N, 2), with all that must be shared by processes: batch norm and dropout."""

    def __init__(self, norm: bool = True, dropout: float = 0.5) -> None:
        from mmcv.cnn import ConvModule

        super().__init__()
        self.conv = ConvModule(3, 8, 3, norm_cfg={"type": "BN"} if norm else None, act_cfg={"type": "ReLU6"})
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, 2)
        self.seen: list[str] = []
        """The clips of each forward pass of training, with blanks between them."""
        self.validated: list[dict[str, torch.Tensor]] = []
        """The weights in each validation."""

    def forward(self, inputs, data_samples, mode):
        """mmengine's two ways to run a model; ``inputs`` is a list of pictures."""
        logits = self.head(self.dropout(self.conv(torch.stack(list(inputs))).mean((2, 3))))
        if mode == "predict":
            self.validated.append(state_of(self))
            return data_samples
        self.seen.append(" ".join(sample.directory for sample in data_samples))
        labels = torch.tensor([sample.label for sample in data_samples])
        return {"loss_cls": nn.functional.cross_entropy(logits, labels)}


@METRICS.register_module(force=True)
class ScriptedMetric(BaseMetric):
    """Says what it was told to, one value a validation."""

    def __init__(self, values, **kwargs) -> None:
        super().__init__(**kwargs)
        self.values = list(values)

    def process(self, data_batch, data_samples):
        """mmengine wants something to collect."""
        del data_batch, data_samples
        self.results.append(0)

    def compute_metrics(self, results):
        """The next value."""
        del results
        return {"macro_f1": self.values.pop(0)}


@HOOKS.register_module(force=True)
class NotesHook(Hook):
    """Notes the weights before the first step and after each, and the losses; ends the run when told."""

    priority = "LOWEST"

    def __init__(self, killed_after: int | None = None) -> None:
        self.killed_after = killed_after
        self.first: dict[str, torch.Tensor] = {}
        self.weights: list[dict[str, torch.Tensor]] = []
        self.losses: list[float] = []

    def before_train(self, runner):
        """Called when the weights have been drawn or read."""
        self.first = state_of(runner.model)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Called after everything else of the step, the checkpoint included."""
        del batch_idx, data_batch
        self.weights.append(state_of(runner.model))
        self.losses.append(float(outputs["loss"]))
        if runner.iter + 1 == self.killed_after:
            raise KilledError


def build(
    directory: Path,
    *,
    samples: int = 10,
    batch: int = 2,
    epochs: int = 2,
    metrics: list[float] | None = None,
    lr: float = 0.1,
    momentum: float = 0.9,
    seed: int = 0,
    model: dict | None = None,
    broken: int | None = None,
    micro_batch: int | None = None,
    ema: float | None = None,
    precision: str = "fp32",
    base_batch: int | None = None,
    killed_after: int | None = None,
    schedules: list[dict] | None = None,
    **keeping: object,
) -> Run:
    """A run that writes into ``directory``; it validates when ``metrics`` are given, and keeps as ``keeping`` says."""
    loader = {"batch_size": batch, "num_workers": 0, "dataset": {"type": "SmallClips", "samples": samples}}
    keeper = {"directory": str(directory), "key": "macro_f1", "meta": {"classes": ["a", "b"]}, **keeping}
    hooks = [{"type": "BestAndLastHook", **keeper}, {"type": "NotesHook", "killed_after": killed_after}]
    if ema is not None:
        hooks.append({"type": "AverageHook", "momentum": ema})
    recipe = Config(
        {
            "default_scope": "mmengine",
            "model": {"type": "SmallNet", **(model or {})},
            "default_hooks": {},
            "custom_hooks": hooks,
            "train_dataloader": {**loader, "sampler": {"type": "GlobalOrder", "batch": batch}},
            "train_cfg": {"type": "StepLoop", "max_epochs": epochs, "seed": seed, "micro_batch": micro_batch},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": lr, "momentum": momentum}},
            "param_scheduler": schedules or [{"type": "LinearLR", "start_factor": 0.5, "by_epoch": False, "end": 4}],
        }
    )
    recipe.train_dataloader.dataset.broken = broken
    if base_batch is not None:
        recipe.auto_scale_lr = {"enable": True, "base_batch_size": base_batch}
    if metrics is not None:
        recipe.val_dataloader = {**loader, "sampler": {"type": "DefaultSampler", "shuffle": False}}
        recipe.val_cfg = {"type": "ValLoop"}
        recipe.val_evaluator = {"type": "ScriptedMetric", "values": metrics}
    set_precision(recipe, precision)
    return Run.from_recipe(recipe, directory, seed=seed)


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of its weights and buffers."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def parameters_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of its weights alone, without the statistics of batch norm, which a forward pass changes."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def hook_of(run: Run, name: str) -> Hook:
    """The run's hook of this class."""
    return next(hook for hook in run.hooks if type(hook).__name__ == name)


def differing(one: object, other: object, path: str = "") -> list[str]:
    """Where two checkpoints, or other nested dicts and lists of tensors and numbers, are not equal to the bit."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in differing(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [
            found
            for index, pair in enumerate(zip(one, other, strict=True))
            for found in differing(*pair, f"{path}.{index}")
        ]
    if torch.is_tensor(one) and torch.is_tensor(other):
        return [] if torch.equal(one, other) else [path]
    return [] if type(one) is type(other) and one == other else [path]


def train_in_process(rank: int, processes: int, port: int, directory: Path, given: dict) -> None:
    """What torchrun would start: train as one of several processes; the first writes what was noted of each step."""
    from actionpipe.openmmlab import activation, registration
    from actionpipe.training.train_job import end_process, start_processes

    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    torch.set_num_threads(1)
    activation.activate()
    registration.register()
    start_processes("cpu")
    run = build(directory, **given)
    run.train()
    if rank == 0:
        notes = hook_of(run, "NotesHook")
        torch.save((notes.losses, notes.weights), directory / "notes.pth")
    end_process(0)
