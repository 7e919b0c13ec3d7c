"""mmengine's Runner, quiet on the terminal and with one process group for CPUs and GPUs."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from actionpipe.recipes.building import OVERRIDES, explained
from actionpipe.recipes.schedule import has_a_step
from actionpipe.training.loading import loader_errors, safe

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of a weight's dimensions: those of 2D and of 3D convolutions."""


class Run(Runner):  # type: ignore[misc]
    """A Runner whose log goes to its file; the terminal gets warnings and the lines of our own hooks."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """mmengine's logger, its terminal handler raised to warnings."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.setLevel(logging.ERROR)
        return logger

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> Any:
        """mmengine's, whose batches reach us where shared memory or open files are few."""
        return safe(Runner.build_dataloader(*args, **kwargs))

    def train(self) -> Any:
        """mmengine's; what a loader's process says is said in its own words."""
        with loader_errors():
            return super().train()

    def test(self) -> Any:
        """mmengine's; what a loader's process says is said in its own words."""
        with loader_errors():
            return super().test()

    def wrap_model(self, model_wrapper_cfg: Any, model: Any) -> Any:
        """mmengine's wrapping for the device; a model that is trained is first made ready for it."""
        if self.cfg.get("train_dataloader") is not None:
            device = str(self.cfg.get("training_device", "cpu"))
            model = make_fast(model, device, compiled=bool(self.cfg.get("compile_backbone", False)))
        with warnings.catch_warnings():
            # mmengine passes broadcast_buffers on, whose name torch is going to change.
            warnings.filterwarnings("ignore", message=".*broadcast_buffers", category=FutureWarning)
            return super().wrap_model(model_wrapper_cfg, model)

    @explained("the optimiser of the recipe cannot be built", OVERRIDES)
    def build_optim_wrapper(self, *args: Any, **kwargs: Any) -> Any:
        """mmengine's; odd settings have a message."""
        return super().build_optim_wrapper(*args, **kwargs)

    @explained("the schedules of the recipe cannot be built", OVERRIDES)
    def build_param_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        """mmengine's; odd settings have a message."""
        return super().build_param_scheduler(*args, **kwargs)

    @explained("the training loop of the recipe cannot be built", OVERRIDES)
    def build_train_loop(self, *args: Any, **kwargs: Any) -> Any:
        """mmengine's; odd settings have a message."""
        return super().build_train_loop(*args, **kwargs)

    def _build_param_scheduler(self, scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        """mmengine's, without schedules that are over before the first step: a short training has short warm-ups."""
        given = scheduler if isinstance(scheduler, (list, tuple)) else [scheduler]
        steps = len(self.train_dataloader)
        return super()._build_param_scheduler([one for one in given if has_a_step(one, steps)], *args, **kwargs)

    @classmethod
    def from_recipe(
        cls, recipe: Config, directory: Path, *, seed: int = 0, device: str = "cpu", tensorboard: bool = False
    ) -> "Run":
        """Build a run of a joined recipe that logs under ``directory``."""
        recipe.work_dir = str(directory)
        recipe.training_device = device
        recipe.randomness = {"seed": seed}
        recipe.launcher = "pytorch" if "LOCAL_RANK" in os.environ else "none"
        recipe.load_from, recipe.resume = None, False
        # Kept by our own hook, with the competition's metric and atomic writes.
        recipe.default_hooks.checkpoint = None
        recipe.default_hooks.pop("visualization", None)
        for evaluator in (recipe.get("val_evaluator"), recipe.get("test_evaluator")):
            if evaluator is not None:
                # "gpu" is mmengine's word for gathering over the process group, which gloo can do too; its "cpu" is
                # pickles in a folder that it makes wherever the user happens to be.
                evaluator.collect_device = "gpu"
        backends = [{"type": "TensorboardVisBackend"}] if tensorboard else []
        recipe.visualizer = {"type": "Visualizer", "vis_backends": backends}
        recipe.env_cfg = {
            "cudnn_benchmark": True,
            "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
            "dist_cfg": {"backend": "nccl" if device == "cuda" else "gloo"},
        }
        if recipe.launcher == "pytorch" and device != "cuda":
            # mmengine would hand a GPU number to every process.
            recipe.model_wrapper_cfg = {
                "type": "MMDistributedDataParallel",
                "device_ids": None,
                "broadcast_buffers": False,
                "find_unused_parameters": False,
            }
        # mmengine writes and logs it five times; for people to read there is recipe.py.
        plain = Config(recipe.to_dict(), filename=recipe.filename, format_python_code=False)
        with explained("the recipe cannot be made ready to run", OVERRIDES):
            return cls.from_cfg(plain)  # type: ignore[no-any-return]


def make_fast(model: Any, device: str, *, compiled: bool = False) -> Any:
    """The model with faster parts in the place of its own: the same weights, names and results, but for rounding.

    Channels last throughout, temporal shifts in one pass and, on CPUs, batch norm fused with its activation and dropout
    and batch norm shared by all processes.
    """
    from actionpipe.nn.cpu.shift import use_one_pass
    from actionpipe.nn.precision import keep_scores_exact

    keep_scores_exact(model)
    for weight in model.parameters():
        if weight.dim() in _CHANNELS_LAST:
            # Not contiguous(), which leaves 1x1 kernels with other strides than their gradients will have.
            weight.data = weight.data.to(memory_format=_CHANNELS_LAST[weight.dim()])
    use_one_pass(model)
    if device == "cpu":
        from actionpipe.nn.cpu.fused_norm import fuse_norms
        from actionpipe.nn.cpu.shared_dropout import share_dropout
        from actionpipe.nn.cpu.strided_depthwise import quicken_depthwise

        quicken_depthwise(model)
        fuse_norms(model)
        share_dropout(model)
    elif compiled:
        model.backbone.compile()
    return model
