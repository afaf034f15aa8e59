"""Steps of a training on a GPU, taken down once as a CUDA graph and then repeated: one launch for all of a step.

A small network's step is hundreds of short kernels, which take Python longer to launch than a card to run. The first
steps are launched as on any device, so that kernels are built, tiles chosen and an optimiser's state is there; then
batches of that size are copied to where the graph reads them. Others, such as the last one of an epoch, are launched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from spikeport.engine.cuda import Launch, Recorder, apart, recorder_for
from spikeport.training.reduce import ranks

Step = Callable[..., Tensor]  #: of samples, labels and maybe lengths: the loss, and the number of right answers

LAUNCHED = 3  #: steps of a size before one is taken down, as PyTorch's notes on CUDA graphs have it


class Repeated:
    """A step of training, the same for every batch of a size. ``why`` says what kept it from being taken down."""

    def __init__(self, step: Step, optimiser: torch.optim.Optimizer, recorder: Recorder | None) -> None:
        self.why = ""
        self._step, self._optimiser, self._recorder = step, optimiser, recorder
        self._launched: Counter[torch.Size] = Counter()
        self._again: Launch | None = None
        self._batch: tuple[Tensor, ...] = ()
        self._told = self._rate = torch.empty(0)

    @classmethod
    def on(cls, device: torch.device, step: Step, optimiser: torch.optim.Optimizer) -> Repeated:
        """Taken down on a GPU that trains alone; processes that train together launch each step."""
        return cls(step, optimiser, recorder_for(device) if ranks() == 1 else None)

    def __call__(self, *batch: Tensor) -> Tensor:
        """One step; what it tells lies on the device until the next one."""
        if self._recorder is None:
            return self._step(*batch)
        shape = batch[0].shape
        if self._again is None and self._launched[shape] >= LAUNCHED:
            self._take_down(self._recorder, batch)
        if self._again is None or self._batch[0].shape != shape:
            self._launched[shape] += 1
            with apart(batch[0].device):
                return self._step(*batch)
        for there, each in zip(self._batch, batch, strict=True):
            there.copy_(each)
        self._rate.fill_(self._optimiser.param_groups[0]["lr"])
        self._again()
        return self._told

    def _take_down(self, recorder: Recorder, batch: tuple[Tensor, ...]) -> None:
        self._batch, self._rate = tuple(each.clone() for each in batch), torch.zeros((), device=batch[0].device)

        def launch() -> None:
            self._told = self._step(*self._batch)

        try:
            with _rate_on_card(self._optimiser, self._rate):
                self._again = recorder(launch)
        except RuntimeError as error:  # torch's for a capture that fails, out of memory among them
            self.why, self._recorder = str(error).splitlines()[0], None


@contextmanager
def _rate_on_card(optimiser: torch.optim.Optimizer, rate: Tensor) -> Iterator[None]:
    """Within, the learning rate of all parameters is a number on the card; behind it those that a schedule sets."""
    before = [dict(group) for group in optimiser.param_groups]
    for group in optimiser.param_groups:
        group["lr"] = rate
        if "capturable" in group:  # Adam's, which counts its steps on the card
            group["capturable"] = True
    try:
        yield
    finally:
        for group, was in zip(optimiser.param_groups, before, strict=True):
            group.update({name: was[name] for name in ("lr", "capturable") if name in was})
