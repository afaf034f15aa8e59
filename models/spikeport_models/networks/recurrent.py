"""A recurrent spiking network for sequences."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Annotated, Unpack

from pydantic import Field
from torch import nn

from spikeport.findings import require
from spikeport.training.layers import Flatten, Linear, Readout
from spikeport.training.networks import Cells, Counts, Share, Task, Width
from spikeport.training.recurrent import Recurrent
from spikeport.training.step_norms import norm_of
from spikeport_models.networks.blocks import Blocks, Spiking, fade, scaled


def recurrent(
    task: Task,
    *,
    hidden: Counts = (64,),
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.8,
    memory: Share = 0.9,
    events: bool = True,
    width: Width = 1.0,
    **cells: Unpack[Cells],
) -> nn.Module:
    """Linear-tdBN and neurons that are connected among themselves, for each of ``hidden``, then Linear and a readout.

    The readout is what a leaky integrator holds at the last step: weights ``memory ** (T - 1 - t)``, which sum to 1; 0
    is the last step alone, 1 the mean over all. ``decay`` is that of the neurons at the start; ``events`` (as a rule)
    takes a frame a timestep.
    """
    kind, norms = cells.pop("neuron", "plif"), cells.pop("norm", "tdbn")
    require(kind == "plif", "SP314", f"recurrent neurons are plif, not {kind!r}", mend="leave neuron out")
    require("neuron_options" not in cells, "SP314", "recurrent neurons have no neuron_options", mend="set decay itself")
    layers = Blocks(task, cells).begin(events)
    layers["flatten"] = Flatten()
    inputs = math.prod(task.input_shape)
    for number, count in enumerate(hidden, 1):
        outputs = scaled(count, width)
        norm = norm_of(norms, outputs, task.method, task.timesteps)
        neuron = Recurrent(task.method, task.timesteps, norm=norm, channels=outputs, decay=decay, **cells)
        synapse = Linear(inputs, outputs, bias=False)
        layers[f"recurrent{number}"] = Spiking(OrderedDict(synapse=synapse, norm=norm, neuron=neuron))
        inputs = outputs
    module = Blocks(task, cells).end(layers, Linear(inputs, task.classes))
    readout: Readout = module.readout  # type: ignore[assignment]
    fade(readout, memory)
    return module
