"""What a chip draws beside the energy of its events: static power, host and I/O, for as long as the run takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spikeport.costs.model import Model, Range

POWERS = ("static_power", "host_power")  #: constants of a chip, watt each; what a model does not state is not in it
HOST = "host and I/O"
Origin = Literal["given", "modelled", "stated by the model"]


@dataclass(frozen=True, slots=True)
class Step:
    """How long a timestep takes, in seconds, and who says so."""

    seconds: Range
    origin: Origin


@dataclass(frozen=True, slots=True)
class Whole:
    """Joule per sample, a line each; the total holds the dynamic energy too."""

    step: Step
    static: Range | None  #: static power * chips * timesteps * step time
    host: Range | None  #: power of host and I/O while the chip runs, * chips * timesteps * step time
    total: Range
    largest: str  #: the line that is more than any other, by nominal values
    share: float  #: of the total

    def sentence(self, title: str, dynamic: float) -> str:
        """All lines and which one dominates, as it is printed."""
        lines = {"static": self.static, HOST: self.host}
        parts = [f"dynamic {_micro(dynamic)} µJ"]
        parts += [f"{name} {_micro(line.nominal)} µJ" for name, line in lines.items() if line is not None]
        low, nominal, high = (_micro(joule) for joule in (self.total.low, self.total.nominal, self.total.high))
        most = self.largest[0].upper() + self.largest[1:]
        does = "dominate" if self.largest == HOST else "dominates"
        return (
            f"{title}: {', '.join(parts)}; in all {nominal} µJ a sample ({low} to {high}). {most} {does}, "
            f"{self.share:.0%} of it, at a step of {_micro(self.step.seconds.nominal)} µs ({self.step.origin}) and "
            "for samples in a row, without a gap."
        )


def step_of(model: Model, given: float | None, modelled: Mapping[str, Range]) -> Step | None:
    """The step time for a model: the one given, else that of its chip's mapping, else one that its file states."""
    if given is not None:
        return Step(Range(given, given, given), "given")
    if model.chip is not None and model.chip in modelled:
        return Step(modelled[model.chip], "modelled")
    return Step(model["step_time"], "stated by the model") if "step_time" in model.constants else None


def whole(model: Model, dynamic: Range, timesteps: int, chips: int, step: Step | None) -> Whole | None:
    """All lines; None for a model without powers, or where nothing says how long a step takes."""
    powers = {name: model[name] for name in POWERS if name in model.constants}
    if not powers or step is None:
        return None
    lines = {name: power * float(chips * timesteps) * step.seconds for name, power in powers.items()}
    total = dynamic
    for line in lines.values():
        total = total + line
    static, host = lines.get("static_power"), lines.get("host_power")
    named = {"dynamic energy": dynamic, "static energy": static, HOST: host}
    values = {name: line.nominal for name, line in named.items() if line is not None}
    largest = max(values, key=lambda name: values[name])
    share = values[largest] / total.nominal if total.nominal else 0.0
    return Whole(step, static, host, total, largest, share)


def unpriced(model: Model) -> str | None:
    """What to say where a chip's model gives no total: no power is published, or no step time known; else None."""
    if not any(name in model.constants for name in POWERS):
        return "Dynamic energy only: the model states no static power." if model.function == "chip" else None
    return (
        "Static energy and the total are not given, since nothing says how long a step takes: map the network on "
        f"{model.chip or 'a chip with published times'} (--chip), or say it (--step-time)."
    )


def _micro(value: float) -> str:
    return f"{value * 1e6:.3g}"
