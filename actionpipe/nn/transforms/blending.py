"""Mixup that does not depend on how a batch is shared out."""

from typing import Any

import numpy as np
import torch
from mmaction.models.utils.blending_utils import BaseMiniBatchBlending
from mmaction.registry import MODELS, TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class DrawMixup(BaseTransform):  # type: ignore[misc]
    """Draws ``mixup_share``, from 0 to 1: how much of itself a clip keeps when ``PairMixup`` mixes it with another.

    Args:
        alpha: above 0; of the Beta distribution of the shares. Small ones (0.2) leave most clips nearly as they are.
    """

    def __init__(self, alpha: float) -> None:
        if not alpha > 0:
            raise ValueError(f"alpha must be above 0, found {alpha}")
        self.alpha = alpha

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``mixup_share``, drawn from NumPy's generator, as mmaction2's transforms do."""
        results["mixup_share"] = float(np.random.beta(self.alpha, self.alpha))
        return results


@MODELS.register_module()
class PairMixup(BaseMiniBatchBlending):  # type: ignore[misc]
    """Mixes the first clip of a batch with the second, the third with the fourth, and their labels alike.

    Mixup (Zhang et al., ICLR 2018). mmaction2's MixupBlending shuffles the batch that it is given, and draws one share
    for it: several processes, or a batch run in parts, would mix other clips than one process does at once. Here pairs
    and shares are those of the order of the epoch, as long as every part has an even number of clips. The share of a
    pair is what was drawn for its first clip; without a partner the last clip of an odd number stays as it is.
    """

    def __call__(self, imgs: torch.Tensor, batch_data_samples: list[Any], **kwargs: Any) -> tuple[torch.Tensor, Any]:
        """``imgs``: float (B, …); each of B data samples has ``mixup_share``. Labels become float (classes,)."""
        shares = torch.tensor([sample.mixup_share for sample in batch_data_samples], device=imgs.device)
        mixed: tuple[torch.Tensor, Any] = super().__call__(imgs, batch_data_samples, shares=shares, **kwargs)
        return mixed

    def do_blending(
        self, imgs: torch.Tensor, label: torch.Tensor, *, shares: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``imgs`` (B, …) and one-hot ``label`` (B, classes), each with its partner's by ``shares`` (B,)."""
        place = torch.arange(len(imgs), device=imgs.device)
        partner = (place ^ 1).clamp(max=len(imgs) - 1)  # 0 <-> 1, 2 <-> 3, …
        share = shares[place // 2 * 2]
        mixed = [
            tensor[partner].lerp(tensor, share.view(-1, *[1] * (tensor.dim() - 1)).to(tensor))
            for tensor in (imgs, label.float())
        ]
        return mixed[0], mixed[1]
