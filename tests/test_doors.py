"""No file can run code: what checkpoints and competition files say, by every door that reads them."""

from pathlib import Path

import pytest
import torch
import yaml
from conftest import CLASSES
from talking_video import write_talking_video

from actionpipe.competition import file as competitions
from actionpipe.errors import UserError
from actionpipe.recipes.locate import FOLDERS, name_folders, recipe_file, typed, wheel_configs

WHEEL = "mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py"
RUNS = "subprocess.check_output"


def deep(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def laughs(levels):
    """A list that stands ten times in a list that stands ten times in a list, as pickles and YAML can say it."""
    value = [1] * 10
    for _ in range(levels):
        value = [value] * 10
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
    "a null": ("tsm\0small", "no plain name|zero byte"),
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
    "a type in a dict of its own": ({"model.backbone.type": {"type": RUNS}}, "model.backbone.type"),
    "a type in a list": ({"model.backbone.type": [RUNS]}, "no name of a registered class"),
    "a type that is a class's repr": ({"model.backbone.type": "<class 'os.system'>"}, "class 'os.system'"),
    "an activation": ({"model.backbone.act_cfg": COMMAND}, RUNS),
    "a list in a tuple": ({"model.backbone.plugins": ([{"cfg": COMMAND}],)}, RUNS),
    "an evaluator": ({"model.evaluator": COMMAND}, RUNS),
    "a visualiser": ({"model.visualizer": COMMAND}, "visualizer"),
    "a sampler": ({"model.sampler": COMMAND}, RUNS),
    "a collation": ({"model.collate_fn": COMMAND}, RUNS),
    "a start of processes": ({"model.worker_init_fn": COMMAND}, RUNS),
    "a hook of its own": ({"default_hooks.evil": COMMAND}, RUNS),
    "a hook that profiles": ({"default_hooks.evil": call("ProfilerHook", json_trace_path="MARK")}, "json_trace_path"),
    "a hook of ours": ({"default_hooks.evil": call("BestAndLastHook", key="x")}, "BestAndLastHook"),
    "a config of a teacher": (
        {"model": {"_delete_": True, **call("mmdet.LAD", teacher_config="MARK.py")}},
        "teacher_config",
    ),
    "a pickle of channels": ({"model.cls_head": call("UniFormerHead", channel_map="evil.pkl")}, "channel_map"),
    "a network that downloads": ({"model.backbone.type": "OmniResNet"}, "OmniResNet"),
    "a function by its name": ({"test_pipeline": [call("TorchVisionWrapper", op="Lambda")]}, "TorchVisionWrapper"),
    "a lazy import": ({"model.imports": ["evil"]}, "imports"),
    "a key of another Python": ({"model.backbone.new": {"a': __import__('os').system('touch MARK'), 'b": 1}}, "no key"),
    "a file of annotations": ({"model.ann_file": "MARK"}, "ann_file"),
    "a prefix of data": ({"model.data_prefix": {"img": "../.."}}, "leads to another place"),
    "an absolute path": ({"model.backbone.new": "/etc/passwd"}, "leads to another place"),
    "a path that climbs": ({"model.backbone.new": ["a/../../b"]}, "leads to another place"),
    "an address of a shop": ({"model.backbone.new": "s3://evil/x"}, "leads to another place"),
    "another disk": ({"test_pipeline.1.io_backend": "http"}, "io_backend"),
    "weights of torchvision": ({"model.backbone.pretrained": "torchvision://resnet50"}, "starting weights"),
    "weights of OpenMMLab": ({"model.backbone.init_cfg": {"checkpoint": "open-mmlab://x"}}, "starting weights"),
    "weights from a web address": ({"model.backbone.pretrained": "http://evil/x.pth"}, "starting weights"),
    "weights by init_cfg": (
        {"model.backbone.init_cfg": call("Pretrained", checkpoint="http://evil/x.pth")},
        "starting weights",
    ),
    "files that climb": (
        {"initial_weights": {"_delete_": True, "files": ["../x.pth"], "url": "https://x"}},
        "weights: FILE",
    ),
    "another source of weights": ({"initial_weights": {"files": ["x.pth"], "url": "https://evil/x"}}, "weights: FILE"),
    "a folder of work": ({"model.work_dir": "/etc"}, "work_dir"),
    "no dict": ([1], "found list"),
    "a text": ("model.backbone.type=x", "found str"),
    "a key that is no text": ({1: 2}, "key must be a text"),
    "nested deeply": ({"model.backbone.new": deep(300)}, "nested"),
    "a value that does not fit": ({"model": 3}, "must be keys too"),
    "no model": ({"model": None}, "without model"),
    "no hooks": ({"default_hooks": None}, "without default_hooks"),
    "no schedules": ({"param_scheduler": None}, "without param_scheduler"),
    "a batch of none": ({"train_batch": 0}, "whole number from 1"),
    "processes that are a text": ({"loader_workers": "x"}, "whole number from 0"),
    "a validation every none": ({"train_cfg.val_interval": 0}, "whole number from 1"),
    "no list of steps": ({"test_pipeline": ["x"]}, "list of steps"),
    "a scope that is a list": ({"model.backbone._scope_": ["evil"]}, "the scopes are"),
    "the same many times": ({"model.backbone.new": laughs(9)}, "values"),
}
# Overrides that are harmless and fit no network, or no video.
UNFIT = {
    "no backbone": {"model.backbone": None},
    "a depth that there is not": {"model.backbone.depth": 19},
    "a text for a number": {"model.backbone.depth": "x"},
    "an unknown setting": {"model.backbone.unknown": 1},
    "a negative width": {"model.backbone.base_channels": -1},
    "no head": {"model.cls_head": None},
    "another kind of network": {"model.type": "mmdet.FasterRCNN"},
    "segments that are a text": {"model.backbone.num_segments": "x"},
    "no mean": {"model.data_preprocessor.mean": []},
    "an unknown average": {"model.cls_head.average_clips": "x"},
    "an unknown setting of a step": {"test_pipeline.2.unknown": 1},
    "clips that are a text": {"test_pipeline.0.num_clips": "x"},
    "no clips": {"test_pipeline.0.num_clips": 0},
    "a billion clips": {"test_pipeline.0.num_clips": 10**9},
    "no size": {"test_pipeline.1": {"type": "Resize", "scale": "x"}},
    "a size of nothing": {
        "test_pipeline.1": {"type": "Resize", "scale": [0, 0], "keep_ratio": False, "_delete_": True}
    },
    "epochs that are a text": {"train_cfg.max_epochs": "x"},
}
# Of checkpoints alone.
META = {
    "a number of thousands of bits": ({"overrides": {"model.backbone.depth": 1 << 1000}}, "bits"),
    "a tensor": ({"overrides": {"model.backbone.depth": torch.zeros(1)}}, "type Tensor"),
    "an unknown key of frames": ({"frames": {"evil": 1}}, "evil"),
    "frames that are none": ({"frames": [1]}, "says of its frames"),
    "a text for a number": ({"frames": {"quality": "high"}}, "quality"),
    "frames of no size": ({"frames": {"short_side": -1}}, "no frames can be stored"),
    "a recipe that is no text": ({"recipe": ["tsm_small"]}, "does not say what recipe"),
    "an empty recipe": ({"recipe": ""}, "does not say what recipe"),
    "a long recipe": ({"recipe": "a" * 5000}, "no name of a recipe"),
    "a detector's recipe": ({"recipe": "faster_rcnn_small"}, "no head of classes"),
    "a recipe of poses": (
        {"recipe": "mmaction::skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py"},
        "does not classify clips",
    ),
    "classes that are numbers": ({"classes": [1, 2, 3]}, "does not say what its classes"),
    "a class twice": ({"classes": ["a", "b", "a"]}, "cannot be told apart"),
    "a class without a name": ({"classes": ["", "b"]}, "cannot be told apart"),
    "half a letter": ({"classes": ["\ud800", "b"]}, "cannot be told apart"),
    "classes that are no list": ({"classes": {"a": 1}}, "does not say what its classes"),
}


