"""No file can run code: what checkpoints and competition files say, by every door that reads them."""

from pathlib import Path

import pytest
import torch
import yaml
from conftest import CLASSES
from talking_video import write_talking_video

from actionpipe import competition as competitions
from actionpipe.errors import UserError
from actionpipe.recipes import FOLDERS, name_folders, recipe_file, typed, wheel_configs

WHEEL = "mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py"
RUNS = "subprocess.check_output"


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def call(type_, **settings):
    return {"type": type_, **settings}


# What a file says of its recipe (RECIPE: a program that writes MARK), and a part of what the error must say.
NAMES = {
    "a path": ("RECIPE", "no plain name"),
    "a path that climbs": ("../../evil.py", "no plain name"),
    "a path without suffix": ("/tmp/evil", "no plain name"),
    "a name with dots": ("..", "no plain name"),
    "a line break": ("tsm_small\n", "no plain name"),
    "a null": ("tsm\0small", "no plain name"),
    "climbing out of the wheel": ("mmaction::CLIMB", "leads out"),
    "an absolute path of the wheel": ("mmaction::RECIPE", "leads out"),
    "backslashes": ("mmaction::..\\..\\evil.py", "leads out"),
}
COMMAND = call(RUNS, args=["touch", "MARK"])
# Overrides of tsm_small (MARK: a file that must not be made), and a part of what the error must say.
OVERRIDES = {
    "a pipeline step": ({"test_pipeline": [COMMAND]}, RUNS),
    "a step in the middle": ({"test_pipeline.0": COMMAND}, RUNS),
    "a step's type": ({"test_pipeline.0.type": "os.system"}, "os.system"),
    "a backbone": ({"model.backbone": {**COMMAND, "_delete_": True}}, RUNS),
    "a backbone's type": ({"model.backbone.type": RUNS}, RUNS),
    "a norm": ({"model.backbone.norm_cfg": COMMAND}, RUNS),
    "a nested step": ({"test_pipeline": [call("RandomApply", transforms=[COMMAND])]}, RUNS),
    "a nested tuple": ({"test_pipeline": (call("RandomApply", transforms=(COMMAND,)),)}, RUNS),
    "another registry's class": ({"model.backbone.type": "AdamW"}, "AdamW"),
    "a loop": ({"train_cfg": {**COMMAND, "_delete_": True}}, RUNS),
    "an optimiser": ({"optim_wrapper.optimizer.type": RUNS}, RUNS),
    "a constructor": ({"optim_wrapper.constructor": RUNS}, RUNS),
    "a hook": ({"default_hooks.logger": COMMAND}, RUNS),
    "a schedule": ({"param_scheduler": [COMMAND]}, RUNS),
    "a scope": ({"model.backbone._scope_": "evil"}, "evil"),
    "a scope in a type": ({"model.backbone.type": "evil.ResNet"}, "evil.ResNet"),
    "the default scope": ({"default_scope": "evil"}, "evil"),
    "bases": ({"model._base_": "RECIPE"}, "_base_"),
    "imports": ({"model.custom_imports": {"imports": ["evil"]}}, "custom_imports"),
    "a template": ({"model.backbone.type": "{{ fileBasename }}"}, "template"),
    "a deeper template": ({"model.backbone.new": ["{{_base_.model}}"]}, "template"),
    "code for suppressions": (
        {"model.cls_head.nms": call("__import__('pathlib').Path('MARK').touch()")},
        "suppressions of boxes",
    ),
    "weights from a web address": ({"model.backbone.pretrained": "http://evil/x.pth"}, "starting weights"),
    "weights by init_cfg": (
        {"model.backbone.init_cfg": call("Pretrained", checkpoint="http://evil/x.pth")},
        "starting weights",
    ),
    "files that climb": (
        {"initial_weights": {"_delete_": True, "files": ["../x.pth"], "url": "https://x"}},
        "plain names",
    ),
    "a folder of work": ({"model.work_dir": "/etc"}, "work_dir"),
    "no dict": ([1], "found list"),
    "a text": ("model.backbone.type=x", "found str"),
    "a key that is no text": ({1: 2}, "key must be a text"),
    "nested deeply": ({"model.backbone.new": deep(300)}, "nested"),
    "a value that does not fit": ({"model": 3}, "must be keys too"),
}
# Of checkpoints alone.
META = {
    "a tensor": ({"overrides": {"model.backbone.depth": torch.zeros(1)}}, "type Tensor"),
    "an unknown key of frames": ({"frames": {"evil": 1}}, "evil"),
    "frames that are none": ({"frames": [1]}, "says of its frames"),
    "a text for a number": ({"frames": {"quality": "high"}}, "quality"),
    "frames of no size": ({"frames": {"short_side": -1}}, "no frames can be stored"),
    "a recipe that is no text": ({"recipe": ["tsm_small"]}, "does not say what recipe"),
    "classes that are no list": ({"classes": {"a": 1}}, "does not say what its classes"),
}


def filled(value, place):
    """``value`` with the test's own paths in it."""
    if isinstance(value, dict):
        return {key: filled(item, place) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(item, place) for item in value)
    return (
        value.replace("RECIPE", str(place.recipe)).replace("MARK", str(place.mark)).replace("CLIMB", place.climb)
        if (isinstance(value, str))
        else value
    )


class Place:
    def __init__(self, root: Path) -> None:
        self.root, self.mark, self.recipe = root, root / "mark", root / "evil.py"
        self.recipe.write_text(f"import pathlib\npathlib.Path({str(self.mark)!r}).touch()\n")
        self.climb = "../" * len(wheel_configs().parts) + str(self.recipe).lstrip("/")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def recognizer(said, place):
    from actionpipe import Recognizer

    Recognizer(checkpoint(said, place), device="cpu", engine="torch")


