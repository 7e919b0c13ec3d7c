"""As much of a run as the hook that keeps checkpoints looks at, whose weight says which epoch it is of."""

from types import SimpleNamespace

import torch
from torch.utils.data import DataLoader

META = {"classes": ["a", "b"], "fold": 0}


def hook_of(directory, **given):
    from actionpipe.training.checkpoint_hook import BestAndLastHook

    return BestAndLastHook(str(directory), "macro_f1", META, **given)


class Runner:
    """As much of a runner as the hook looks at: a model of one number that is the epoch it was saved in."""

    world_size = 1
    hooks = ()

    def __init__(self, epochs=10, val_interval=1, val_begin=1, validates=True, samples=20, batch=4):
        self.model = torch.nn.Linear(1, 1, bias=False)
        self.optim_wrapper = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.param_schedulers = [torch.optim.lr_scheduler.StepLR(self.optim_wrapper, 1)]
        self.train_loop = SimpleNamespace(
            _epoch=0,
            _iter=0,
            step=0,
            stop_training=False,
            val_interval=val_interval,
            val_begin=val_begin,
            max_epochs=epochs,
            dataloader=DataLoader(range(samples), batch),
        )
        self.val_loop = object() if validates else None

    @property
    def epoch(self):
        return self.train_loop._epoch

    @property
    def iter(self):
        return self.train_loop._iter

    def train(self, hook, metrics):
        """Run the epochs that the metrics are of, in mmengine's order of calls."""
        hook.before_train(self)
        for value in metrics:
            if self.train_loop.stop_training:
                return
            self.model.weight.data.fill_(self.epoch + 1)
            self.train_loop._iter += 5
            hook.after_train_epoch(self)
            self.train_loop._epoch += 1
            if value is not None:
                hook.after_val_epoch(self, {"macro_f1": value})


def weight(path):
    return float(torch.load(path, weights_only=True)["state_dict"]["weight"])
