"""What everything else is measured against: the reference itself."""

import json

import cv2
import numpy as np
from conftest import frame_recipe

from actionpipe.competition.file import Detector
from actionpipe.inference.reference import detect_frames
from actionpipe.recipes.locate import FOLDERS


def test_the_boxes_of_a_frame_do_not_depend_on_the_frames_beside_it(random_weights, tmp_path, monkeypatch):
    """In a batch mmdet pads each to the largest; the recipe, whose batch is 4, is tested one frame at a time."""
    recipe = tmp_path / "boxes.py"
    recipe.write_text(frame_recipe())
    monkeypatch.setenv(FOLDERS, str(tmp_path))
    detector = Detector(recipe=recipe.stem, classes=["ball"])
    images = []
    for number, (width, height) in enumerate([(64, 48), (48, 64), (90, 30)], start=1):
        picture = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})

    def detect(shown):
        coco = tmp_path / "frames.json"
        content = {"images": shown, "annotations": [], "categories": [{"id": 1, "name": "ball"}]}
        coco.write_text(json.dumps(content))
        return detect_frames(detector, random_weights["boxes"], coco, tmp_path, "cpu", "reference")

    together = detect(images)
    for image in images:
        alone = detect([image])[image["id"]]
        assert len(alone) > 0
        np.testing.assert_array_equal(together[image["id"]], alone)
