"""Where in a clip the evidence for a class is: Grad-CAM (Selvaraju et al., ICCV 2017) on the backbone's last features.

Each channel of the feature maps is weighted by the mean gradient that the class's score before softmax has in it; their
sum, where it is positive, is the heat.
"""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actionpipe.errors import UserError
from actionpipe.windows.heat_map import Heat
from actionpipe.windows.window_frames import HeldFrames


def find_heat(model: Any, clip_input: Any, frames: HeldFrames, label: int) -> Heat:
    """The heat of class ``label`` in a window.

    Args:
        model: mmaction2's Recognizer2D or Recognizer3D, in evaluation mode.
        clip_input: its ``inference.network_inputs.ClipInput``.
        frames: of the window.
        label: index of the class.

    Raises:
        UserError: the backbone gives no feature maps, or sees the frames in several crops.
    """
    results = _transformed(clip_input, frames)
    chosen = np.asarray(results["frame_inds"]).reshape(-1).astype(np.int64) + frames.first - 1
    clips = int(results["num_clips"])
    crop = tuple(float(part) for part in results.get("crop_quadruple", (0, 0, 1, 1)))
    packed = clip_input.transform.transforms[-1](results)["inputs"]
    maps, numbers = _spread(_grad_cam(model, packed, label), chosen, clips)
    top = float(maps.max())
    return Heat(numbers, (maps / top if top > 0 else maps).astype(np.float32), (crop[0], crop[1], crop[2], crop[3]))


def _transformed(clip_input: Any, frames: HeldFrames) -> dict[str, Any]:
    """What the recipe's pipeline has made of the frames just before it packs them."""
    sampled: dict[str, Any] = {}

    def choose(number: int) -> list[int]:
        sampled.update(clip_input.choose({"total_frames": number, "start_index": 1, "modality": "RGB"}))
        return [int(index) for index in sampled["frame_inds"].reshape(-1)]

    _, images = frames.select(choose)
    shape = images[0].shape[:2]
    rgb = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images]
    results: dict[str, Any] = {**sampled, "imgs": rgb, "original_shape": shape, "img_shape": shape}
    for step in clip_input.transform.transforms[:-1]:
        results = step(results)
    return results


def _grad_cam(model: Any, packed: Tensor, label: int) -> NDArray[np.float32]:
    """The heat of each view: (V, h, w) of a 2D backbone, (V, T, h, w) of a 3D one; 0 or more."""
    kept: list[Tensor] = []

    def keep(module: Any, _: Any, output: Any) -> Any:
        # The features begin a graph of their own: the backbone needs none, and its weights may not want gradients.
        parts = [output] if torch.is_tensor(output) else list(output)
        fresh = [part.detach().requires_grad_() if torch.is_tensor(part) else part for part in parts]
        maps = [part for part in fresh if torch.is_tensor(part) and part.ndim in {4, 5}]
        if not maps:
            shapes = ", ".join(str(tuple(part.shape)) for part in parts if torch.is_tensor(part))
            raise UserError(
                f"--heat needs feature maps, and the backbone {type(module).__name__} gives none (its features are "
                f"{shapes}, as those of most transformers); leave --heat away"
            )
        # Of several paths or stages, that with the most channels: SlowFast's slow path, the last stage of a pyramid.
        kept.append(max(maps, key=lambda part: part.shape[1]))
        return fresh[0] if torch.is_tensor(output) else type(output)(fresh)

    hook = model.backbone.register_forward_hook(keep)
    try:
        device = next(model.parameters()).device
        with torch.enable_grad():
            inputs = model.data_preprocessor({"inputs": [packed.to(device)], "data_samples": None})["inputs"]
            features, arguments = model.extract_feat(inputs, test_mode=True)
            scores = model.cls_head(features, **arguments)
            gradients = torch.autograd.grad(scores[:, label].mean(), kept)
    finally:
        hook.remove()
    heats = []
    for maps, gradient in zip(kept, gradients, strict=True):
        weights = gradient.mean(dim=tuple(range(2, gradient.ndim)), keepdim=True)  # (V, C, [T,] h, w) -> (V, C, 1 …)
        heats.append((weights * maps).sum(dim=1).relu().detach().float().cpu())
    found: NDArray[np.float32] = torch.cat(heats).numpy()
    return found


def _spread(
    heat: NDArray[np.float32], chosen: NDArray[np.int64], clips: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Maps (K, h, w) and the number of the frame that each stands on."""
    views = len(chosen) if heat.ndim == 3 else clips
    if len(heat) != views:
        raise UserError(
            f"--heat goes with one crop a frame; the test_pipeline makes {len(heat)} views of {views}. Take --views "
            "1x1, or leave --heat away"
        )
    if heat.ndim == 3:
        return heat, chosen
    times, length = heat.shape[1], len(chosen) // clips
    # A time step of the features covers equally many frames of the clip: it stands on the middle one of them.
    middles = ((np.arange(times) + 0.5) * length / times).astype(np.int64)
    numbers = chosen.reshape(clips, length)[:, middles]
    return heat.reshape(-1, *heat.shape[2:]), numbers.reshape(-1)  # (V, T, h, w) -> (V*T, h, w)
