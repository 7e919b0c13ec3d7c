import errno
import urllib.error
from pathlib import Path

import pytest
import torch
import torchvision
from mmengine.config import Config

from actionpipe.checkpoints.fitting import load_backbone
from actionpipe.checkpoints.starting_weights import Source, find, source_of
from actionpipe.errors import UserError

SOURCE = Source(files=("first.pth", "second.safetensors"), url="https://example.org/first-0123abcd.pth")


@pytest.fixture(scope="module")
def backbones(openmmlab):
    """Name -> a function that makes the backbone of OpenMMLab."""
    from mmaction.models.backbones import MobileNetV2TSM, ResNetTSM
    from mmdet.models.backbones import MobileNetV2
    from mmdet.models.backbones import ResNet as DetectorResNet

    return {
        "mobilenet": lambda: MobileNetV2TSM(num_segments=8, pretrained2d=False),
        "mobilenet of mmdet": lambda: MobileNetV2(out_indices=(7,)),
        "resnet": lambda: ResNetTSM(50, pretrained2d=False, num_segments=8),
        "resnet of mmdet": lambda: DetectorResNet(50),
    }


def shuffled(model):
    """A state dict whose batch norms have been used too: every weight and statistic differs from its initial value."""
    generator = torch.Generator().manual_seed(4)
    return {
        name: torch.rand(value.shape, generator=generator) + 0.5 if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }


@pytest.mark.parametrize(
    ("name", "theirs", "dialect"),
    [
        ("mobilenet", "mobilenet_v2", "torchvision MobileNetV2"),
        ("mobilenet of mmdet", "mobilenet_v2", "torchvision MobileNetV2 for mmdet"),
        ("resnet", "resnet50", "torchvision ResNet"),
        ("resnet of mmdet", "resnet50", "own names"),
    ],
)
def test_torchvision_s_weights_fit_whole(backbones, tmp_path, name, theirs, dialect):
    source = getattr(torchvision.models, theirs)(weights=None)
    source.load_state_dict(shuffled(source))
    torch.save(source.state_dict(), tmp_path / "theirs.pth")
    backbone = backbones[name]()
    assert any(".net." in key for key in backbone.state_dict()) == ("mmdet" not in name)  # the temporal shifts
    fit = load_backbone(backbone, tmp_path / "theirs.pth")
    assert fit.dialect == dialect
    assert fit.left == []
    own = [value for key, value in backbone.state_dict().items() if not key.endswith("num_batches_tracked")]
    wanted = [
        value
        for key, value in source.state_dict().items()
        if not key.endswith("num_batches_tracked") and not key.startswith(("fc.", "classifier."))
    ]
    assert fit.matched == len(own) == len(wanted)
    # Both register their layers in the order of the data.
    for ours, their in zip(own, wanted, strict=True):
        assert torch.equal(ours, their)


@pytest.mark.parametrize(("name", "theirs"), [("mobilenet of mmdet", "mobilenet_v2"), ("resnet of mmdet", "resnet50")])
def test_the_features_are_those_of_torchvision(backbones, tmp_path, name, theirs):
    """The names alone could agree by chance: the networks compute the same."""
    torch.manual_seed(0)
    source = getattr(torchvision.models, theirs)(weights=None).eval()
    torch.save(source.state_dict(), tmp_path / "theirs.pth")
    backbone = backbones[name]()
    backbone.eval()  # returns nothing in OpenMMLab
    load_backbone(backbone, tmp_path / "theirs.pth")
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        ours = backbone(picture)
        ours = ours[-1] if isinstance(ours, tuple) else ours
        if theirs == "mobilenet_v2":
            expected = source.features(picture)
        else:
            expected = torch.nn.Sequential(*list(source.children())[:-2])(picture)
    assert torch.allclose(ours, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet", "resnet"])
@pytest.mark.parametrize("prefix", ["", "module.backbone."])
@pytest.mark.parametrize("plain", [True, False])
def test_mmaction2_s_own_names_fit_with_and_without_temporal_shift(backbones, tmp_path, name, prefix, plain):
    backbone = backbones[name]()
    state = {key.replace(".net.", ".") if plain else key: value for key, value in shuffled(backbone).items()}
    torch.save({"state_dict": {prefix + key: value for key, value in state.items()}}, tmp_path / "own.pth")
    fit = load_backbone(backbone, tmp_path / "own.pth")
    assert (fit.dialect, fit.left) == ("own names", [])
    for key, value in backbone.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, state[key.replace(".net.", ".") if plain else key])


