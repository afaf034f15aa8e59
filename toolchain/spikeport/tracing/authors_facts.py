"""What a file of the authors' public code does not say, and what only the shapes of its tensors say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from spikeport.findings import Finding

Layout = Literal["mpd-agl", "ds-atgo"]
Arch = Literal["resnet19", "vggsnn", "mlp"]
Compare = Literal[">=", ">"]
NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Layer:
    """Where one spiking layer lies in their names and in ours."""

    synapse: str
    neuron: str
    ours: str


@dataclass(frozen=True)
class Facts:
    """What the file does not say."""

    layout: Layout
    arch: Arch
    timesteps: int
    compare: Compare = ">="  #: ">" in MPD-AGL's first two public revisions
    v_threshold: float | None = None  #: of the neurons
    decay: float | None = None  #: of LIF neurons, which keep it out of the file; None: `DECAY`
    f_c: float = 1.0  #: DS-ATGO's firing-rate factor, for the calibration
    input_shape: tuple[int, ...] | None = None
    normalise: str = "authors"  #: as their loader does it, or what `front_end.parse` reads


def architecture(state: Mapping[str, Tensor], facts: Facts, layers: list[Layer], last: str) -> dict[str, Any]:
    """The options of our network, read from the shapes of the tensors."""
    options: dict[str, Any] = {} if any(key.endswith("neuron.w") for key in state) else {"neuron": "lif"}
    first = len(state[f"{layers[0].synapse}.layer.weight"])
    if facts.arch == "mlp":
        hidden = [len(state[f"{layer.synapse}.layer.weight"]) for layer in layers]
        return {**options, "hidden": hidden}
    if facts.arch == "vggsnn":
        return {**options, "width": first / 64, "events": True}
    bias = {"readout_bias": True} if f"{last}.layer.bias" in state else {}
    return {**options, **bias, "width": first / 128}


def input_shape(state: Mapping[str, Tensor], facts: Facts, layers: list[Layer], last: str) -> tuple[int, ...]:
    """As far as the tensors say it: 32x32 for ResNet-19 (both codes), the size that VGGSNN's last layer expects."""
    first = state[f"{layers[0].synapse}.layer.weight"]
    if facts.arch == "mlp":
        return (int(first.shape[1]),)
    if facts.arch == "resnet19":
        return (int(first.shape[1]), 32, 32)
    features = int(state[f"{last}.layer.weight"].shape[1])
    channels = len(state[f"{layers[-1].synapse}.layer.weight"])
    side = round((features / channels) ** 0.5) * 16
    return (int(first.shape[1]), side, side)


def misshapen(state: Mapping[str, Tensor], layers: list[Layer], last: str, where: str) -> list[Finding]:
    """Tensors that cannot be what their keys say: weights without their axes, norms and biases of another length."""
    findings = []
    for synapse in (*(layer.synapse for layer in layers), last):
        weight = state.get(f"{synapse}.layer.weight")
        if weight is None:
            continue
        axes = 2 if synapse.startswith(("fc.", "classifier.")) else 4
        if weight.ndim != axes or 0 in weight.shape:
            what = f"'{synapse}.layer.weight' has shape {list(weight.shape)}, and {axes} axes were expected"
            findings.append(Finding("SP392", what, where))
            continue
        ends = ("layer.bias", *(f"bn.{deeper}{part}" for deeper in ("", "tdBN.") for part in NORM))
        for key in (f"{synapse}.{end}" for end in ends):
            if key in state and state[key].shape != (len(weight),):
                what = f"{key!r} has shape {list(state[key].shape)} behind {len(weight)} channels"
                findings.append(Finding("SP392", what, where))
    return findings
