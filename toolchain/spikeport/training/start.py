"""A training that begins with the weights of a checkpoint: another number of timesteps, other data, other classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.nearest import choose
from spikeport.training.layers import Readout
from spikeport.training.neurons import Neuron
from spikeport.training.recipe import Recipe
from spikeport.training.shipped import file_of, load, models
from spikeport.training.step_norms import StepNorm


def require_start(recipe: Recipe) -> None:
    """Raise SP300 for a recipe that begins with weights which nobody has trained yet."""
    if recipe.start is None or file_of(recipe.start).is_file():
        return
    stage = "train first what writes that file; the recipe's head says how"
    shipped = f", or run the shipped model as it is: spikeport run {recipe.model} --data {recipe.dataset}"
    what = f"the recipe {recipe.model} begins with weights that are not here yet"
    fail("SP300", what, where=recipe.start, mend=stage + (shipped if recipe.model in models() else ""))


def begin_with(module: nn.Module, timesteps: int, start: str, anew: Sequence[str]) -> tuple[Finding, ...]:
    """Fill a fresh module of so many timesteps with the weights, norms, decays and thresholds of ``start``.

    That is a checkpoint's file or the name of a shipped model.

    Layers named in ``anew`` keep their own, as does a readout of another number of timesteps. What has a row a timestep
    (thresholds, gains) is taken step by step, and steps beyond the last of ``start`` take that one. What was taken
    otherwise than as it stands is said by SP328.
    Raises what `shipped.load` raises, SP312 for a layer that there is not, SP304 for weights that do not fit.
    """
    other, facts = load(start)
    given, own = other.state_dict(), module.state_dict()
    for layer in anew:
        if not any(_within(name, layer) for name in own):
            names = sorted({name.rpartition(".")[0] for name in own})
            fail("SP312", f"start_anew: the network has no layer {layer!r}", mend=choose(layer, names))
    steps = facts["timesteps"], timesteps
    parts = dict(module.named_modules())
    readouts = {f"{name}.weight" for name, part in parts.items() if isinstance(part, Readout)}
    stepwise = [name for name, part in parts.items() if isinstance(part, Neuron | StepNorm)]
    keep = {name for name in own if any(_within(name, layer) for layer in anew)}
    keep |= readouts if steps[0] != steps[1] else set()
    taken = {name: given[name] for name in own if name in given and name not in keep}
    for name in taken:
        if any(_within(name, layer) for layer in stepwise):
            taken[name] = _over_steps(taken[name], own[name], steps)
    unfit = [name for name in own if name not in keep and (name not in taken or taken[name].shape != own[name].shape)]
    unfit += [name for name in given if name not in own and not any(_within(name, layer) for layer in anew)]
    if unfit:
        first = {name.rpartition(".")[0]: name for name in reversed(unfit)}  # one finding a layer
        raise SpikeportError(_unfit(name, given.get(name), own.get(name), start) for name in reversed(first.values()))
    module.load_state_dict({**own, **taken})
    return tuple(_notes(anew, steps, start))


def _within(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


def _over_steps(given: Tensor, own: Tensor, steps: tuple[int, int]) -> Tensor:
    """A tensor of neurons or of a norm, of ``steps[0]`` rows, as one of ``steps[1]``, where its own shape asks so."""
    before, now = steps
    rows = given.ndim > 0 and given.shape[0] == before and own.shape == (now, *given.shape[1:])
    return given[torch.arange(now).clamp(max=before - 1)] if rows and before != now else given


def _unfit(name: str, given: Tensor | None, own: Tensor | None, start: str) -> Finding:
    layer = name.rpartition(".")[0]
    mend = f'start_anew = ["{layer}"] begins that layer anew; else begin with a checkpoint of the same network'
    if own is None or given is None:
        where = "the network that is trained" if own is None else "it"
        return Finding("SP304", f"{where} has no {name!r}", where=start, mend=mend)
    what = f"{name!r} has shape {list(given.shape)}, the network that is trained {list(own.shape)}"
    return Finding("SP304", what, where=start, mend=mend)


def _notes(anew: Sequence[str], steps: tuple[int, int], start: str) -> list[Finding]:
    before, now = steps
    said = [f"begin anew: {', '.join(anew)}"] if anew else []
    if before < now:
        said.append(f"thresholds of {_steps(before + 1, now)} are those of step {before}")
    elif before > now:
        said.append(f"thresholds of {_steps(now + 1, before)} are left out")
    return [Finding("SP328", "; ".join(said), where=start, severity="note")] if said else []


def _steps(first: int, last: int) -> str:
    return f"step {first}" if first == last else f"steps {first} to {last}"
