"""No file of DATA, or that an importer reads, can run code: whatever it holds, by every reader."""

import ast
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import CHECKOUT, CLASSES, Tiny, stage

from actionpipe.competition import file as competitions
from actionpipe.errors import UserError
from actionpipe.stages.flags import parse_overrides
from actionpipe.storage.atomic import read_record


class Payload:
    """Makes the file ``mark`` in the current folder when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("mark"),))


def pickled(protocol):
    return pickle.dumps([Payload()], protocol=protocol)


def saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def of_torch(zipped):
    buffer = io.BytesIO()
    torch.save({"state_dict": Payload()}, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


CODE = "__import__('pathlib').Path('mark').touch()"
CONTENTS = {
    "a pickle": pickled(4),
    "an old pickle": pickled(0),
    "NumPy's pickle": saved(np.array([Payload()], dtype=object)),
    "a checkpoint": of_torch(zipped=True),
    "an old checkpoint": of_torch(zipped=False),
    "a call in YAML": f'name: !!python/object/apply:eval ["{CODE}"]\n'.encode(),
    "an object in YAML": b"name: !!python/object/new:os.system [touch mark]\n",
    "a name in YAML": b"name: !!python/name:os.system\n",
    "a module in YAML": b"name: !!python/module:antigravity\n",
    "a tuple in YAML": b"name: !!python/tuple [1]\n",
    "a program": f"import pathlib\n{CODE}\n".encode(),
    "mmengine's config": (
        f"custom_imports = dict(imports=['mark'])\n_base_ = 'mark.py'\nx = '{{{{ fileDirname }}}}'\n{CODE}\n"
    ).encode(),
    "a lazy config": f"with read_base():\n    from .mark import *\n{CODE}\n".encode(),
}


def _fusion(path):
    from actionpipe.fusion.chosen import chosen
    from actionpipe.storage.workspace import Workspace

    workspace = Workspace(path.parent.parent)
    chosen(workspace, competitions.load(competitions.DEFAULT))


def _weights(path):
    from actionpipe.checkpoints.weights import read_weights

    read_weights(path)


def _dump(path):
    from actionpipe.fusion.pickled_scores import read_classifier_dump

    read_classifier_dump(path, ["a.mp4"], CLASSES)


def _coco(path):
    from actionpipe.data.coco import read_coco

    read_coco(path)


def _list(path):
    from actionpipe.data.lists import read_list

    read_list(path)


def _manifest(path):
    from actionpipe.storage.manifest import Manifest

    Manifest.read(path)


def _table(path):
    from actionpipe.data.user_tables import read_train_rows
    from actionpipe.storage.faults import Faults
    from actionpipe.storage.workspace import Workspace

    faults = Faults()
    read_train_rows(Workspace(path.parent), competitions.load(competitions.DEFAULT), faults)
    faults.stop()


def _scores(path):
    from actionpipe.fusion.scores import read_scores

    read_scores(path, CLASSES)


def _detections(path):
    from actionpipe.fusion.evidence import read_detections

    read_detections(path, ["ball"])


def _coverage(path):
    from actionpipe.fusion.coverage import read_coverage

    read_coverage(path)


def _label_map(path):
    """Any text is a class: only what is no text is refused."""
    from actionpipe.data.formats.label_map import read_label_map
    from actionpipe.storage.faults import Faults

    read_label_map(path, Faults())


def _record(path):
    if read_record(path) is None:
        raise UserError(path.name)


def _journal(path):
    """A row that is none is passed over."""
    from actionpipe.storage.journal import Journal

    if not Journal(path.parent).entries:
        raise UserError(path.name)


READERS = {
    "competition.yaml": competitions.load,
    "results/fusion.yaml": _fusion,
    "best.pth": _weights,
    "best.safetensors": _weights,
    "model1.pkl": _dump,
    "boxes.json": _coco,
    "train.txt": _list,
    "manifest.csv": _manifest,
    "train.csv": _table,
    "scores.csv": _scores,
    "detections.csv": _detections,
    "coverage.csv": _coverage,
    "inputs.json": _record,
    "done.json": _record,
    "tuning.json": _record,
    ".manifest.journal": _journal,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", CONTENTS)
def test_no_file_runs_what_it_holds(tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CONTENTS[content])
    (tmp_path / "mark.py").write_text("raise AssertionError('imported')")
    with pytest.raises(UserError, match=path.name):
        READERS[name](path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("content", CONTENTS)
def test_class_names_and_flags_are_texts(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "labels.txt"
    path.write_bytes(CONTENTS[content])
    try:
        _label_map(path)
    except UserError as error:
        assert "labels.txt" in str(error)
    if content.endswith("YAML"):
        with pytest.raises(UserError, match="--cfg-options"):
            parse_overrides([f"model={{{CONTENTS[content].decode().strip()}}}"])
    assert not (tmp_path / "mark").exists()


CALLS = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load", "np.load", "numpy.load", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "eval", "exec", "compile", "marshal.loads", "shelve.open", "joblib.load",
    "importlib.import_module", "__import__", "os.system", "os.popen", "subprocess.Popen", "subprocess.run",
    "urllib.request.urlopen", "torch.hub.load", "torch.hub.download_url_to_file", "torch.jit.load", "ast.literal_eval",
    "pd.read_pickle", "pd.eval", "runpy.run_path",
}  # fmt: skip
"""What runs, imports, unpickles or fetches."""
KNOWN = {
    ("actionpipe/fusion/pickled_scores.py", "pickle.Unpickler"),  # _Reader, which knows arrays alone
    ("actionpipe/cli.py", "importlib.import_module"),  # stages that the source names
    ("actionpipe/openmmlab/registration.py", "importlib.import_module"),  # modules that the source names
    ("actionpipe/openmmlab/deferred_imports.py", "importlib.import_module"),  # modules that the source names
    ("actionpipe/training/loading.py", "pickle.loads"),  # batches between a loader's process and ours
    ("actionpipe/openmmlab/numpy2.py", "importlib.import_module"),
    ("actionpipe/openmmlab/activation.py", "importlib.import_module"),
    ("actionpipe/runtime/processes.py", "subprocess.Popen"),  # this Python, with modules that the source names
    ("actionpipe/storage/scalars.py", "yaml.load"),  # by a kind of SafeLoader
    ("actionpipe/checkpoints/starting_weights.py", "torch.hub.download_url_to_file"),  # an address of a recipe
    ("actionpipe/checkpoints/weights.py", "torch.load"),  # with weights_only
    ("actionpipe/video/decoder_process.py", "pickle.loads"),  # what the process itself has just pickled
    ("actionpipe/video/decoder_process.py", "subprocess.Popen"),  # this Python, with a module that the source names
}


def test_what_could_run_a_file_is_called_in_known_places_only():
    """Whoever adds one looks at this list: may what it is given come out of a file?"""
    found = set()
    for path in sorted((CHECKOUT / "actionpipe").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.func] if isinstance(node, ast.Call) else node.bases if isinstance(node, ast.ClassDef) else []
            found |= {(str(path.relative_to(CHECKOUT)), ast.unparse(name)) for name in names} if names else set()
            if isinstance(node, ast.Attribute):
                found.add((str(path.relative_to(CHECKOUT)), ast.unparse(node)))
    assert {(path, name) for path, name in found if name in CALLS} == KNOWN


def test_every_setting_that_names_a_file_is_refused(openmmlab):
    """Of all classes that overrides may name; a new version of a library may bring others."""
    import inspect
    import re

    import mmengine.registry

    from actionpipe.recipes import overrides
    from actionpipe.recipes.overrides import plain_overrides

    kinds = re.compile(
        r"file|_path$|^path$|dir$|directory|root|url|checkpoint|ckpt|pretrain|prefix_path|lmdb|backend_args"
    )
    harmless = {"use_checkpoint", "filename_tmpl", "max_keep_ckpts", "pretrain_img_size", "use_e2e_profiler"}
    harmless |= {"profile_memory", "profile_times", "drop_path", "pose_drop_path", "rgb_drop_path", "paths"}
    seen = 0
    for kind in sorted({kind for kinds in overrides._PLACES.values() for kind in kinds}):
        pending = [getattr(mmengine.registry, kind)]
        while pending:
            registry = pending.pop()
            registry.import_from_location()
            pending += registry.children.values()
            for name, made in registry.module_dict.items():
                start = made.__init__ if inspect.isclass(made) else made
                try:
                    settings = inspect.signature(start).parameters
                except (TypeError, ValueError):
                    continue
                for setting in settings:
                    if not kinds.search(setting) or setting in harmless or "profile" in setting:
                        continue
                    seen += 1
                    if name in overrides._OPENS | overrides._EVALUATES:
                        continue
                    with pytest.raises(UserError):
                        plain_overrides({"model.x": {"type": name, setting: "x"}})
    assert seen > 50


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x.pth", "torchvision://resnet50", "s3://bucket/x.pth", "hub:x"]
)
def test_starting_weights_of_a_competition_file_are_files(openmmlab, tmp_path, monkeypatch, address):
    from actionpipe.recipes import recipe as recipes
    from actionpipe.storage.workspace import Workspace
    from actionpipe.training.prepare import starting_weights

    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("it was fetched"))
    path = tmp_path / "competition.yaml"
    member = {"name": "clips", "recipe": "tsm_r50", "weights": address, "checkpoint": address}
    path.write_text(yaml.safe_dump({"name": "x", "classes": CLASSES, "members": [member]}))
    found = competitions.load(path).members[0]
    with pytest.raises(UserError, match="no weights file at"):
        starting_weights(recipes.load("tsm_r50", {}), found, Workspace(tmp_path))


EVIL = {"test_pipeline": [{"type": "pathlib.Path", "args": ["mark"]}]}
AWAY = {
    "a program as its recipe": {"recipe": "./evil.py"},
    "a type": {"overrides": EVIL},
    "an address": {"overrides": {"model.backbone.pretrained": "http://127.0.0.1:9/x.pth"}},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "change"),
    [*((command, change) for command in ("train", "inference") for change in AWAY), ("resume", "a type")],
)
def test_commands_of_a_folder_end_with_2_and_run_nothing(tmp_path, random_weights, command, change):
    """Of a DATA folder whose competition file, ``last.pth`` and records are somebody else's."""
    tiny = Tiny(tmp_path / "data").make()
    mark = tmp_path / "mark"
    (tiny.root / "evil.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n")
    (tiny.root / "pretrained").mkdir()
    (tiny.root / "pretrained" / "clips.pth").write_bytes(random_weights["clips"].read_bytes())
    member = {**tiny.competition["members"][0], **AWAY[change]}
    tiny.write_competition(members=[member], detector=None)
    if command == "resume":
        run = tiny.workspace.run_dir("clips", 0)
        run.mkdir(parents=True)
        (run / "recipe.py").write_text((tiny.root / "evil.py").read_text())
        (run / "last.pth").write_bytes(CONTENTS["a checkpoint"])
        for name in ("inputs.json", "done.json", "micro_batch.json"):
            (run / name).write_text(json.dumps({"recipe": "./evil.py", "micro_batch": -3, "competition": "evil"}))
    result = stage("train" if command == "resume" else command, 0, "--data", tiny.root)
    assert not mark.exists()
    assert "Traceback" not in result.stderr + result.stdout
    assert result.returncode == 2, result.stderr
    assert "'clips' in " in result.stderr
    assert any(word in result.stderr for word in ("no plain name", "pathlib.Path", "starting weights"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "inference"])