def filled(value, place):
    """``value`` with the test's own paths in it; what is large stays as it is."""
    if isinstance(value, dict):
        return {filled(key, place): filled(item, place) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and len(value) < 10:
        return type(value)(filled(item, place) for item in value)
    if not isinstance(value, str):
        return value
    return value.replace("RECIPE", str(place.recipe)).replace("MARK", place.mark.name).replace("CLIMB", place.climb)


class Place:
    def __init__(self, root: Path) -> None:
        # The mark is named by its name alone: a path would be refused before the type is looked at.
        self.root, self.mark, self.recipe = root, root / "mark", root / "evil.py"
        self.recipe.write_text(f"import pathlib\npathlib.Path({str(self.mark)!r}).touch()\n")
        self.climb = "../" * len(wheel_configs().parts) + str(self.recipe).lstrip("/")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
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
    from actionpipe.recipes import recipe as recipes

    path = place.root / "competition.yaml"
    member = {"name": "clips", "recipe": said["recipe"], "overrides": said["overrides"]}
    path.write_text(yaml.dump({"name": "x", "classes": CLASSES, "members": [member]}, Dumper=yaml.SafeDumper))
    found = competitions.load(path).members[0]
    recipes.load(found.recipe, found.overrides)


def checkpoint(said, place, state=None):
    path = place.root / "best.pth"
    torch.save({"state_dict": state or {"a": torch.zeros(1)}, "meta": said}, path)
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


@pytest.mark.parametrize("attempt", UNFIT)
def test_overrides_that_fit_nothing_have_a_message_that_names_the_file(openmmlab, place, attempt):
    """Those that only the weights or a video show are told when they are there."""
    from actionpipe import Recognizer
    from actionpipe.inference.clip_scorer import build_recogniser
    from actionpipe.recipes import recipe as recipes

    whole = build_recogniser(recipes.load("tsm_small", {}), len(CLASSES)).state_dict()
    said = {"classes": CLASSES, "recipe": "tsm_small", "overrides": UNFIT[attempt]}
    with pytest.raises(UserError, match=r"best\.pth|recipe|overrides"):
        Recognizer(checkpoint(said, place, whole), device="cpu", engine="torch").predict([video(place)])


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
    from actionpipe.recipes import recipe as recipes

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
    monkeypatch.setattr("actionpipe.recipes.locate.wheel_configs", lambda: folder)
    with pytest.raises(UserError, match="is a link"):
        recipe_file("mmaction::in.py")


def test_every_command_that_reads_recipes_has_the_flag():
    import inspect

    from actionpipe.cli import VERBS, command_of
    from actionpipe.stages.flags import with_recipe_folders

    for verb in ("run", "data", "train", "inference", "predict", "demo", "flops", "postprocess", "tune"):
        assert "recipe_folders" in inspect.signature(with_recipe_folders(command_of(VERBS[verb]))).parameters, verb


@pytest.mark.parametrize("text", ["'; open('mark', 'w') #", '"""; x', "a\\'", "a\nimport os", "{x}", "# y", "\u2028x"])
def test_the_recipe_that_is_written_out_is_data(openmmlab, place, text):
    """``recipe.py`` of a run is for people, who may name it as a recipe."""
    import ast

    from actionpipe.recipes import recipe as recipes

    written = recipes.load(
        "tsm_small", {"model.backbone.new": text, "model.backbone.more": [{"a b": (text,)}]}
    ).pretty_text
    found = {}
    for statement in ast.parse(written).body:
        assert isinstance(statement, ast.Assign), ast.unparse(statement)
        calls = {ast.unparse(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)}
        assert calls <= {"dict"}
        if ast.unparse(statement.targets[0]) == "model":
            found = eval(ast.unparse(statement.value), {"__builtins__": {}, "dict": dict})
    assert (found["backbone"]["new"], found["backbone"]["more"]) == (text, [{"a b": (text,)}])
