"""Multiplications and additions of a forward pass, module by module, as torch counts them."""

from typing import Any


def count_flops(model: Any, batch: dict[str, Any]) -> dict[str, int]:
    """Of a test of ``batch`` by an OpenMMLab model: convolutions, products of matrices, attention.

    Args:
        model: left as it is found.
        batch: as its data preprocessor takes it.

    Returns:
        Module to number, a multiplication and an addition counted as two; ``Global`` is the whole, other names begin
        with the model's class.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    training, learning = model.training, [weight for weight in model.parameters() if weight.requires_grad]
    model.eval()
    try:
        # Weights that are handed to a module as its input would be looked up in the graph that there is none of.
        for weight in learning:
            weight.requires_grad_(False)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            model(**model.data_preprocessor(batch, False), mode="predict")
    finally:
        for weight in learning:
            weight.requires_grad_(True)
        model.train(training)
    return {name: int(sum(numbers.values())) for name, numbers in counter.get_flop_counts().items()}
