"""The ONE place that knows how mmaction2, mmdet, mmcv and mmengine are made to run on current torch.

Call ``activate()`` before the first import of any of them. It does ten things, each only where it is needed:

1. ``mmcv._ext``: mmcv is installed without its compiled operators; a module stands in whose ``nms``,
   ``roi_align_forward`` and ``roi_align_backward`` are torchvision's. Every other operator raises when called.
2. mmaction2 1.2.0 asserts ``mmcv < 2.2.0`` at import: mmcv's version is presented as 2.1.0 while mmaction2 imports.
3. mmaction2's wheel lacks the package ``mmaction.models.localizers.drn`` that its own code imports.
4. mmaction2 uses names that NumPy 2 removed and arithmetic that it refuses (see ``actionpipe.openmmlab.numpy2``).
5. mmengine's checkpoint loader falls back to unpickling anything; ours refuses (``actionpipe.checkpoints.weights``).
6. mmengine reads all metafiles of a model zoo to find a config whose name is its path.
7. What they import for lane lines, poses, drawings and tracks is put off until it is called: a third of their start.
8. mmengine imports whatever a config's ``type`` names when it is not registered; ours builds registered classes only.
9. mmengine's reader of data files unpickles, and builds the Python objects that YAML names; ours takes plain data.
10. mmengine downloads whatever a name of a file looks like an address; ours opens files, and the addresses of a recipe.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import io
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

from actionpipe.errors import UserError
from actionpipe.openmmlab import numpy2
from actionpipe.openmmlab.deferred_imports import deferred

PRESENTED_MMCV = "2.1.0"
"""The newest mmcv that mmaction2 1.2.0 accepts."""
LATER = (
    *("imgaug", "imgaug.augmenters", "imgaug.augmentables", "imgaug.augmentables.lines", "imgaug.augmentables.segmaps"),
    *("matplotlib", "matplotlib.colors", "matplotlib.patches", "matplotlib.pyplot"),
    "scipy.stats",
)
"""Called by mmdet's augmentation of lane lines, its drawings, and mmaction2's augmentation of poses."""
ABSENT = ("sklearn", "torch.distributed.optim")
"""mmdet's interpolation of tracks and mmengine's sharded optimiser do without, when these are missing."""


def activate() -> None:
    """Make ``import mmaction``, ``mmdet``, ``mmcv.ops`` and ``mmengine`` work in this process. Cheap when repeated."""
    if "mmaction" in sys.modules and getattr(sys.modules["mmaction"], "_actionpipe", False):
        return
    with warnings.catch_warnings(), deferred(LATER, ABSENT):
        # Their import-time warnings (removed aliases, optional packages) tell a user nothing.
        warnings.simplefilter("ignore")
        provide_operators()
        numpy2.provide_names()
        provide_localizers_drn()
        _import_mmaction()
        numpy2.mend_arithmetic()
        find_bases_by_name()
        refuse_unsafe_pickles()
        refuse_imports_by_type()
        refuse_objects_in_data()
        refuse_addresses()


def _import_mmaction() -> None:
    import mmcv

    version = mmcv.__version__
    mmcv.__version__ = PRESENTED_MMCV
    try:
        mmaction: Any = importlib.import_module("mmaction")
    finally:
        mmcv.__version__ = version
    mmaction._actionpipe = True
    from mmaction.utils import register_all_modules

    # mmdet's words on optional packages that nothing here uses.
    with contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module("mmdet.datasets")
        importlib.import_module("mmdet.evaluation")

    # Registers models, datasets and transforms; the default scope is set by each recipe.
    register_all_modules(init_default_scope=False)


def provide_operators() -> None:
    """Register ``mmcv._ext`` backed by torchvision, unless mmcv was compiled."""
    if "mmcv._ext" in sys.modules or importlib.util.find_spec("mmcv._ext") is not None:
        return
    sys.modules["mmcv._ext"] = _TorchvisionOperators()


class _TorchvisionOperators(types.ModuleType):
    """Stands in for mmcv's compiled module; names may be looked up freely, as mmcv does at import."""

    def __init__(self) -> None:
        super().__init__("mmcv._ext", "torchvision's operators under the names of mmcv's compiled module")
        # pkgutil and importlib look at the spec, and treat a module with None there as broken.
        self.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", loader=None)
        self.nms = _nms
        self.roi_align_forward = _roi_align_forward
        self.roi_align_backward = _roi_align_backward

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_: Any, **__: Any) -> NoReturn:
            raise NotImplementedError(
                f"mmcv's compiled operator '{name}' is not available: this pipeline runs mmcv without compiled code "
                "and replaces only nms and roi_align. Choose a model without this operator, or compile mmcv."
            )

        return missing


