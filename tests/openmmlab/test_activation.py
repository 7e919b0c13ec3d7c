"""The bridge to OpenMMLab: each part works, and is still needed."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
import yaml
from conftest import CHECKOUT, RECIPES
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.errors import UserError

BARE = """
import pickle, sys, warnings
warnings.simplefilter("ignore")

def attempt(name, function):
    try:
        print(name, "works:", function())
    except BaseException as error:
        print(name, "fails:", type(error).__name__, str(error).split("\\n")[0])

import mmcv

def compiled():
    import mmcv._ext

def imported():
    import mmaction

def localizers():
    # As mmaction2 would be if it accepted this mmcv.
    version, mmcv.__version__ = mmcv.__version__, "2.1.0"
    from actionpipe.openmmlab import activation
    activation.provide_operators()
    try:
        import mmaction.models
    finally:
        mmcv.__version__ = version

class Payload:
    def __reduce__(self):
        return (print, ("the payload ran",))

def unpickled():
    import io, torch
    from mmengine.runner.checkpoint import _load_checkpoint
    torch.save({"state_dict": Payload()}, sys.argv[1])
    return _load_checkpoint(sys.argv[1])

for part in (compiled, imported, localizers, unpickled):
    attempt(part.__name__, part)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What each part of the bridge is for, tried without it in a process of its own: name -> outcome."""
    file = tmp_path_factory.mktemp("bare") / "evil.pth"
    result = subprocess.run(
        [sys.executable, "-c", BARE, str(file)], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in result.stdout.splitlines()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "failure"),
    [
        ("compiled", "fails: ModuleNotFoundError No module named 'mmcv._ext'"),
        ("imported", "fails: AssertionError MMCV=="),
        ("localizers", "fails: ModuleNotFoundError No module named 'mmaction.models.localizers.drn'"),
    ],
)
def test_without_the_bridge_the_original_failure_is_still_there(bare, part, failure):
    assert bare[part].startswith(failure), f"this part of the bridge is no longer needed: {bare[part]}"


@pytest.mark.slow
def test_without_the_bridge_mmengine_still_runs_what_a_checkpoint_holds(bare):
    assert bare["the"] == "payload ran", "mmengine refuses now: this part of the bridge is no longer needed"
    assert bare["unpickled"].startswith("works")


def test_activating_twice_changes_nothing_and_keeps_mmcv_s_version(openmmlab):
    import mmaction
    import mmcv

    before = sys.modules["mmcv._ext"]
    openmmlab.activate()
    assert sys.modules["mmcv._ext"] is before
    assert mmaction.__version__ == "1.2.0"
    assert mmcv.__version__ != openmmlab.PRESENTED_MMCV


def test_a_base_of_mmdet_is_found_without_the_metafiles_of_its_model_zoo(openmmlab, monkeypatch):
    from mmengine.config import Config, utils

    def read(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(utils, "load", read)
    recipe = Config.fromfile(str(RECIPES / "faster_rcnn_r50_fpn.py"))
    assert recipe.model.type == "FasterRCNN"


def test_the_missing_localizer_is_there(openmmlab):
    from mmaction.models.localizers.drn.drn import DRN

    with pytest.raises(NotImplementedError, match="missing from mmaction2's wheel"):
        DRN()


def test_mmengine_s_loader_refuses_what_could_run_code(openmmlab, tmp_path, capfd):
    from mmengine.runner.checkpoint import _load_checkpoint

    class Payload:
        def __reduce__(self):
            return (print, ("the payload ran",))

    torch.save({"state_dict": Payload()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"builtins\.print"):
        _load_checkpoint(str(tmp_path / "evil.pth"))
    assert "the payload ran" not in capfd.readouterr().out


def test_an_operator_that_is_not_there_fails_when_called_and_says_what_to_do(openmmlab):
    from mmcv.utils import ext_loader

    module = ext_loader.load_ext("_ext", ["deform_conv_forward"])
    operator = module.deform_conv_forward
    with pytest.raises(NotImplementedError, match=r"'deform_conv_forward' is not available.*Choose a model without"):
        operator(torch.zeros(1))
    from mmcv.ops import deform_conv2d

    with pytest.raises(NotImplementedError, match="deform_conv"):
        deform_conv2d(torch.zeros(1, 2, 5, 5), torch.zeros(1, 18, 3, 3), torch.zeros(2, 2, 3, 3))


def boxes_and_scores(number, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=generator) * 40
    size = torch.rand(number, 2, generator=generator) * 30 + 1
    return torch.cat([corner, corner + size], dim=1).to(dtype), torch.rand(number, generator=generator).to(dtype)


@settings(max_examples=40, deadline=None)
@given(
    number=st.integers(0, 40), seed=st.integers(0, 999), threshold=st.floats(0.1, 0.9), offset=st.sampled_from([0, 1])
)
def test_nms_keeps_what_greedy_suppression_keeps(openmmlab, number, seed, threshold, offset):
    from mmcv.ops import nms

    boxes, scores = boxes_and_scores(number, seed)
    kept = []
    far = boxes + torch.tensor([0, 0, offset, offset])
    overlap = torchvision.ops.box_iou(far, far)
    for index in scores.argsort(descending=True).tolist():
        if all(overlap[index, other] <= threshold for other in kept):
            kept.append(index)
    detections, found = nms(boxes, scores, threshold, offset=offset)
    assert found.tolist() == kept
    assert torch.equal(detections, torch.cat([boxes, scores[:, None]], dim=1)[kept])


def test_the_offset_of_nms_counts_pixels_inclusively(openmmlab):
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 9, 9], [5, 0, 14, 9]])
    scores = torch.tensor([0.9, 0.8])
    # Plain overlap is 4 * 9 of 14 * 9 (0.286), with inclusive pixels 5 * 10 of 15 * 10 (0.333).
    assert nms(boxes, scores, 0.3, offset=0)[1].tolist() == [0, 1]
    assert nms(boxes, scores, 0.3, offset=1)[1].tolist() == [0]


def test_nms_takes_bfloat16(openmmlab):
    from mmcv.ops import nms

    boxes, scores = boxes_and_scores(20, 1, torch.bfloat16)
    expected = torchvision.ops.nms(boxes.float(), scores.float(), 0.5)
    assert nms(boxes, scores, 0.5)[1].tolist() == expected.tolist()


def regions(seed):
    boxes, _ = boxes_and_scores(6, seed)
    return torch.cat([torch.tensor([[0.0], [1], [0], [1], [1], [0]]), boxes], dim=1)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2, 3])
def test_roi_align_equals_torchvision_s_forward_and_backward(openmmlab, sampling_ratio, aligned):
    from mmcv.ops import roi_align

    rois = regions(sampling_ratio)
    features = torch.randn(2, 3, 20, 24, generator=torch.Generator().manual_seed(5)).requires_grad_()
    theirs = torchvision.ops.roi_align(features, rois, (5, 7), 0.5, sampling_ratio, aligned)
    ours = roi_align(features, rois, (5, 7), 0.5, sampling_ratio, "avg", aligned)
    assert torch.equal(ours, theirs)
    weights = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(6))
    (expected,) = torch.autograd.grad((theirs * weights).sum(), features)
    (found,) = torch.autograd.grad((ours * weights).sum(), features)
    assert expected.abs().sum() > 0
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
def test_the_gradient_of_roi_align_is_the_numerical_one(openmmlab, sampling_ratio, aligned):
    """Aligned with ratios of 0 and 1 is what the recipes use."""
    from mmcv.ops import RoIAlign

    rois = torch.tensor(
        [[0, 0.5, 1.0, 5.0, 4.0], [1, 2.0, 0.0, 6.5, 6.0], [1, -3.0, 1.2, 4.1, 9.0]], dtype=torch.float64
    )
    features = torch.randn(2, 2, 7, 8, dtype=torch.float64).requires_grad_()
    layer = RoIAlign((2, 3), 0.8, sampling_ratio, "avg", aligned)
    assert torch.autograd.gradcheck(lambda x: layer(x, rois), features)


def test_nms_hands_no_gradient_to_the_choice_but_to_what_is_chosen(openmmlab):
    from mmcv.ops import nms

    boxes, scores = boxes_and_scores(12, 4)
    boxes.requires_grad_()
    detections, kept = nms(boxes, scores, 0.1)
    assert not kept.requires_grad
    detections[:, :4].sum().backward()
    chosen = torch.zeros(12, dtype=torch.bool)
    chosen[kept] = True
    assert 0 < len(kept) < 12
    assert torch.equal(boxes.grad, chosen[:, None].float().expand(12, 4))


def test_roi_align_takes_bfloat16(openmmlab):
    from mmcv.ops import roi_align

    rois = regions(3)
    features = torch.randn(2, 3, 20, 24).bfloat16().requires_grad_()
    ours = roi_align(features, rois.bfloat16(), (5, 5), 0.5, 2, "avg", True)
    theirs = torchvision.ops.roi_align(features.detach().float(), rois.bfloat16().float(), (5, 5), 0.5, 2, True)
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, theirs.bfloat16())
    ours.float().sum().backward()
    assert features.grad.abs().sum() > 0


def test_roi_align_by_maximum_is_refused(openmmlab):
    from mmcv.ops import roi_align

    with pytest.raises(NotImplementedError, match="use 'avg'"):
        roi_align(torch.zeros(1, 1, 8, 8), regions(1)[:1], (2, 2), 1.0, 0, "max", True)


def two_steps(recipe, loader, directory):
    """Train two batches; the losses, and the names of the weights that changed."""
    from actionpipe.training.runner import Run

    recipe.train_dataloader = loader
    recipe.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 1}
    recipe.val_dataloader = recipe.val_evaluator = recipe.val_cfg = None
    recipe.test_dataloader = recipe.test_evaluator = recipe.test_cfg = None
    losses = []
    run = Run.from_recipe(recipe, directory)
    run.register_hook(_note_losses(losses), priority="LOWEST")
    before = {name: value.detach().clone() for name, value in run.model.named_parameters()}
    run.train()
    changed = [name for name, value in run.model.named_parameters() if not torch.equal(value, before[name])]
    return losses, changed, list(before)


def _note_losses(losses):
    from mmengine.hooks import Hook

    class Note(Hook):
        def after_train_iter(self, *_, outputs=None, **__):
            losses.append(float(outputs["loss"].detach()))

    return Note()


@pytest.mark.slow
def test_the_repository_s_tsm_trains(openmmlab, tiny, tmp_path):
    from actionpipe.competition.file import load
    from actionpipe.recipes import recipe as recipes

    competition = load(tiny.root / "competition.yaml")
    recipe = recipes.load(RECIPES / "tsm_small.py", {"train_batch": 2, "loader_workers": 0})
    tiny.short_list(tiny.workspace.train_list(0), 4)
    recipes.join_classifier(recipe, competition.members[0], competition, tiny.workspace, 0)
    losses, changed, names = two_steps(recipe, recipe.train_dataloader, tmp_path / "run")
    assert len(losses) == 2
    assert torch.isfinite(torch.tensor(losses)).all()
    assert changed == names


@pytest.mark.slow
def test_the_repository_s_faster_rcnn_trains(openmmlab, tiny, tmp_path):
    from actionpipe.competition.file import load
    from actionpipe.recipes import recipe as recipes

    detector = load(tiny.root / "competition.yaml").detector
    recipe = recipes.load(RECIPES / "faster_rcnn_small.py", {"train_batch": 6, "loader_workers": 0})
    recipes.join_detector(recipe, detector, tiny.workspace, 0)
    losses, changed, names = two_steps(recipe, recipe.train_dataloader, tmp_path / "run")
    assert len(losses) == 2
    assert torch.isfinite(torch.tensor(losses)).all()
    assert set(changed) >= {name for name in names if "neck" in name or "roi_head" in name}


@pytest.fixture
def asked():
    """The address of a server on this machine, and what it was asked for."""
    import http.server
    import threading

    paths = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["data.pkl", "data.pickle", "data.yaml", "data.yml"])
def test_mmengine_s_reader_of_data_builds_no_objects(openmmlab, tmp_path, monkeypatch, name):
    import mmengine

    class Payload:
        def __reduce__(self):
            return (Path.touch, (Path("mark"),))

    monkeypatch.chdir(tmp_path)
    tag = b"!!python/object/apply:os.system ['touch mark']"
    (tmp_path / name).write_bytes(tag if "y" in name.rpartition(".")[2] else pickle.dumps(Payload()))
    with pytest.raises((UserError, yaml.YAMLError)):
        mmengine.load(name)
    assert not (tmp_path / "mark").exists()
    (tmp_path / "good.json").write_text("[1]")
    assert mmengine.load(tmp_path / "good.json") == [1]


def test_mmengine_opens_files_of_this_machine_only(openmmlab, asked):
    import mmengine
    from mmengine.fileio import FileClient, get

    address, paths = asked
    for open_ in (
        lambda: mmengine.load(f"{address}/x.json"),
        lambda: get(f"{address}/x.jpg"),
        lambda: get("s3://bucket/x.jpg"),
        lambda: get("x.jpg", backend_args={"backend": "http"}),
        lambda: FileClient("http").get(f"{address}/x"),
        lambda: FileClient(prefix="https").get(f"{address}/x"),
    ):
        with pytest.raises(UserError, match="is an address"):
            open_()
    assert paths == []


def test_mmengine_downloads_weights_only_when_a_recipe_names_them(openmmlab, asked, tmp_path, monkeypatch):
    from mmengine.runner.checkpoint import _load_checkpoint

    address, paths = asked
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in (f"{address}/x.pth", "torchvision://resnet50", "open-mmlab://resnet50", "s3://bucket/x.pth"):
        with pytest.raises(UserError, match=r"would download .* which its recipe does not name"):
            _load_checkpoint(name)
    assert paths == []
    openmmlab.allow_addresses({"model": [{"checkpoint": f"{address}/named.pth"}]})
    with pytest.raises(Exception, match="404"):
        _load_checkpoint(f"{address}/named.pth")
    assert paths[0] == "/named.pth"


def test_what_mmcv_registers_may_be_called_its_own(openmmlab):
    from mmdet.registry import MODELS, TRANSFORMS

    assert TRANSFORMS.get("mmcv.LoadImageFromFile").__name__ == "LoadImageFromFile"
    assert MODELS.get("mmcv.ConvModule").__name__ == "ConvModule"
    for name in ("mmcv.imread", "mmcv.transforms.Resize", "mmcv.os", "mmcv.video.cut_video"):
        assert TRANSFORMS.get(name) is None
