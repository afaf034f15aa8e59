"""Who wins, SNN or ANN, in one sentence a model: only within one model, and with the firing rate where it turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.costs.estimate import ANN, Estimate


@dataclass(frozen=True, slots=True)
class Verdict:
    """SNN against the same-architecture ANN under one model."""

    model: str
    title: str
    ratio: float  #: energy of the SNN over the ANN's, nominal; below 1 the SNN wins
    certain: bool  #: whether the low estimates of both, and the high ones, agree with the nominal ones on who wins
    rate: float  #: counted spikes per neuron and step
    break_even: float | None  #: rate at which both cost the same, above 1 out of reach; None where none is low enough

    @property
    def sentence(self) -> str:
        """The verdict, as the report prints it."""
        if self.rate == 0:
            return (
                f"Under {self.title}, there is no verdict: nothing fires, so the SNN computes nothing for the "
                f"{self.ratio:.3g} of the ANN's energy that it takes."
            )
        if self.ratio == 1:
            head = f"Under {self.title}, SNN and ANN cost the same"
        elif self.ratio > 1:
            head = f"Under {self.title}, the ANN wins: the SNN takes {self.ratio:.3g} times its energy"
        else:
            head = f"Under {self.title}, the SNN wins: it takes {self.ratio:.3g} of the ANN's energy"
        doubt = "" if self.certain else ", though the range of the estimate holds the other outcome too"
        return f"{head}{doubt}. {self._turn}"

    @property
    def _turn(self) -> str:
        counted = f"counted: {self.rate:.2%} of the neurons a step"
        if self.break_even is None and self.ratio >= 1:
            return f"No firing rate breaks even: what does not depend on spikes costs no less than the ANN ({counted})."
        if self.break_even is None:
            return f"What it costs does not depend on its spikes ({counted})."
        if self.break_even > 1:
            return f"The SNN would win even if every neuron fired at every step ({counted})."
        return f"Both cost the same at a firing rate of {self.break_even:.2%} ({counted})."

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        names = ("title", "ratio", "certain", "rate", "break_even", "sentence")
        return {name: getattr(self, name) for name in names}


def verdicts(estimates: Mapping[str, Estimate], rate: float) -> dict[str, Verdict]:
    """A verdict for every model that priced both. ``rate`` is the counted spikes per neuron and step.

    The break-even rate scales all layers' rates alike: ``rate * (ann - fixed) / by_spikes``, where `fixed` is the part
    of the SNN's energy that does not go with its spikes.
    """
    by_model = {}
    for name, snn in estimates.items():
        ann = estimates.get(name + ANN)
        if ann is None or ann.nominal <= 0:
            continue
        room = ann.nominal - (snn.nominal - snn.by_spikes)
        turn = rate * room / snn.by_spikes if snn.by_spikes > 0 and room > 0 else None
        bounds = ((snn.low, ann.low), (snn.nominal, ann.nominal), (snn.high, ann.high))
        certain = len({(ours > theirs) - (ours < theirs) for ours, theirs in bounds}) == 1
        by_model[name] = Verdict(name, snn.title, snn.nominal / ann.nominal, certain, rate, turn)
    return by_model
