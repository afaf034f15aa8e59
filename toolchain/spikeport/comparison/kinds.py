"""The causes that make two versions of a network part, and what to do about each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikeport.graph import Profile


@dataclass(frozen=True, slots=True)
class Kind:
    """One possible cause of mismatches."""

    name: str
    title: str
    advice: str


WEIGHTS = Kind(
    "weights",
    "weights rounded",
    "Give the weights more bits (quantize --weight-bits 8, or auto); for accuracy alone fine-tune "
    "(quantize --fine-tune 3).",
)
#: of weights that have all bits already
ALL_BITS = (
    "The weights have all 8 bits: take two mantissas behind graded input (quantize --split), or calibrate on more "
    "samples (quantize --calibration 1000)."
)
THRESHOLDS = Kind(
    "thresholds",
    "thresholds rounded",
    "Thresholds are multiples of 64 units of the membrane; what that costs in accuracy training takes back "
    "(quantize --fine-tune 3).",
)
SCHEDULE = Kind(
    "schedule",
    "threshold schedule collapsed to a constant",
    "The schedule was learned and is part of the network: quantise without quantize --thresholds.",
)
DECAY = Kind(
    "decay",
    "decay rounded",
    "Decays are numerators over 4096; one near 0 or 1 rounds worst. Training makes up for it (quantize --fine-tune 3).",
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
    "One resets to zero, the other subtracts: say which of a foreign file (simulate --nir reset=zero).",
)
BOUND = Kind(
    "bound",
    "another lower bound of the membranes",
    "One holds membranes from below where the other does not, or elsewhere: say which of a foreign file "
    "(simulate --nir bound=-1, or bound=none).",
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
    "The leak of integer membranes rounds towards zero, by less than a unit a step: each weight bit more halves the "
    "unit (quantize --weight-bits 8), and a profile with exponents makes it finer still (quantize --profile loihi2).",
)
SATURATION = Kind(
    "saturation",
    "membranes saturate",
    "Membranes leave the profile's state_bits and are clipped: calibrate on samples in which they do "
    "(quantize --calibration 1000), or take fewer bits, which make smaller sums (quantize --weight-bits 7).",
)
WRAP = Kind(
    "wrap",
    "sums wrap in the accumulator",
    "What arrives in a step leaves the profile's accumulator_bits: smaller exponents, or fewer weight bits "
    "(quantize --weight-bits 7).",
)
ROUNDING = Kind(
    "rounding",
    "float rounding (order of the sums)",
    "These are ties: membranes within rounding of their threshold; a gate allows them (compare --max-spike-mismatch).",
)
#: of spikes that the same real numbers do not give, whatever the order of their sums
RUN = Kind(
    "rounding",
    "the same numbers, run otherwise",
    "More than rounding parts them: another reset, another order of the steps, or a defect. Look at the first spike.",
)
TARGET = Kind(
    "target",
    "the target itself",
    "The same integers ran differently: that is a defect of the target or of its adapter, not of the quantisation.",
)

#: where states are whole sums, without a fraction, and each core or population of the chip has its own limits
WHOLE_SUMS = {
    "weights": "The weights have all 8 bits, and a second kernel finds no place: calibrate on more samples "
    "(quantize --calibration 1000), or train a larger network.",
    "thresholds": "Thresholds are whole sums here, finer ones only with larger weights beside them: more weight bits "
    "(quantize --weight-bits 8), or training with weight decay on the biases.",
    "truncation": "States are whole sums here, and what decays loses one at least a step: more weight bits make sums "
    "larger and the loss smaller (quantize --weight-bits 8).",
}
SHIFTS = "Decays are shifts here, 1 - 2^-n: train with one of them, 0.5, 0.75, 0.875 and so on."


def advised(kind: Kind, profile: Profile, *, all_bits: bool) -> Kind:
    """The kind with what helps on a profile; ``all_bits``: whether every synapse has them."""
    if kind.name == "weights" and not all_bits:
        return kind
    if kind.name == "decay" and profile.neuron == "xylo":
        return replace(kind, advice=SHIFTS)
    own = WHOLE_SUMS.get(kind.name) if profile.fraction_bits == 0 else ALL_BITS if kind.name == "weights" else None
    return kind if own is None else replace(kind, advice=own)
