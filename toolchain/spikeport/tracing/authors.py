"""Checkpoints of the seed authors' public code become modules of ours.

Their layers are called ``tdLayer`` (``.layer`` and ``.bn``) and ``SpikingNeuron`` (``.neuron``). Key names are from
MPD-AGL, commits 334b3e9 to 61abbf3 (models/ResNet19.py, models/VGGSNN.py, models/layers.py), and DS-ATGO, commit
333ad21 (network_model/ResNet19.py, network_model/layers.py). DS-ATGO's norms lie one level deeper (``.bn.tdBN``).
An ``mlp`` is what ``fc`` is in both: tdLayer and SpikingNeuron in turn, and a last tdLayer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikeport.files import plain
from spikeport.findings import Finding, fail, raise_errors
from spikeport.preprocessing import KEY, Preprocessing, parse
from spikeport.tracing.authors_facts import NORM, Arch, Facts, Layer, Layout, input_shape, misshapen
from spikeport.tracing.authors_facts import architecture as architecture_of
from spikeport.tracing.front_end import of_authors
from spikeport.training import checkpoint
from spikeport.training.catalogue import method as method_of
from spikeport.training.networks import build

DECAY = 0.2  #: of LIF neurons: the fixed tau of both codes (MPD-AGL's neuron.py:46-47 starts PLIF there too)
NORM_VTH = 0.5  #: V_th in MPD-AGL's tdBN: its default, which --Vth does not reach (models/layers.py:51)
START = {"mpd-agl": 0.5, "ds-atgo": 1.0}  #: V_th of the neurons where nothing else is said
TABLES = ("running_threshold", "threshold")  #: what users who saved DS-ATGO's table call it
VGG = ((0, 1), (3, 4), (5, 6), (8, 9), (10, 11), (13, 14), (15, 16))  #: convolutions and neurons among VGGSNN.features
STAGES = ("1_1", "1_2", "1_3", "2_1", "2_2", "2_3", "3_1", "3_2")  #: our names of ResNetBlocks.0 to 7


@dataclass(frozen=True)
class Imported:
    """A checkpoint that was read: our module, what `checkpoint.save` states of it, and what there is to say."""

    module: nn.Module
    metadata: dict[str, Any]
    findings: tuple[Finding, ...]
    calibrated: bool  #: whether the threshold table came with the file; if not, it has to be re-estimated


def preprocessing(state: Mapping[str, Tensor], arch: Arch, normalise: str = "authors") -> Preprocessing | None:
    """How the samples of a file's network were prepared: what the user says, or what the authors' loader does."""
    if normalise != "authors":
        return parse(normalise, "said at the import")
    layers, last = _plan(arch, state)
    first, end = (state.get(f"{name}.layer.weight") for name in (layers[0].synapse if layers else "", last))
    channels, classes = (0 if first is None else first.shape[1], 0 if end is None else len(end))
    return of_authors(arch, channels, classes)


def convert(state: Mapping[str, Tensor], facts: Facts, where: str = "", *, tableless: bool = False) -> Imported:
    """Our module with the tensors of a file in the authors' layout.

    ``tableless`` accepts a DS-ATGO file that has lost its thresholds, for a calibration to follow.
    Raises SP391 (another layout), SP392 (keys missing or left over), SP393 (no table), SP394 (a table of other length).
    """
    _check_layout(state, facts.layout, where)
    layers, last = _plan(facts.arch, state, where)
    taken = dict.fromkeys([key for key in state if key.endswith("num_batches_tracked")], "")
    ours: dict[str, Tensor] = {}
    findings: list[Finding] = []
    for layer in layers:
        findings += _take(layer, state, facts, ours, taken, where)
    findings += _readout(last, state, facts, ours, taken, where)
    if not layers:
        findings.append(Finding("SP392", "no layer of 'fc' has a norm", where))
    left = sorted(set(state) - set(taken))
    findings += [Finding("SP392", f"key {key!r} belongs to no part of {facts.arch}", where) for key in left]
    lost = [layer.ours for layer in layers if f"{layer.ours}.neuron.threshold" not in ours]
    if lost and not findings and not tableless:
        findings.append(_lost(lost, where))
    notes = [*raise_errors(findings), *_decays(state, facts, where)]
    module, metadata = _module(state, facts, layers, last, ours, where)
    return Imported(module, metadata, tuple(notes), calibrated=not lost)


def _decays(state: Mapping[str, Tensor], facts: Facts, where: str) -> list[Finding]:
    """What is assumed of decays that the file does not hold. Raises SP391 for a decay beside those that it holds."""
    learned = any(key.endswith("neuron.w") for key in state)
    if learned and facts.decay is not None:
        fail("SP391", "holds the decays that its neurons learned", where=where, mend="leave --decay out")
    if learned or facts.decay is not None:
        return []
    what = f"the decay of its neurons is taken to be {DECAY}, as the public code starts"
    why = "LIF neurons keep it out of the file, and with another decay the answers are those of another network."
    return [Finding("SP395", what, where, why, "give --decay if it was trained with another", "substituted")]


def _check_layout(state: Mapping[str, Tensor], layout: Layout, where: str) -> None:
    actual = "ds-atgo" if any(".tdBN." in key for key in state) else "mpd-agl"
    if not any(".bn." in key for key in state):
        fail(
            "SP391",
            "has no norms of either code (.bn. or .bn.tdBN.)",
            where=where,
            mend="import-checkpoint reads files of the public MPD-AGL and DS-ATGO code",
        )
    if actual != layout:
        fail(
            "SP391",
            f"its keys are those of {actual}, not of {layout}",
            where=where,
            why="the two scale their norms differently: alpha * V_th lies outside gamma in MPD-AGL only.",
            mend=f"use --layout {actual}",
        )


def _plan(arch: Arch, state: Mapping[str, Tensor], where: str = "") -> tuple[list[Layer], str]:
    """All spiking layers, and the last layer. Raises SP392 for tensors that cannot be theirs."""
    layers, last = _layers(arch, state)
    raise_errors(misshapen(state, layers, last, where))
    return layers, last


def _layers(arch: Arch, state: Mapping[str, Tensor]) -> tuple[list[Layer], str]:
    if arch == "resnet19":
        return [*_resnet(state), Layer("fc.0", "fc.1", "dense")], "fc.2"
    if arch == "vggsnn":
        features = [Layer(f"features.{a}", f"features.{b}", f"conv{n}") for n, (a, b) in enumerate(VGG, 2)]
        return [Layer("encode.0", "encode.1", "conv1"), *features], "classifier.0"
    count = len({key.split(".")[1] for key in state if key.startswith("fc.") and ".bn." in key})
    return [Layer(f"fc.{2 * n}", f"fc.{2 * n + 1}", f"dense{n + 1}") for n in range(count)], f"fc.{2 * count}"


def _resnet(state: Mapping[str, Tensor]) -> Iterator[Layer]:
    yield Layer("encode.0", "encode.1", "encode")
    for number, stage in enumerate(STAGES):
        theirs, ours = f"ResNetBlocks.{number}.0", f"stage{stage}"
        yield Layer(f"{theirs}.conv1", f"{theirs}.spike1", f"{ours}.conv1")
        yield Layer(f"{theirs}.conv2", f"{theirs}.spike2", f"{ours}.conv2")
        if stage in ("2_1", "3_1"):
            yield Layer(f"{theirs}.downsample.0", f"{theirs}.downsample.1", f"{ours}.skip")


def _take(
    layer: Layer, state: Mapping[str, Tensor], facts: Facts, ours: dict[str, Tensor], taken: dict[str, str], where: str
) -> list[Finding]:
    """Weights, norm, decay and thresholds of one spiking layer."""
    norm = f"{layer.synapse}.bn.tdBN" if facts.layout == "ds-atgo" else f"{layer.synapse}.bn"
    keys = {f"{layer.synapse}.layer.weight": f"{layer.ours}.synapse.weight"}
    keys |= {f"{norm}.{part}": f"{layer.ours}.norm.{part}" for part in NORM}
    decays = any(key.endswith("neuron.w") for key in state)
    if decays:
        keys[f"{layer.neuron}.neuron.w"] = f"{layer.ours}.neuron.w"
    else:
        ours[f"{layer.ours}.neuron.constant"] = torch.tensor(DECAY if facts.decay is None else facts.decay)
    findings = []
    for theirs, name in keys.items():
        taken[theirs] = name
        if theirs not in state:
            findings.append(Finding("SP392", f"key {theirs!r} is missing", where))
            continue
        ours[name] = state[theirs].float()
    if findings:
        return findings
    bias = f"{layer.synapse}.layer.bias"
    if bias in state:  # earlier revisions: the norm takes it off its mean, BN(Wx + b) = BN'(Wx) with mean' = mean - b
        taken[bias] = f"{layer.ours}.norm.running_mean"
        mean = ours[f"{layer.ours}.norm.running_mean"]
        ours[f"{layer.ours}.norm.running_mean"] = (mean.double() - state[bias].double()).float()
        findings.append(
            Finding(
                "SP395",
                f"{bias!r} was taken off the mean of the norm behind it",
                where,
                "it marks a revision of MPD-AGL's code before ff6a4b2.",
                severity="note",
            )
        )
    return [*findings, *_thresholds(layer, state, facts, ours, taken, where)]


def _thresholds(
    layer: Layer, state: Mapping[str, Tensor], facts: Facts, ours: dict[str, Tensor], taken: dict[str, str], where: str
) -> list[Finding]:
    name = f"{layer.ours}.neuron.threshold"
    start = facts.v_threshold if facts.v_threshold is not None else START[facts.layout]
    if facts.layout == "mpd-agl":
        gamma = f"{layer.ours}.norm.weight"
        ours[gamma] = (ours[gamma].double() * (NORM_VTH / start)).float()  # our norm's factor is the neurons' V_th
        ours[name] = _strict(torch.full((facts.timesteps,), start), facts)
        return []
    keys = [key for table in TABLES if (key := f"{layer.neuron}.neuron.{table}") in state]
    if not keys:
        return []
    taken |= dict.fromkeys(keys, name)
    table = state[keys[0]].float()
    if table.shape != (facts.timesteps,):
        what = f"{keys[0]!r} has shape {list(table.shape)}, the model runs {facts.timesteps} timesteps"
        return [Finding("SP394", what, where, "the table has one threshold a timestep.", "use --timesteps")]
    ours[name] = _strict(table, facts)
    return []


def _strict(threshold: Tensor, facts: Facts) -> Tensor:
    """u > theta is u >= the next number above theta."""
    return torch.nextafter(threshold, torch.tensor(torch.inf)) if facts.compare == ">" else threshold


def _readout(
    last: str, state: Mapping[str, Tensor], facts: Facts, ours: dict[str, Tensor], taken: dict[str, str], where: str
) -> list[Finding]:
    weight, bias = f"{last}.layer.weight", f"{last}.layer.bias"
    taken[weight] = "classify.weight"
    if weight not in state:
        return [Finding("SP392", f"key {weight!r} is missing", where)]
    ours["classify.weight"] = state[weight].float()
    if bias in state:
        taken[bias] = "classify.bias"
        ours["classify.bias"] = state[bias].float()
    elif facts.arch != "resnet19":
        ours["classify.bias"] = torch.zeros(len(state[weight]))
    ours["readout.weight"] = torch.full((facts.timesteps,), 1 / facts.timesteps)
    return []


def _lost(layers: list[str], where: str) -> Finding:
    return Finding(
        "SP393",
        f"the thresholds of all {len(layers)} spiking layers are missing: {', '.join(layers)}",
        where,
        "DS-ATGO's public code keeps them in a plain attribute, which state_dict leaves out; with the start value 1.0 "
        "a long-trained network falls to chance.",
        "give --calibrate DATA to re-estimate them, or register running_threshold as a buffer before saving",
    )


def _module(
    state: Mapping[str, Tensor], facts: Facts, layers: list[Layer], last: str, ours: dict[str, Tensor], where: str
) -> tuple[nn.Module, dict[str, Any]]:
    shape = facts.input_shape or input_shape(state, facts, layers, last)
    classes = len(state[f"{last}.layer.weight"])
    start = facts.v_threshold if facts.v_threshold is not None else START[facts.layout]
    method_options = {"threshold": start} | ({"f_c": facts.f_c} if facts.layout == "ds-atgo" else {})
    architecture = architecture_of(state, facts, layers, last)
    method = method_of(facts.layout, **method_options)
    prepared = preprocessing(state, facts.arch, facts.normalise)
    module = build(
        facts.arch,
        input_shape=shape,
        classes=classes,
        timesteps=facts.timesteps,
        train_with=method,
        options=architecture,
    )
    start_values = {name: value for name, value in module.state_dict().items() if name.endswith(".threshold")}
    checkpoint.fill(module, start_values | ours, where, timesteps=facts.timesteps)
    metadata = {
        "model": facts.arch,
        "architecture": {"network": facts.arch, **architecture},
        "method": facts.layout,
        "method_options": method_options,
        "timesteps": facts.timesteps,
        "dataset": "",
        "input_shape": list(shape),
        "coding": "events" if architecture.get("events") else "direct",
        "classes": classes,
        "seed": None,
        **({} if prepared is None else {KEY: plain(prepared)}),
        "imported": {"layout": facts.layout, "compare": facts.compare, "file": where.rpartition("/")[2]},
    }
    return module.eval(), metadata