def test_a_fitting_file_of_a_trained_recogniser_leaves_its_head_out(backbones, tmp_path):
    backbone = backbones["mobilenet"]()
    state = {f"backbone.{key}": value for key, value in shuffled(backbone).items()}
    torch.save({"state_dict": {**state, "cls_head.fc_cls.weight": torch.zeros(400, 1280)}}, tmp_path / "a.pth")
    assert load_backbone(backbone, tmp_path / "a.pth").left == []


@pytest.mark.parametrize(("name", "theirs"), [("resnet", "resnet18"), ("mobilenet", "resnet50"), ("resnet", "vgg11")])
def test_another_architecture_is_refused_with_the_names_of_both(backbones, tmp_path, name, theirs):
    if theirs == "vgg11":
        source = torchvision.models.mobilenet_v3_small(weights=None)
    else:
        source = getattr(torchvision.models, theirs)(weights=None)
    torch.save(source.state_dict(), tmp_path / "theirs.pth")
    backbone = backbones[name]()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(UserError, match=r"theirs\.pth does not fit the backbone \w+: \d+ of its \d+ weights"):
        load_backbone(backbone, tmp_path / "theirs.pth")
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_known_names_are_looked_for_in_order(tmp_path):
    (tmp_path / "second.safetensors").write_text("")
    assert find(SOURCE, tmp_path) == tmp_path / "second.safetensors"
    (tmp_path / "first.pth").write_text("")
    assert find(SOURCE, tmp_path) == tmp_path / "first.pth"


def test_a_given_file_counts_before_the_known_names_and_is_relative_to_data(tmp_path):
    pretrained = tmp_path / "pretrained"
    pretrained.mkdir()
    (pretrained / "first.pth").write_text("")
    (tmp_path / "mine.pth").write_text("")
    assert find(SOURCE, pretrained, Path("mine.pth")) == tmp_path / "mine.pth"
    assert find(SOURCE, pretrained, tmp_path / "mine.pth") == tmp_path / "mine.pth"
    with pytest.raises(
        UserError, match=r"no weights file at .*other\.pth; fetch https://example\.org/first-0123abcd\.pth"
    ):
        find(SOURCE, pretrained, Path("other.pth"))


def test_what_is_missing_is_downloaded(tmp_path, monkeypatch):
    def download(url, target, hash_prefix, progress):
        assert (url, hash_prefix) == (SOURCE.url, "0123abcd")
        Path(target).write_text("weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    path = find(SOURCE, tmp_path / "pretrained")
    assert path.read_text() == "weights"
    assert [file.name for file in path.parent.iterdir()] == ["first.pth"]


def test_a_failing_download_says_what_where_from_and_where_to(tmp_path, monkeypatch):
    def fail(url, target, hash_prefix, progress):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(UserError) as caught:
        find(SOURCE, tmp_path / "pretrained")
    message = str(caught.value)
    assert "looked for first.pth, second.safetensors" in message
    assert "Name or service not known" in message
    assert f"fetch {SOURCE.url}" in message
    assert f"put it at {tmp_path / 'pretrained' / 'first.pth'}" in message
    assert "weights: scratch" in message
    assert "What was there before is unchanged" not in message, "it is the network that failed, not the disk"


def test_a_download_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    def half(url, target, hash_prefix, progress):
        Path(target).write_text("hal")
        raise ConnectionResetError("Connection reset by peer")

    monkeypatch.setattr(torch.hub, "download_url_to_file", half)
    with pytest.raises(UserError, match="Connection reset by peer"):
        find(SOURCE, tmp_path / "pretrained")
    assert list((tmp_path / "pretrained").iterdir()) == []


def test_a_disk_that_is_full_while_downloading_is_not_called_a_network_fault(tmp_path, monkeypatch):
    def full(url, target, hash_prefix, progress):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch.hub, "download_url_to_file", full)
    with pytest.raises(UserError, match=r"cannot write .*first\.pth: No space left on device"):
        find(SOURCE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_not_the_whole_file_is_refused(tmp_path):
    (tmp_path / "first-0123abcd.pth").write_text("only the first half")
    source = Source(files=("first.pth",), url=(tmp_path / "first-0123abcd.pth").as_uri())
    with pytest.raises(UserError, match="downloading them failed: invalid hash value"):
        find(source, tmp_path / "pretrained")
    assert list((tmp_path / "pretrained").iterdir()) == []


def test_a_recipe_without_starting_weights_has_no_source():
    assert source_of(Config({"initial_weights": None})) is None
    assert source_of(Config({})) is None
    declared = Config({"initial_weights": {"files": ["a.pth"], "url": "u"}})
    assert source_of(declared) == Source(files=("a.pth",), url="u")
