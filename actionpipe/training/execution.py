"""How a joined recipe is run: loop, precision and loaders, by options and device. Edits the recipe in place."""

from typing import Any

from actionpipe.errors import UserError
from actionpipe.runtime.engines import best_precision
from actionpipe.training.options import Options


def choose_precision(options: Options, device: str) -> str:
    """``fp32``, ``bf16`` or ``fp16``.

    Raises:
        UserError: fp16 on a CPU, whose range is too small for gradients without a GPU's scaled loss.
    """
    if options.precision == "auto":
        return best_precision(device)
    if options.precision == "fp16" and device == "cpu":
        raise UserError("--precision fp16 is for GPUs; on a CPU take bf16 or fp32")
    return options.precision


def set_loop(recipe: Any, seed: int, micro_batch: int | None) -> None:
    """Our loop in the place of mmengine's, with the recipe's epochs."""
    recipe.train_cfg = {
        "type": "StepLoop",
        "max_epochs": recipe.train_cfg.max_epochs,
        "val_begin": recipe.train_cfg.get("val_begin", 1),
        "val_interval": recipe.train_cfg.get("val_interval", 1),
        "seed": seed,
        "micro_batch": micro_batch,
    }


def set_precision(recipe: Any, precision: str) -> None:
    """Forward passes of training and validation in ``precision``; weights stay float32."""
    if precision == "fp32":
        return
    wrapper = {"bf16": "Bfloat16OptimWrapper", "fp16": "AmpOptimWrapper"}[precision]
    recipe.optim_wrapper.type = wrapper
    if precision == "fp16":
        recipe.optim_wrapper.dtype = "float16"
    if recipe.get("val_cfg") is not None:
        recipe.val_cfg.fp16 = True  # mmengine's word for autocast


def set_optimizer(recipe: Any, device: str) -> None:
    """One kernel for all weights, on GPUs, of those optimisers that have one."""
    if device == "cuda" and recipe.optim_wrapper.optimizer.type in {"SGD", "Adam", "AdamW"}:
        recipe.optim_wrapper.optimizer.fused = True


def set_learning_rate(recipe: Any, name: str) -> None:
    """Let mmengine scale the learning rate by the batch over all processes.

    Raises:
        UserError: the recipe does not say for what batch its learning rate is.
    """
    found = recipe.get("auto_scale_lr") or {}
    if not found.get("base_batch_size"):
        raise UserError(
            f"--auto-scale-lr: the recipe {name} does not say for what batch its learning rate is; add the line "
            "auto_scale_lr = dict(base_batch_size=16) to it, or give the learning rate yourself: "
            "--cfg-options optim_wrapper.optimizer.lr=…"
        )
    recipe.auto_scale_lr = {"enable": True, "base_batch_size": found["base_batch_size"]}


def set_loaders(recipe: Any, device: str, cores: int) -> None:
    """As many loader workers as the recipe asks for and this process's share of the cores feeds.

    On a CPU the network takes all cores and reading a few percent of them: more than one worker a core would only
    take turns with it. On a GPU pinned memory lets the next batch travel while this one is computed.
    """
    for key in ("train_dataloader", "val_dataloader"):
        loader = recipe.get(key)
        if loader is None:
            continue
        loader.num_workers = min(loader.num_workers, max(1, cores))
        loader.persistent_workers = loader.num_workers > 0
        if device == "cuda":
            loader.pin_memory = True
            if loader.num_workers > 0:
                loader.prefetch_factor = 4
