"""What a training makes small: a loss by name, and further ones with factors. Plug-ins bring more (`spikeport.losses`).

A loss is a function of an `Outcome`, or a frozen dataclass with options whose ``__call__`` is one. One that looks at
membranes says ``membranes = True``: watching them costs a second pass through the neurons in torch's operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from spikeport.findings import fail
from spikeport.training import losses, options
from spikeport.training.neurons import Neuron

Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Smoothing = Annotated[float, Field(ge=0, lt=1, strict=True)]


@dataclass(frozen=True)
class Layer:
    """One call of a layer of neurons."""

    neuron: Neuron
    current: Tensor  #: what entered, [T, B, *neurons]
    spikes: Tensor  #: what left

    def membranes(self) -> Tensor:
        """u[t] before the reset, [T, B, *neurons]; their gradient is that of the currents, resets being constants."""
        decay, theta, spikes = self.neuron.decay, self.neuron.threshold.detach(), self.spikes.detach()
        v, u = torch.zeros_like(self.current[0]), []
        for now, fired, at in zip(self.current, spikes, theta, strict=True):
            u.append(decay * v + now)
            level = at.reshape(-1, *(1,) * (now.ndim - 2)) if at.ndim else at
            v = u[-1] * (1 - fired) if self.neuron.reset == "zero" else u[-1] - level * fired
        return torch.stack(u)


@dataclass(frozen=True)
class Outcome:
    """What a loss is computed from."""

    module: nn.Module
    logits: Tensor  #: [B, classes]
    steps: Tensor  #: what entered the readout, [T, B, classes]
    labels: Tensor  #: [B]
    watched: list[Layer] | None  #: the neurons, where a loss watches membranes

    @property
    def layers(self) -> list[Layer]:
        """What the neurons did. Raises SP323 where no loss says that it watches membranes."""
        if self.watched is None:
            fail("SP323", "a loss looks at layers that nobody watches", mend="write LOSS.membranes = True below it")
        return self.watched


class Loss(Protocol):
    """A number to make small."""

    def __call__(self, outcome: Outcome, /) -> Tensor:
        """Of one batch, []."""


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """`losses.cross_entropy` of the readout."""

    smoothing: Smoothing = 0.0

    def __call__(self, outcome: Outcome) -> Tensor:
        return losses.cross_entropy(outcome.logits, outcome.labels, smoothing=self.smoothing)


@dataclass(frozen=True, slots=True)
class MeanSquare:
    """`losses.mean_square` of the readout."""

    smoothing: Smoothing = 0.0

    def __call__(self, outcome: Outcome) -> Tensor:
        return losses.mean_square(outcome.logits, outcome.labels, smoothing=self.smoothing)


@dataclass(frozen=True, slots=True)
class Tet:
    """`losses.tet` of every step."""

    share: Share = 0.05
    smoothing: Smoothing = 0.0

    def __call__(self, outcome: Outcome) -> Tensor:
        return losses.tet(outcome.steps, outcome.labels, share=self.share, smoothing=self.smoothing)


@dataclass(frozen=True, slots=True)
class InformationMaximum:
    """IM-Loss: the mean over layers of (mean membrane - mean threshold)**2. Guo et al., NeurIPS 2022.

    A layer whose membranes lie about its threshold fires half of the time, where a spike says most.
    """

    membranes: ClassVar[bool] = True

    def __call__(self, outcome: Outcome) -> Tensor:
        apart = [layer.membranes().mean() - layer.neuron.threshold.detach().mean() for layer in outcome.layers]
        return torch.stack(apart).square().mean()


@dataclass(frozen=True, slots=True)
class QuantisationError:
    """RMP-Loss: the mean over layers, steps and neurons of (u / threshold - s)**2. After Guo et al., ICCV 2023.

    Of that paper we know the idea only (membranes near 0 or near what a spike stands for lose least): its function of
    the distance may be another one.
    """

    membranes: ClassVar[bool] = True

    def __call__(self, outcome: Outcome) -> Tensor:
        return torch.stack([_lost(layer) for layer in outcome.layers]).mean()


def _lost(layer: Layer) -> Tensor:
    theta = layer.neuron.threshold.detach()
    level = theta.reshape(len(theta), 1, *theta.shape[1:], *(1,) * (layer.current.ndim - 1 - theta.ndim))
    return (layer.membranes() / level - layer.spikes.detach()).square().mean()


def mpd_sgr(outcome: Outcome) -> Tensor:
    """`losses.near_threshold`."""
    return losses.near_threshold(outcome.module)


LOSSES: dict[str, Any] = {
    "ce": CrossEntropy,
    "tet": Tet,
    "mse": MeanSquare,
    "im": InformationMaximum,
    "rmp": QuantisationError,
    "mpd-sgr": mpd_sgr,
}


@dataclass(frozen=True)
class Objective:
    """A loss and further ones with their factors."""

    first: Loss
    also: tuple[tuple[float, Loss], ...] = ()

    @property
    def membranes(self) -> bool:
        """Whether one of them watches membranes."""
        return any(getattr(loss, "membranes", False) for loss in (self.first, *(loss for _, loss in self.also)))

    def __call__(self, outcome: Outcome) -> Tensor:
        total = self.first(outcome)
        for factor, loss in self.also:
            total = total + factor * loss(outcome)
        return total


def of(loss: str, chosen: Mapping[str, Any], also: Mapping[str, float]) -> Objective:
    """The objective of these names. Raises SP312 for a loss or an option of it that cannot be."""
    first = options.make("losses", loss, LOSSES, chosen, "SP312")
    further = [(factor, options.make("losses", name, LOSSES, {}, "SP312")) for name, factor in also.items()]
    return Objective(first, tuple(further))


def of_recipe(recipe: Any) -> Objective:
    """The objective of a recipe, whose fields ``label_smoothing``, ``tet_share`` and ``mpd_sgr`` are options too."""
    chosen = dict(recipe.loss_options)
    if recipe.loss in ("ce", "mse", "tet"):
        chosen = {"smoothing": recipe.label_smoothing, **chosen}
    if recipe.loss == "tet":
        chosen = {"share": recipe.tet_share, **chosen}
    also = {"mpd-sgr": recipe.mpd_sgr, **recipe.also} if recipe.mpd_sgr > 0 else recipe.also
    return of(recipe.loss, chosen, also)


@contextmanager
def watching(module: nn.Module, objective: Objective) -> Iterator[list[Layer]]:
    """The calls of all neurons while this is open, where the objective watches them; else none."""
    layers: list[Layer] = []

    def see(neuron: nn.Module, inputs: tuple[Tensor, ...], spikes: Tensor) -> None:
        assert isinstance(neuron, Neuron)
        layers.append(Layer(neuron, inputs[0], spikes))

    parts = [part for part in module.modules() if isinstance(part, Neuron)] if objective.membranes else []
    handles = [part.register_forward_hook(see) for part in parts]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()
