"""Published checkpoints of whole models: what is taken over, what is made to fit, what is left, and what is said."""

import json
from types import SimpleNamespace

import pytest
import torch
import torchvision
from conftest import build, frame_recipe
from mmengine.config import Config

from actionpipe.checkpoints.fitting import load_backbone, load_weights
from actionpipe.errors import UserError

KINETICS = [f"class {number}" for number in range(12)]
OURS = ["riding_bike", "up", "del"]


def make(settings):
    from mmaction.registry import MODELS
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        return MODELS.build(settings)


def slow_only(depth=50, channels=8, **settings):
    kernels = {"conv1_kernel": (1, 7, 7), "inflate": (0, 0, 1, 1), "with_pool2": False, "lateral": False, **settings}
    return make({"type": "ResNet3dSlowOnly", "depth": depth, "base_channels": channels, **kernels})


def slow_fast(channels=8):
    path = {"type": "resnet3d", "depth": 50, "norm_eval": False, "conv1_stride_t": 1, "pool1_stride_t": 1}
    slow = {"conv1_kernel": (1, 7, 7), "inflate": (0, 0, 1, 1), "lateral": True, "base_channels": channels}
    fast = {"conv1_kernel": (5, 7, 7), "lateral": False, "base_channels": channels // 8}
    return make(
        {
            "type": "ResNet3dSlowFast",
            "resample_rate": 4,
            "speed_ratio": 4,
            "channel_ratio": 8,
            "slow_pathway": {**path, **slow},
            "fast_pathway": {**path, **fast},
        }
    )


def recogniser(classes=3, channels=8):
    """A SlowOnly with its class head, of random weights."""
    head = {"type": "I3DHead", "num_classes": classes, "in_channels": 32 * channels, "spatial_type": "avg"}
    model = make({"type": "Recognizer3D", "backbone": {"type": "ResNet3dSlowOnly", "depth": 50}, "cls_head": head})
    model.backbone = slow_only(channels=channels)
    torch.nn.init.normal_(model.cls_head.fc_cls.weight)
    torch.nn.init.normal_(model.cls_head.fc_cls.bias)
    return model


def used(model, seed=4):
    """A model every weight and statistic of which differs from its start."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: torch.rand(value.shape, generator=generator) * 0.2 + 0.5 if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    for name, value in state.items():
        if value.ndim > 1:  # centred, or the maps would grow from layer to layer
            state[name] = (value - 0.6) / 3
    model.load_state_dict(state)
    return model


def learnt(model):
    return {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}


def flat(state):
    """The 2D network's file of a 3D one's names."""
    return {name: value[:, :, 0] if value.ndim == 5 else value for name, value in state.items()}


def features(model, clip):
    model.train(False)
    with torch.no_grad():
        return model(clip)


@pytest.mark.parametrize(("depth", "inner"), [(18, 8), (50, 9)])
def test_an_inflated_network_sees_a_still_clip_as_the_2d_one_sees_the_frame(openmmlab, tmp_path, depth, inner):
    torch.manual_seed(0)
    source = getattr(torchvision.models, f"resnet{depth}")(weights=None).eval()
    torch.save(source.state_dict(), tmp_path / "theirs.pth")
    backbone = slow_only(depth, channels=64)
    fit = load_backbone(backbone, tmp_path / "theirs.pth")
    convolutions = [name for name, value in learnt(backbone).items() if value.ndim == 5]
    assert (fit.dialect, fit.left, fit.unused) == ("torchvision ResNet", [], ["fc.weight", "fc.bias"])
    assert fit.adapted == {f"backbone.{name}": "2D to 3D" for name in convolutions}
    assert fit.matched + len(fit.adapted) == fit.total == len(learnt(backbone))
    assert backbone.layer4[0].conv1.conv.weight.shape[2] == 3
    frame = torch.rand(1, 3, 32, 32)
    length = 2 * inner + 1  # zeros before and behind the clip reach one frame further in each layer of time
    with torch.no_grad():
        expected = torch.nn.Sequential(*list(source.children())[:-2])(frame)
    found = features(backbone, frame[:, :, None].repeat(1, 1, length, 1, 1))
    assert torch.allclose(found[:, :, inner], expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(found[:, :, 0], expected, rtol=1e-3, atol=1e-4)


def test_the_slow_path_starts_from_2d_and_does_not_hear_the_fast_one(openmmlab, tmp_path):
    alone = used(slow_only(inflate=(0, 0, 0, 0)))
    torch.save(
        {"state_dict": {f"backbone.{name}": value for name, value in flat(alone.state_dict()).items()}},
        tmp_path / "a.pth",
    )
    both = used(slow_fast(), seed=5)
    before = {name: value.clone() for name, value in learnt(both).items()}
    fit = load_backbone(both, tmp_path / "a.pth")
    assert fit.dialect == "own names, slow path"
    assert fit.adapted["backbone.slow_path.conv1.conv.weight"] == "2D to 3D"
    assert fit.adapted["backbone.slow_path.layer2.0.conv1.conv.weight"] == "2D to 3D, lateral inputs at zero"
    laterals = {name for name in before if "_lateral." in name}
    assert len(laterals) == 4
    assert set(fit.left) == {f"backbone.{name}" for name in before if name.startswith("fast_path.") or name in laterals}
    for name, value in learnt(both).items():
        assert torch.equal(value, before[name]) == (f"backbone.{name}" in fit.left)
    only = slow_only()
    load_backbone(only, tmp_path / "a.pth")
    clip = torch.rand(1, 3, 8, 32, 32)
    slow, _ = features(both, clip)
    # Of the slow path every fourth frame; its pooling over time is none.
    assert torch.allclose(slow, features(only, clip[:, :, ::4]), rtol=1e-3, atol=1e-5)


def test_a_slow_only_of_3d_starts_a_slow_path_too(openmmlab, tmp_path):
    torch.save(used(slow_only()).state_dict(), tmp_path / "a.pth")
    fit = load_backbone(slow_fast(), tmp_path / "a.pth")
    assert fit.dialect == "own names, slow path"
    assert set(fit.adapted.values()) == {"lateral inputs at zero"}
    assert len(fit.adapted) == 8  # the first convolution of each stage, and its shortcut


def test_a_checkpoint_of_the_same_classes_is_taken_whole(openmmlab, tmp_path):
    trained, model = used(recogniser()), recogniser()
    torch.save({"state_dict": trained.state_dict(), "meta": {"classes": OURS}}, tmp_path / "best.pth")
    fit = load_weights(model, tmp_path / "best.pth", OURS)
    assert (fit.adapted, fit.left, fit.refused, fit.unused) == ({}, [], {}, [])
    assert fit.matched == fit.total == len(learnt(model))
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in learnt(model).items())
    assert str(fit) == f"starting weights: best.pth: {fit.total} of {fit.total} matched (own names)"


@pytest.mark.parametrize(
    "meta", [None, {"config": "model = …", "mmaction_version": "0.18.0"}, {"dataset_meta": {"classes": 3}}]
)
def test_a_head_without_names_is_taken_by_its_number_of_classes(openmmlab, tmp_path, meta):
    trained, model = used(recogniser()), recogniser()
    torch.save({"state_dict": trained.state_dict(), **({"meta": meta} if meta else {})}, tmp_path / "a.pth")
    assert load_weights(model, tmp_path / "a.pth", OURS).left == []
    assert torch.equal(model.cls_head.fc_cls.weight, trained.cls_head.fc_cls.weight)
    other = recogniser(classes=4)
    before = other.cls_head.fc_cls.weight.detach().clone()
    fit = load_weights(other, tmp_path / "a.pth", [*OURS, "down"])
    assert fit.left == fit.unused == ["cls_head.fc_cls.weight", "cls_head.fc_cls.bias"]
    assert fit.refused["cls_head.fc_cls.weight"] == "3 classes in the file, 4 here"
    assert torch.equal(other.cls_head.fc_cls.weight, before)


@pytest.mark.parametrize("key", ["ours", "mmengine", "0.x"])
def test_rows_of_classes_of_the_same_name_are_copied(openmmlab, tmp_path, key):
    names = ["class 0", "up", "Riding Bike", *KINETICS[3:]]
    metas = {
        "ours": {"classes": names},
        "mmengine": {"dataset_meta": {"classes": tuple(names)}},
        "0.x": {"CLASSES": names},
    }
    trained, model = used(recogniser(classes=12)), recogniser()
    torch.save({"state_dict": trained.state_dict(), "meta": metas[key]}, tmp_path / "a.pth")
    drawn = {name: value.clone() for name, value in model.cls_head.state_dict().items()}
    fit = load_weights(model, tmp_path / "a.pth", OURS)
    for name, value in model.cls_head.state_dict().items():
        given = trained.cls_head.state_dict()[name]
        assert torch.equal(value[0], given[2])
        assert torch.equal(value[1], given[1])
        assert torch.equal(value[2], drawn[name][2]), "a class that the file does not know keeps its random start"
    assert set(fit.adapted) == {"cls_head.fc_cls.weight", "cls_head.fc_cls.bias"}
    assert "2 adapted, 2 of 3 classes by name (riding_bike, up): cls_head.fc_cls.weight, cls_head.fc_cls.bias" in str(
        fit
    )


def test_the_same_classes_in_another_order_are_put_in_ours(openmmlab, tmp_path):
    trained, model = used(recogniser()), recogniser()
    torch.save({"state_dict": trained.state_dict(), "meta": {"classes": OURS[::-1]}}, tmp_path / "a.pth")
    load_weights(model, tmp_path / "a.pth", OURS)
    assert torch.equal(model.cls_head.fc_cls.weight, trained.cls_head.fc_cls.weight.flip(0))


@pytest.mark.parametrize("here", [OURS, None])
def test_as_many_classes_of_other_names_are_left(openmmlab, tmp_path, here):
    trained, model = used(recogniser()), recogniser()
    torch.save({"state_dict": trained.state_dict(), "meta": {"classes": ["a", "b", "c"]}}, tmp_path / "a.pth")
    before = model.cls_head.fc_cls.weight.detach().clone()
    fit = load_weights(model, tmp_path / "a.pth", here)
    assert fit.left == ["cls_head.fc_cls.weight", "cls_head.fc_cls.bias"]
    assert torch.equal(model.cls_head.fc_cls.weight, before)


def test_what_a_file_has_beyond_the_model_is_counted_and_named(openmmlab, tmp_path):
    model = recogniser()
    state = {f"module.{name}": value for name, value in used(recogniser()).state_dict().items()}
    extra = {
        "mask_token": torch.zeros(1, 1, 8),
        "decoder.norm.weight": torch.zeros(8),
        "decoder.steps": torch.tensor(3),
    }
    torch.save({"state_dict": {**state, **extra}}, tmp_path / "a.pth")
    fit = load_weights(model, tmp_path / "a.pth", OURS)
    assert fit.unused == ["mask_token", "decoder.norm.weight"]
    assert str(fit).endswith("\n  2 of the file not used: mask_token, decoder.norm.weight")


def test_the_report_is_a_few_lines_of_counts_and_first_names(openmmlab, tmp_path):
    state = flat(used(recogniser(classes=400)).state_dict())
    torch.save({"state_dict": state}, tmp_path / "tsn.pth")
    model = recogniser()
    fit = load_weights(model, tmp_path / "tsn.pth", OURS)
    total = len(learnt(model))
    assert str(fit).splitlines() == [
        f"starting weights: tsn.pth: {total - 55} of {total} matched (own names)",
        "  53 adapted, 2D to 3D: backbone.conv1.conv.weight, backbone.layer1.0.conv1.conv.weight, "
        "backbone.layer1.0.conv2.conv.weight, …",
        "  2 left at random: cls_head.fc_cls.weight (400 classes in the file, 3 here), cls_head.fc_cls.bias",
        "  2 of the file not used: cls_head.fc_cls.weight, cls_head.fc_cls.bias",
    ]
    record = json.loads(json.dumps(fit.record()))
    assert record["file"] == str(tmp_path / "tsn.pth")
    assert (record["total"], record["matched"], len(record["adapted"])) == (total, total - 55, 53)
    assert record["left"] == record["unused"] == ["cls_head.fc_cls.weight", "cls_head.fc_cls.bias"]


def test_of_half_precision_the_model_s_own_is_made(openmmlab, tmp_path):
    state = {name: value.half() for name, value in flat(used(recogniser()).state_dict()).items()}
    torch.save(state, tmp_path / "half.pth")
    model = recogniser()
    assert load_weights(model, tmp_path / "half.pth", OURS).left == []
    assert {value.dtype for value in learnt(model).values()} == {torch.float32}
    assert torch.equal(model.backbone.conv1.conv.weight[:, :, 0], state["backbone.conv1.conv.weight"].float())


def wrong(name):
    if name == "r2plus1d_18":
        return torchvision.models.video.r2plus1d_18(weights=None).state_dict(), "stem.0.weight, stem.1.weight"
    if name == "narrower":
        return recogniser(channels=16).state_dict(), "backbone.conv1.conv.weight, backbone.conv1.bn.weight"
    if name == "a head":
        state = recogniser().cls_head.state_dict()
        return {
            f"cls_head.{key}": value for key, value in state.items()
        }, "cls_head.fc_cls.weight, cls_head.fc_cls.bias"
    state = recogniser().state_dict()  # a ninth of the backbone is missing
    return dict(list(state.items())[: -len(state) // 8]), "backbone.conv1.conv.weight, backbone.conv1.bn.weight"


@pytest.mark.parametrize("name", ["r2plus1d_18", "narrower", "a head", "cut short"])
def test_a_wrong_file_is_refused_whole_with_the_names_of_both_and_what_to_type(openmmlab, tmp_path, name):
    state, first = wrong(name)
    torch.save({"state_dict": state}, tmp_path / "wrong.pth")
    model = recogniser()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(
        UserError, match=r"wrong\.pth does not fit the backbone ResNet3dSlowOnly: \d+ of its 265 we"
    ) as caught:
        load_weights(model, tmp_path / "wrong.pth", OURS)
    message = str(caught.value)
    assert f"Names in the file begin with {first}" in message
    assert (
        "in the model with backbone.conv1.conv.weight, backbone.conv1.bn.weight, backbone.conv1.bn.bias, …" in message
    )
    assert "`weights: FILE`" in message
    assert "`weights: scratch`" in message
    assert ("16x3x1x7x7 in the file, 8x3x1x7x7 here" in message) == (name == "narrower")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_detector_s_box_head_is_taken_for_its_own_classes_only(openmmlab, tmp_path):

    recipe = Config.fromstring(frame_recipe(), file_format=".py")
    trained, model = used(build(recipe)), build(recipe)
    torch.save(
        {"state_dict": trained.state_dict(), "meta": {"dataset_meta": {"CLASSES": ("ball",)}}}, tmp_path / "a.pth"
    )
    assert load_weights(model, tmp_path / "a.pth", ["ball"]).left == []
    fit = load_weights(build(recipe), tmp_path / "a.pth", ["kick scooter"])
    assert fit.left
    assert all(name.startswith("roi_head.") for name in fit.left)
    assert set(fit.refused.values()) == {"a head of other classes in the file"}


class Start:
    """What ``InitialWeightsHook`` reads of a runner."""

    def __init__(self, directory, epoch=0):
        from actionpipe.training.checkpoint_hook import BestAndLastHook, InitialWeightsHook

        self.file = directory / "a.pth"
        torch.save({"state_dict": used(recogniser()).state_dict(), "meta": {"classes": OURS[::-1]}}, self.file)
        keeper = BestAndLastHook(str(directory), "macro_f1", {"classes": OURS})
        self.model = recogniser()
        self.runner = SimpleNamespace(epoch=epoch, model=self.model, work_dir=str(directory), hooks=[keeper])
        self.hook = InitialWeightsHook(str(self.file))


def test_the_hook_fills_the_model_says_so_and_keeps_it_beside_the_run(openmmlab, tmp_path, capsys):
    start = Start(tmp_path)
    start.hook.before_train(start.runner)
    said = capsys.readouterr().out
    assert said.startswith(
        "starting weights: a.pth: 265 of 267 matched (own names)\n  2 adapted, 3 of 3 classes by name"
    )
    record = json.loads((tmp_path / "initial_weights.json").read_text())
    assert record["matched"] == 265
    assert record["adapted"]["cls_head.fc_cls.bias"] == "3 of 3 classes by name (riding_bike, up, del)"


def test_every_process_loads_and_the_first_one_speaks(openmmlab, tmp_path, capsys, monkeypatch):
    from actionpipe.training import checkpoint_hook

    monkeypatch.setattr(checkpoint_hook, "is_main_process", lambda: False)
    start = Start(tmp_path)
    start.hook.before_train(start.runner)
    given = torch.load(start.file, weights_only=True)["state_dict"]
    assert torch.equal(start.model.backbone.conv1.conv.weight, given["backbone.conv1.conv.weight"])
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "initial_weights.json").exists()


def test_a_run_that_goes_on_is_not_started_again(openmmlab, tmp_path, capsys):
    start = Start(tmp_path, epoch=2)
    before = start.model.backbone.conv1.conv.weight.detach().clone()
    start.hook.before_train(start.runner)
    assert torch.equal(start.model.backbone.conv1.conv.weight, before)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "initial_weights.json").exists()
