"""A network of Xylo's neurons for sequences of events."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from spikeport.training.layers import Flatten, Linear, Readout
from spikeport.training.networks import Count, Share, Task, Width
from spikeport.training.synaptic import Synaptic
from spikeport_models.networks.blocks import fade, scaled

Kept = Annotated[float, Field(gt=0, lt=1)]  #: a share of what is held

EVENTS = 4.0  #: by so much smaller weights of the input start, since a channel brings up to 15 events a step
SHARPNESS = 10.0  #: the readout's weights add up to this, so that a class that fires at every step is a sure answer


def synaptic(
    task: Task,
    *,
    hidden: Sequence[Count] = (48,),
    decay: Kept = 0.875,
    current: Kept = 0.5,
    recurrent: bool = True,
    memory: Share = 0.9,
    width: Width = 1.0,
) -> nn.Module:
    """Linear and neurons with a current, connected among themselves, for each of ``hidden``; a neuron a class behind.

    Those of the classes fire once a step at most; the class is the sum of their spikes, weighted ``memory ** (T - 1 -
    t)``. ``decay`` is the membranes' and ``current`` the currents', 1 - 2^-n as the chip has them; neither is learned.
    There is no bias: on the chip those of later layers would come before their first spikes.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=Flatten())
    inputs, start = math.prod(task.input_shape), (1 - decay) / EVENTS
    for number, count in enumerate(hidden, 1):
        outputs = scaled(count, width)
        layers[f"synapse{number}"] = _synapse(inputs, outputs, start)
        neurons = Synaptic(
            task.method,
            task.timesteps,
            channels=outputs,
            decay=decay,
            current=current,
            recurrent=recurrent,
            strength=(1 - decay) / 2,
        )
        layers[f"neuron{number}"] = neurons
        inputs, start = outputs, 1 - decay
    layers["classify"] = _synapse(inputs, task.classes, start)
    layers["neuron"] = Synaptic(
        task.method, task.timesteps, channels=task.classes, decay=decay, current=current, most=1, recurrent=False
    )
    readout = Readout(task.timesteps)
    fade(readout, memory, SHARPNESS)
    return nn.Sequential(OrderedDict(**layers, readout=readout))


def _synapse(inputs: int, outputs: int, start: float) -> Linear:
    """torch's start times ``start``: a membrane holds about 1 / (1 - decay) steps of what arrives."""
    synapse = Linear(inputs, outputs, bias=False)
    with torch.no_grad():
        synapse.weight.mul_(start)
    return synapse
