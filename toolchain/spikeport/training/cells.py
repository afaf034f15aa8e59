"""Neurons by name, with options that are checked: what a network makes its spiking layers of."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from spikeport.findings import fail, require
from spikeport.training.membrane_norm import MembraneNorm
from spikeport.training.networks import Task
from spikeport.training.neurons import NEURONS, Neuron
from spikeport.training.norm import TdBatchNorm
from spikeport.training.options import find, unfit

KINDS: dict[str, type[Neuron]] = {**NEURONS, "mpbn": MembraneNorm}
COMMON = frozenset(inspect.signature(Neuron).parameters)  #: what all neurons take; a recipe's `[architecture]` has them


def neurons(
    task: Task, cells: Mapping[str, Any], *, norm: TdBatchNorm | None = None, channels: int | None = None
) -> Neuron:
    """A layer of the neurons that ``cells`` (`networks.Cells`) name, plif as a rule, behind ``norm`` if there is one.

    ``channels`` counts the channels [C] that enter. Raises SP316 for a name that there is not, for what is no class
    that extends `Neuron`, and for an option that it has not or that is not what its annotation says.
    """
    options = {name: value for name, value in cells.items() if name != "norm"}
    name, own = str(options.pop("neuron", "plif")), options.pop("neuron_options", {})
    kind, where = find("neurons", name, KINDS, "SP316"), f"neuron {name!r}"
    if not (isinstance(kind, type) and issubclass(kind, Neuron)):
        fail(
            "SP316",
            "is no class that extends spikeport.training.Neuron",
            where=where,
            mend="extend Neuron, PLIF or LIF",
        )
    parameters = inspect.signature(kind).parameters
    passes = set(parameters) >= COMMON or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    mend = "def __init__(self, method, timesteps, *, OWN, **options): super().__init__(method, timesteps, **options)"
    require(passes, "SP316", "does not take what all neurons take", where=where, mend=mend)
    named = {each.name for each in parameters.values() if each.kind is not each.VAR_KEYWORD}
    unfit(own, named - COMMON, get_type_hints(kind.__init__, include_extras=True), where, "SP316")
    return kind(task.method, task.timesteps, norm=norm, channels=channels, **options, **own)
