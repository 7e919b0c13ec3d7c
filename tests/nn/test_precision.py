"""Training in bfloat16: what is computed in it, and what is not."""

import pytest
import torch
from torch import nn


@pytest.fixture
def small(openmmlab):
    import small_run

    return small_run


def test_passes_are_in_bfloat16_in_training_and_validation_and_weights_stay_float32(small, tmp_path):
    run = small.build(tmp_path, epochs=1, metrics=[0.5], precision="bf16", minutes=60)
    types, gradients = {True: set(), False: set()}, []
    for part in (run.model.conv, run.model.head):
        part.register_forward_hook(lambda module, _, out: types[module.training].add(out.dtype))
    run.model.head.weight.register_hook(lambda gradient: gradients.append(gradient.dtype))
    run.train()
    assert types == {True: {torch.bfloat16}, False: {torch.bfloat16}}
    assert set(gradients) == {torch.float32}
    assert {value.dtype for value in run.model.parameters()} == {torch.float32}
    momenta = [state["momentum_buffer"] for state in run.optim_wrapper.optimizer.state.values()]
    assert {value.dtype for value in momenta} == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")


def test_what_is_learnt_is_that_of_float32_within_bfloat16_s_rounding(small, tmp_path):
    weights = {}
    for precision in ("fp32", "bf16"):
        run = small.build(tmp_path / precision, precision=precision, minutes=60)
        run.train()
        weights[precision] = small.parameters_of(run.model)
    first = small.hook_of(run, "NotesHook").first
    for name, exact in weights["fp32"].items():
        error, learnt = (weights["bf16"][name] - exact).norm(), (exact - first[name]).norm()
        assert 0 < error < 0.1 * learnt, name


class Heads(nn.Module):
    """Gives the maps of two levels, as detectors' heads do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, given):
        return [self.layer(given)], (self.layer(given), None)


def test_heads_give_float32_after_passes_in_less_and_other_parts_do_not(openmmlab):
    from actionpipe.nn.precision import keep_scores_exact

    model = nn.ModuleDict(
        {
            "cls_head": nn.Linear(3, 2),
            "rpn_head": Heads(),
            "roi_head": nn.ModuleDict({"bbox_head": nn.ModuleList([Heads()])}),
            "neck": nn.Linear(3, 2),
        }
    )
    keep_scores_exact(model)
    given = torch.ones(1, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = model["cls_head"](given)
        (first,), (second, nothing) = model["rpn_head"](given)
        (third,), _ = model["roi_head"]["bbox_head"][0](given)
        between = model["neck"](given)
    assert {found.dtype for found in (scores, first, second, third)} == {torch.float32}
    assert nothing is None
    assert between.dtype == torch.bfloat16
    scores.sum().backward()
    assert model["cls_head"].weight.grad.dtype == torch.float32


def test_a_detector_learns_and_looks_in_bfloat16(openmmlab):
    from conftest import build, frame_recipe
    from mmdet.structures import DetDataSample
    from mmengine.config import Config
    from mmengine.optim import build_optim_wrapper
    from mmengine.structures import InstanceData

    from actionpipe.training.execution import set_precision
    from actionpipe.training.runner import make_fast

    recipe = Config.fromstring(frame_recipe(), file_format=".py")
    recipe.model.roi_head.bbox_head.num_classes = 1
    set_precision(recipe, "bf16")
    torch.manual_seed(3)
    model = make_fast(build(recipe), "cpu").train()
    optimizer = build_optim_wrapper(model, recipe.optim_wrapper)
    sample = DetDataSample(metainfo={"img_shape": (72, 96), "ori_shape": (72, 96), "scale_factor": (1.0, 1.0)})
    sample.gt_instances = InstanceData(bboxes=torch.tensor([[10.0, 10, 50, 60]]), labels=torch.zeros(1).long())
    picture = torch.randint(0, 256, (3, 72, 96), dtype=torch.uint8)
    before = {key: weight.detach().clone() for key, weight in model.named_parameters() if weight.requires_grad}
    losses = model.train_step({"inputs": [picture], "data_samples": [sample]}, optimizer)
    assert {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox"} <= set(losses)
    assert torch.isfinite(losses["loss"])
    learnt = [key for key, weight in before.items() if not torch.equal(weight, model.get_parameter(key))]
    assert {key.split(".")[0] for key in learnt} == {"backbone", "neck", "rpn_head", "roi_head"}
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        (found,) = model.eval().val_step({"inputs": [picture], "data_samples": [sample]})
    assert found.pred_instances.scores.dtype == torch.float32
