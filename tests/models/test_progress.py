import pytest


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (95, "1:35"), (3700, "1:01:40"), (36000, "10:00:00")]
)
def test_durations(openmmlab, seconds, text):
    from actionpipe.models.progress import duration

    assert duration(seconds) == text


def test_the_metric_is_that_of_the_competition(openmmlab):
    import torch

    from actionpipe.models.metrics import ClipMetric

    metric = ClipMetric("macro_f1", 3)
    samples = [
        {"pred_score": torch.tensor(scores), "gt_label": torch.tensor([label])}
        for scores, label in (([0.9, 0.1, 0.0], 0), ([0.2, 0.7, 0.1], 1), ([0.6, 0.4, 0.0], 1), ([0.9, 0.0, 0.1], 0))
    ]
    metric.process(None, samples)
    values = metric.compute_metrics(metric.results)
    assert values["accuracy"] == 0.75
    assert values["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)  # no clip and no prediction of the third class
