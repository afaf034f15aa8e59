"""What the neurons of a run really did: their spike trains, node by node, as the module itself computed them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikeport.graph import Shape
from spikeport.tracing.draft import Draft
from spikeport.tracing.symbols import ALL, Axes, Label, Out, Symbol

Size = Callable[[Shape, Label], int]


@dataclass
class Trains:
    """The spikes that were seen, as bool [B, *shape] of a step, or [T, B, *shape] of all."""

    draft: Draft
    size: Size
    seen: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    def of(self, spikes: Symbol, values: Tensor, turned: bool = False, *, counts: bool = False) -> None:
        """Note what a tensor says of one layer: where it fired, or did not (``turned``), or how often (``counts``)."""
        (product,) = spikes.terms
        (out,) = product
        assert isinstance(out, Out)
        step = ALL if out.step is None and spikes.timed else (out.step or 0)
        fired = ordered(
            values.detach() if counts else values.detach() != 0, spikes.axes, spikes.shape, self.size, timed=step == ALL
        )
        self.seen.setdefault(out.node, {})[step] = ~fired if turned else fired

    def train(self, node: str) -> Tensor:
        """[T, B, *shape], bool or how often. Raises KeyError for a layer whose spikes were not seen."""
        if gate := self.draft.gates.get(node):
            kind, a, b = gate
            first = self.train(a)
            return self.train(b) & (first if kind == "and" else ~first)
        steps = self.seen[node]
        return steps[ALL] if ALL in steps else torch.stack([steps[t] for t in sorted(steps)])


def ordered(values: Tensor, axes: Axes, shape: Shape, size: Size, timed: bool) -> Tensor:
    """A tensor as [T, B, *shape] or [B, *shape], whatever the order of its axes."""
    labels = [label for group in axes for label in group]
    whole = values.reshape([size(shape, label) for label in labels])
    wanted: list[Label] = [*(["T"] if timed else []), "B", *range(len(shape))]
    order = [labels.index(label) for label in wanted]
    return whole.permute(order).clone()
