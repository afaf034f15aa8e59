"""The causes that make two versions of a network part, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One possible cause of mismatches."""

    name: str
    title: str
    advice: str


WEIGHTS = Kind(
    "weights",
    "weights rounded",
    "Give the layers with most mismatches more weight bits or a scale a channel, or fine-tune the quantised network.",
)
THRESHOLDS = Kind(
    "thresholds",
    "thresholds rounded",
    "The unit of the sums is coarse beside the thresholds: a larger weight exponent makes both finer.",
)
SCHEDULE = Kind(
    "schedule",
    "threshold schedule collapsed to a constant",
    "Use a profile and a format with one threshold a timestep; the schedule was learned and is part of the network.",
)
DECAY = Kind(
    "decay",
    "decay rounded",
    "Decays are numerators over 4096; one near 0 or 1 rounds worst. Train with the decay that the chip has.",
)
BIAS = Kind(
    "bias",
    "bias rounded or lost",
    "Check that the bias reached the neuron in the membrane's unit; a folded normalisation puts its shift there.",
)
COMPARE = Kind(
    "compare",
    "comparison > instead of >= (or the reverse)",
    "Membranes meet thresholds exactly here. Lower the threshold by one unit for >, as spikeport quantize does.",
)
RESET = Kind(
    "reset",
    "another reset",
    "One resets to zero and the other subtracts the threshold, or resets elsewhere: export with the reset written out.",
)
SKEW = Kind(
    "skew",
    "pipeline skew: layers run late",
    "Each synaptic layer of a pipelined target delays by a step: shift thresholds and resets by depth (align_delays).",
)
INPUT = Kind(
    "input",
    "input rounded to whole numbers",
    "Scale the data so that they are whole multiples of a step (pixels over 255), or use finer messages.",
)
TRUNCATION = Kind(
    "truncation",
    "membranes truncated to integers",
    "The leak of integer membranes rounds towards zero: use a larger weight exponent, so that a unit is worth less.",
)
SATURATION = Kind(
    "saturation",
    "membranes saturate",
    "Membranes leave 24 bits and are clipped: lower the weight exponent of the layers named, or their weights.",
)
ROUNDING = Kind(
    "rounding",
    "float rounding (order of the sums)",
    "These are ties: membranes within the rounding error of their threshold. Compare in float64 to see them go.",
)
TARGET = Kind(
    "target",
    "the target itself",
    "The same integers ran differently: that is a defect of the target or of its adapter, not of the quantisation.",
)