def predict(said, place):
    from actionpipe.stages.predict import predict

    predict([video(place)], checkpoint(said, place), device="cpu", engine="torch")


def demo(said, place):
    from actionpipe.stages.demo import command

    command(video(place), checkpoint(said, place), place.root / "out.mp4", device="cpu", engine="torch")


def competition(said, place):
    """As every stage of a DATA folder reads a member and its recipe."""
    from actionpipe.training import recipe as recipes

    path = place.root / "competition.yaml"
    member = {"name": "clips", "recipe": said["recipe"], "overrides": said["overrides"]}
    path.write_text(yaml.dump({"name": "x", "classes": CLASSES, "members": [member]}, Dumper=yaml.SafeDumper))
    found = competitions.load(path).members[0]
    recipes.load(found.recipe, found.overrides)


def checkpoint(said, place):
    path = place.root / "best.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": said}, path)
    return path


def video(place):
    return write_talking_video(place.root / "a.mp4", frames=5, size=(64, 48), sound=None)


CHECKPOINT_DOORS = [recognizer, predict, demo]


def tried(door, said, place, match):
    meta = {"classes": CLASSES, "recipe": "tsm_small", "overrides": {}, **filled(said, place)}
    with pytest.raises(UserError, match=match):
        door(meta, place)
    assert not place.mark.exists()


@pytest.mark.parametrize("door", [*CHECKPOINT_DOORS, competition])
@pytest.mark.parametrize("attempt", NAMES)
def test_a_file_names_recipes_by_plain_names_only(openmmlab, place, door, attempt):
    name, match = NAMES[attempt]
    if door is competition and "\0" in str(name):
        match = "no file can be called so"  # said of every name in that file
    tried(door, {"recipe": name}, place, match)


@pytest.mark.parametrize("door", [*CHECKPOINT_DOORS, competition])
@pytest.mark.parametrize("attempt", OVERRIDES)
def test_overrides_of_a_file_run_nothing(openmmlab, place, door, attempt):
    overrides, match = OVERRIDES[attempt]
    if door is competition and ("tuple" in attempt or not isinstance(overrides, dict) or 1 in overrides):
        match = "overrides|override"  # YAML has no tuples, and the competition file has words of its own
    tried(door, {"overrides": overrides}, place, match)


@pytest.mark.parametrize("door", CHECKPOINT_DOORS)
@pytest.mark.parametrize("attempt", META)
def test_odd_metadata_is_told(openmmlab, place, door, attempt):
    said, match = META[attempt]
    tried(door, said, place, match)


@pytest.mark.parametrize("attempt", [RUNS, "os.system", "torch.hub.load", "builtins.eval"])
def test_no_registry_imports_what_is_not_registered(openmmlab, attempt):
    """Behind the check of overrides: mmengine itself builds registered classes only."""
    from mmaction.registry import MODELS, TRANSFORMS
    from mmengine.registry import HOOKS

    for registry in (MODELS, TRANSFORMS, HOOKS):
        assert registry.get(attempt) is None


def test_the_check_of_flags_is_the_same(openmmlab):
    from actionpipe.stages.flops import show_cost

    with pytest.raises(UserError, match=r"os\.system"):
        show_cost("tsm_small", overrides=["model.backbone.type=os.system"])


def test_registered_classes_and_sizes_may_be_overridden(openmmlab):
    from actionpipe.training import recipe as recipes

    overrides = {
        "test_pipeline.1": {"type": "Resize", "scale": [32, 32], "keep_ratio": False},
        "optim_wrapper.optimizer": {"_delete_": True, "type": "AdamW", "lr": 1e-3},
        "model.backbone.type": "mmaction.ResNetTSM",
    }
    assert recipes.load("tsm_small", overrides).optim_wrapper.optimizer.type == "AdamW"


def test_recipes_of_a_folder_that_was_named_are_known_by_name(place, monkeypatch):
    monkeypatch.setenv(FOLDERS, "")
    with pytest.raises(UserError, match="--recipes"):
        recipe_file("evil")
    name_folders([place.root])
    assert recipe_file("evil") == place.recipe.resolve()
    (place.root / "tsm_small.py").touch()
    with pytest.raises(UserError, match="may be any of"):
        recipe_file("tsm_small")
    with pytest.raises(UserError, match="there is none at"):
        name_folders([place.root / "absent"])


def test_a_path_that_is_typed_is_taken(place):
    assert recipe_file(typed(str(place.recipe))) == place.recipe
    assert typed(WHEEL) == WHEEL
    assert recipe_file(WHEEL).is_file()


def test_a_link_out_of_the_wheel_is_refused(place, monkeypatch):
    folder = place.root / "configs"
    folder.mkdir()
    (folder / "in.py").symlink_to(place.recipe)
    monkeypatch.setattr("actionpipe.recipes.wheel_configs", lambda: folder)
    with pytest.raises(UserError, match="is a link"):
        recipe_file("mmaction::in.py")


def test_every_command_that_reads_recipes_has_the_flag():
    import inspect

    from actionpipe.flags import with_recipe_folders
    from actionpipe.main import VERBS

    for verb in ("run", "data", "train", "inference", "predict", "demo", "flops", "postprocess", "tune"):
        assert "recipe_folders" in inspect.signature(with_recipe_folders(VERBS[verb])).parameters, verb