def _nms(boxes: Any, scores: Any, iou_threshold: float, offset: int) -> Any:
    """``boxes`` (N, 4) xyxy, ``scores`` (N,) -> int64 indices kept, by descending score.

    ``offset`` 1 counts pixels inclusively (x2 - x1 + 1), which equals plain boxes whose far corner is moved by 1.
    """
    import torch
    import torchvision

    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    # torchvision's CPU kernel knows neither half nor bfloat16.
    dtype = torch.float64 if boxes.dtype == torch.float64 else torch.float32
    return torchvision.ops.nms(boxes.to(dtype), scores.to(dtype), iou_threshold)


def _roi_align_forward(
    features: Any,
    rois: Any,
    output: Any,
    argmax_y: Any,
    argmax_x: Any,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """``features`` (N, C, H, W), ``rois`` (K, 5) index and xyxy -> written into ``output`` (K, C, height, width)."""
    import torch

    del argmax_y, argmax_x
    if pool_mode != 1:
        raise NotImplementedError("roi_align with pool_mode 'max' is not available without compiled mmcv; use 'avg'")
    dtype = _kernel_dtype(features)
    pooled = torch.ops.torchvision.roi_align(
        features.to(dtype), rois.to(dtype), spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned
    )
    output.copy_(pooled)


def _roi_align_backward(
    grad_output: Any,
    rois: Any,
    argmax_y: Any,
    argmax_x: Any,
    grad_input: Any,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of ``_roi_align_forward`` with regard to the features, written into ``grad_input`` (N, C, H, W)."""
    import torch

    del argmax_y, argmax_x, pool_mode
    dtype = _kernel_dtype(grad_output)
    batch, channels, height, width = grad_input.shape
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad_output.to(dtype),
            rois.to(dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            batch,
            channels,
            height,
            width,
            sampling_ratio,
            aligned,
        )
    )


def _kernel_dtype(tensor: Any) -> Any:
    """The precision in which torchvision's roi_align kernel can take ``tensor``: as it is, but for bfloat16."""
    import torch

    return torch.float32 if tensor.dtype in {torch.bfloat16, torch.float16} else tensor.dtype


def provide_localizers_drn() -> None:
    """Register a stand-in for ``mmaction.models.localizers.drn``, which mmaction2's wheel forgot to pack."""
    spec = importlib.util.find_spec("mmaction")  # finds the package without running it
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("mmaction2 is not installed; run: bash install.sh")
    from pathlib import Path

    package = Path(next(iter(spec.submodule_search_locations))) / "models" / "localizers" / "drn"
    name = "mmaction.models.localizers.drn"
    if (package / "drn.py").exists() or name in sys.modules:
        return

    class DRN:
        """Temporal grounding by DRN; its code is missing from mmaction2's wheel."""

        def __init__(self, *_: Any, **__: Any) -> None:
            raise NotImplementedError("DRN is missing from mmaction2's wheel; no recognition recipe uses it")

    for full_name in (name, f"{name}.drn"):
        module = types.ModuleType(full_name)
        module.__spec__ = importlib.machinery.ModuleSpec(full_name, loader=None, is_package=full_name == name)
        module.DRN = DRN  # type: ignore[attr-defined]
        sys.modules[full_name] = module
    sys.modules[name].__path__ = []


def find_bases_by_name() -> None:
    """Find ``mmdet::…`` where its name says that it is.

    mmengine first reads all the metafiles of the package's model zoo, for a path that is the same.
    """
    config: Any = importlib.import_module("mmengine.config.config")
    config._get_external_cfg_path = config._get_external_cfg_base_path


def refuse_unsafe_pickles() -> None:
    """Replace mmengine's checkpoint reader, which unpickles anything with a warning, by ours, which refuses."""
    from mmengine.runner import checkpoint

    from actionpipe.checkpoints.weights import read_torch_file

    def load(file: Any, map_location: Any = None, weights_only: Any = None) -> Any:
        del weights_only
        return read_torch_file(file, map_location=map_location or "cpu")

    checkpoint._safe_torch_load = load


def refuse_imports_by_type() -> None:
    """Let ``type`` in a config name what is registered, and never a dotted path of any importable callable."""
    registry: Any = importlib.import_module("mmengine.registry.registry")
    import mmengine.registry

    def registered(name: str) -> Any:
        """What mmcv registers is mmengine's by scope, but called ``mmcv.…`` in configs, which were imported so."""
        scope, _, rest = name.rpartition(".")
        known = (mmengine.registry.MODELS.module_dict, mmengine.registry.TRANSFORMS.module_dict)
        return next((classes[rest] for classes in known if scope == "mmcv" and rest in classes), None)

    registry.get_object_from_string = registered


def refuse_objects_in_data() -> None:
    """Let ``mmengine.load`` read plain data: some registered classes call it with what a setting of theirs names."""
    import yaml
    from mmengine.fileio.handlers import pickle_handler, yaml_handler

    def load(_: Any, file: Any, **__: Any) -> NoReturn:
        raise UserError(
            f"{getattr(file, 'name', 'a file')} is a pickle, which could run code when it is loaded; recipes read JSON"
        )

    pickle_handler.PickleHandler.load_from_fileobj = load
    yaml_handler.Loader = yaml.SafeLoader


_named: set[str] = set()
"""Addresses of weights that recipes name themselves."""


def allow_addresses(recipe: Any) -> None:
    """Let mmengine download what a recipe, as its author wrote it, names as its weights."""
    pending = [recipe]
    while pending:
        node = pending.pop()
        if isinstance(node, (dict, list, tuple)):
            pending += node.values() if isinstance(node, dict) else node
        elif isinstance(node, str) and "://" in node:
            _named.add(node)


def refuse_addresses() -> None:
    """Open local files only: no setting or name of a file lets anything else be fetched."""
    from mmengine.fileio import FileClient
    from mmengine.fileio.backends import BaseStorageBackend, registry_utils
    from mmengine.runner.checkpoint import CheckpointLoader

    class Elsewhere(BaseStorageBackend):  # type: ignore[misc]
        """Stands for every backend that is no disk."""

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def get(self, filepath: Any) -> NoReturn:
            raise UserError(f"{filepath} is an address; only files of this machine are opened. Fetch it first")

        get_text = get_local_path = get

    for backends in (registry_utils.backends, registry_utils.prefix_to_backends, FileClient._backends):
        for name in set(backends) - {"local", "disk", ""}:
            backends[name] = Elsewhere
    FileClient._prefix_to_backends.update(dict.fromkeys(FileClient._prefix_to_backends, Elsewhere))
    load = CheckpointLoader.load_checkpoint.__func__

    def load_checkpoint(cls: Any, filename: Any, *args: Any, **kwargs: Any) -> Any:
        if "://" in str(filename) and str(filename) not in _named:
            raise UserError(
                f"the network would download {filename}, which its recipe does not name; starting weights are named by "
                "`weights: FILE` beside the member"
            )
        return load(cls, filename, *args, **kwargs)

    CheckpointLoader.load_checkpoint = classmethod(load_checkpoint)