def test_modules_in_the_current_folder_are_not_imported(tmp_path, random_weights, command):
    """Of a folder that somebody hands over, in which the commands are typed; optional packages would be found there."""
    tiny = Tiny(tmp_path / "data").make()
    (tiny.root / "pretrained").mkdir()
    (tiny.root / "pretrained" / "clips.pth").write_bytes(random_weights["clips"].read_bytes())
    tiny.write_competition(detector=None)
    for name in ("yaml", "numpy", "torch", "av", "petrel_client", "transformers", "clip", "decord", "actionpipe"):
        (tiny.root / f"{name}.py").write_text("import pathlib\npathlib.Path(__file__).with_name('mark').touch()\n")
    (script,) = [line for line in (CHECKOUT / f"{command}.sh").read_text().splitlines() if line.startswith("exec")]
    typed = [sys.executable, *script.split()[2:-1], "0", "--data", ".", "--folds", "0"]
    typed += ["--dry-run"] if command == "train" else ["--engine", "torch"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    result = subprocess.run(typed, cwd=tiny.root, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not (tiny.root / "mark").exists()


@pytest.mark.slow
def test_a_run_that_somebody_else_has_begun_is_not_gone_on_from(tmp_path):
    """``last.pth`` and records beside it that look like this very run, and hold an object."""
    from actionpipe.training.training_inputs import inputs_of

    tiny = Tiny(tmp_path / "data").make()
    tiny.write_competition(detector=None)
    competition = competitions.load(tiny.root / "competition.yaml")
    run = tiny.workspace.run_dir("clips", 0)
    run.mkdir(parents=True)
    (run / "inputs.json").write_text(
        json.dumps(inputs_of(competition.members[0], 0, tiny.workspace, competition, {}, 0))
    )
    (run / "last.pth").write_bytes(CONTENTS["a checkpoint"])
    result = stage("train", 0, "--data", tiny.root, "--folds", "0")
    assert result.returncode == 2, result.stderr
    assert "last.pth cannot be read as a checkpoint" in result.stderr
    assert "Traceback" not in result.stderr
