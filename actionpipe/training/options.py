"""What a run of training is told beside its recipe: how to compute, when to save and stop, what else to average."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from actionpipe.errors import UserError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Options:
    """Flags of ``train.sh``; the defaults are the recipe as it stands, at the speed that the machine has."""

    precision: str = "auto"
    """``auto``: bf16 where the processor computes in it, fp16 on GPUs that do not, else fp32."""
    auto_scale_lr: bool = False
    """Multiply the learning rate by the batch over all processes / the batch that the recipe was made for."""
    ema: float | None = None
    """Validate and keep a moving average of the weights with this momentum."""
    patience: int | None = None
    """Stop when the metric has not become better for so many epochs."""
    mixup: float = 0.0
    """Blend the clips of a batch, shares from Beta(mixup, mixup)."""
    label_smoothing: float = 0.0
    """Give so much of a label's weight to all classes evenly."""
    keep_every: int = 0
    """Keep the weights of every so many epochs, beside the best and the last."""
    save_minutes: float = 10.0
    """Write ``last.pth`` within an epoch after so many minutes."""
    micro_batch: int | None = None
    """Clips of a process's batch that are run at once."""
    compile: bool = False
    """Let torch compile the backbone (GPUs)."""
    cache_gb: float | None = None
    """Bound of the frame cache; 0 turns it off, None is a fifth of the free disk and at most 20."""

    def __post_init__(self) -> None:
        """Refuse values that no run can have.

        Raises:
            UserError: naming the flag, what was found and what it takes.
        """
        if self.precision not in PRECISIONS:
            raise UserError(f"--precision takes {', '.join(PRECISIONS)}; found '{self.precision}'")
        bounds = {
            "ema": (self.ema, 0, 1, "between 0 and 1, such as 0.999"),
            "patience": (self.patience, 0, 1e9, "a number of epochs from 1 up"),
            "micro_batch": (self.micro_batch, 0, 1e9, "a number of clips from 1 up"),
        }
        for name, (value, low, high, words) in bounds.items():
            if value is not None and not low < value < high:
                raise UserError(f"--{name.replace('_', '-')} takes {words}; found {value}")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"--label-smoothing takes a share from 0 to below 1; found {self.label_smoothing}")
        for name in ("mixup", "keep_every", "save_minutes", "cache_gb"):
            if not (getattr(self, name) or 0) >= 0:  # NaN too
                raise UserError(f"--{name.replace('_', '-')} must not be negative; found {getattr(self, name)}")

    def that_count(self) -> dict[str, Any]:
        """Of those that change what is learnt, the ones that are not as they are by default."""
        counted = ("precision", "auto_scale_lr", "ema", "patience", "mixup", "label_smoothing")
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name in counted and value != defaults[name]}
