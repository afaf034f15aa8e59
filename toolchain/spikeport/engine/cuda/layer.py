"""A neuron layer on the card, alone or with the synapse whose sums it makes: laid out once, then called again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.cuda.fire import fire
from spikeport.engine.cuda.step import ACTIVE, BEYOND, FIRED, KINDS, SATURATED, STAY, SUBTRACT, VALUE, WRAPPED, ZERO
from spikeport.engine.cuda.sums import Sums, no_sums, rows, unflat
from spikeport.engine.cuda.tiles import bucket
from spikeport.engine.integers import fits, may_overflow
from spikeport.engine.later import Later
from spikeport.engine.neuron import Counted, Fired
from spikeport.graph import LIF, STATE_SHIFT, Array, CubaLIF, Profile, Range, loihi, over_neurons
from spikeport.graph.loihi import refuse_overflow

OVERFLOWS = {loihi.SATURATED: SATURATED.value, loihi.BEYOND: BEYOND.value, loihi.WRAPPED: WRAPPED.value}
RESETS = {"zero": ZERO.value, "subtract": SUBTRACT.value, "value": VALUE.value, "none": STAY.value}


@dataclass(frozen=True)
class Layer:
    """Neurons of a kernel."""

    node: LIF
    sums: Sums  #: of the synapse that enters, or of none: then what enters are sums
    parameters: dict[str, Tensor | None]  #: of each channel, or of each neuron with the channels last
    number: torch.dtype  #: of parameters and membranes
    kernel: Any
    fixed: dict[str, Any]  #: what the kernel is told at every call
    told: Callable[[Array], Counted]  #: the counts [T, 5] by name

    def __call__(
        self,
        x: Tensor,
        state: Tensor | None,
        start: int,
        steps: int,
        *,
        keep: bool,
        watch: bool,
        beside: Tensor | None = None,
        onto: Tensor | None = None,
    ) -> Fired:
        """Steps ``start`` ... ``start + steps - 1``; nothing waits for the card until `Fired.counted` is called.

        ``onto``: spikes [T, B, *neurons] of another layer; the sum of both is `Fired.summed`.
        """
        shape, outputs = (steps, x.shape[1], *self.node.shape), self.node.shape[0]
        size = x.shape[1] * self.sums.window.places
        x, beside = (x, beside) if self.sums.makes else (x[:1, :0], x)  # the kernel reads no map
        of_all = (steps, size, outputs)
        spikes = torch.empty(of_all, dtype=torch.uint8, device=x.device)
        after = torch.empty(of_all, dtype=self.number, device=x.device) if keep else None
        whole = steps == self.node.timesteps
        leaving = None if whole else torch.empty((2, size, outputs), dtype=self.number, device=x.device)
        summed = None if onto is None else torch.empty_like(spikes)
        counts = torch.zeros((steps, KINDS.value), dtype=torch.int64, device=x.device)
        theta, values = self.parameters["theta"], rows(x)
        assert theta is not None
        others = None if beside is None else rows(beside)
        self.kernel[self.sums.grid(size)](
            values,
            beside=others,
            **{**self.parameters, "theta": theta[start : start + steps]},
            before=state,
            spikes=spikes,
            membranes=after,
            leaving=leaving,
            onto=None if onto is None else rows(onto),
            summed=summed,
            counts=counts,
            size=size,
            whole=size * outputs,
            x_step=_step(values),
            beside_step=_step(others),
            theta_step=theta.shape[1],
            steps=steps,
            **self.fixed,
            **self.sums.told,
            bucket=bucket(x.device, size, outputs, self.sums.depth),
            steady=self.sums.makes and len(x) == 1,
            watch=watch,
        )
        membranes = None if after is None else unflat(after, shape)
        total = None if summed is None else unflat(summed, shape)
        return Fired(unflat(spikes, shape), membranes, leaving, Later((counts,), self.told), total)


def _step(values: Tensor | None) -> int:
    """Values from one step to the next; none where all steps are the same."""
    return 0 if values is None or len(values) == 1 else values[0].numel()


def prepare(node: LIF, sums: Sums | None, x: Range, profile: Profile, device: str) -> Layer:
    """Integer neurons that ``sums`` and what comes beside them enter, all together in ``x``.

    In int32, or in int64 where a step needs them.
    """
    wide, overflows, sums = not fits(node, x, profile), may_overflow(node, x, profile), sums or no_sums(node, device)
    number, bits, accumulator = torch.int64 if wide else torch.int32, 64 if wide else 32, profile.accumulator_bits
    fixed = {
        "left": sums.left,
        "right": sums.right,
        "scaled": sums.left != sums.right,
        "spare": max(bits - (accumulator - STATE_SHIFT), 0) if accumulator is not None and overflows else 0,
        "top": profile.state_top,
        "wide": wide,
        "each": each(node),
        "overflows": overflows,
        "reset": RESETS[node.reset],
    }
    parameters = laid_out(node, np.dtype(np.int64 if wide else np.int32), device)
    theta = parameters["theta"]
    assert theta is not None
    parameters["theta"] = theta << STATE_SHIFT
    return Layer(node, sums, parameters, number, fire, fixed, partial(_counted, profile))


def laid(value: Array, node: LIF, number: np.dtype[Any], device: str) -> Tensor:
    """A parameter of neurons as kernels take it: one a channel, or one a neuron with the channels last."""
    full = np.broadcast_to(over_neurons(value, node.shape), node.shape)
    row = np.moveaxis(full, 0, -1).ravel() if each(node) else full.reshape(node.shape[0], -1)[:, 0]
    return torch.from_numpy(row.astype(number)).to(device)


def laid_out(node: LIF, number: np.dtype[Any], device: str) -> dict[str, Tensor | None]:
    """The parameters that integer and real neurons have."""
    lay = partial(laid, node=node, number=number, device=device)
    return {
        "decay": lay(node.decay),
        "leak": lay(node.current_decay) if isinstance(node, CubaLIF) else None,
        "bias": lay(node.bias),
        "theta": torch.stack([lay(row) for row in node.threshold]),
        "reset_value": lay(node.reset_value) if node.reset == "value" else None,
        "low": None if node.lower_bound is None else lay(node.lower_bound),
    }


def _counted(profile: Profile, counts: Array) -> Counted:
    """The counts by name. Raises SP122 where a sum left an accumulator that refuses this."""
    if profile.accumulator_overflow == "refuse":
        refuse_overflow(profile, next((int(n) for n in counts[:, WRAPPED.value] if n), 0))
    overflows = {kind: n for kind, column in OVERFLOWS.items() if (n := int(counts[:, column].sum()))}
    return Counted(counts[:, FIRED.value], counts[:, ACTIVE.value], overflows)


def each(node: LIF) -> bool:
    """Whether a parameter differs from place to place."""
    values = [node.decay, node.bias, node.gain, node.reset_value, node.threshold[0]]
    values += [node.current_decay] if isinstance(node, CubaLIF) else []
    values += [] if node.lower_bound is None else [node.lower_bound]
    return any(value.ndim > 1 or (value.ndim == 1 and value.shape != node.shape[:1]) for value in values)
