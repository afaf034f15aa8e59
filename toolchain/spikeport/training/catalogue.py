"""All training methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from spikeport.findings import require
from spikeport.training import options
from spikeport.training.methods import DsAtgo, Fixed, Method, MpdAgl, Positive
from spikeport.training.neighbours import Lsg, Masked, Psg

METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (Fixed, MpdAgl, DsAtgo, Lsg, Psg, Masked)}


def method(name: str, **chosen: Any) -> Method:
    """The method of a name with its options: one of `METHODS`, or one that a plug-in brings (`spikeport.methods`).

    Raises SP313 for an unknown name, for what is no `Method`, and for every option that is unknown, of the wrong type
    or out of its range.
    """
    made = options.make("methods", name, METHODS, chosen, "SP313")
    require(
        isinstance(made, Method),
        "SP313",
        f"{name!r} is no dataclass that extends Method",
        mend="begin with @dataclass(frozen=True) and class …(Method)",
    )
    average = not made.adaptive or hasattr(made, "momentum")
    mend = "add momentum: Annotated[float, Field(gt=0, le=1)] = 0.1, of the average that inference fires with"
    require(average, "SP313", f"{name!r} adapts thresholds and has no field momentum", mend=mend)
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Done(Method):
    """What is left of a method when the training is done: enough to build the network that its tensors fit."""

    name: ClassVar[str] = "done"

    scale: Positive = 1.0  #: tdBN's, which is no tensor
    per_channel: bool = False
    learned_width: bool = False

    @property
    def learns_width(self) -> bool:  # type: ignore[override]
        return self.learned_width

    @property
    def norm_scale(self) -> float:
        return self.scale


def facts(of: Method) -> dict[str, Any]:
    """What a checkpoint says of its method, so that it is loaded where nobody knows the method."""
    per_channel = bool(getattr(of, "per_channel", False))
    return {"scale": of.norm_scale, "per_channel": per_channel, "learned_width": of.learns_width}


def inference_method(metadata: Mapping[str, Any]) -> Method:
    """The method of a checkpoint; where its name is not known here, what its facts say is enough to infer with."""
    name, chosen = metadata["method"], metadata.get("method_options", {})
    left = metadata.get("after_training")
    if left is None or name in options.names("methods", METHODS):
        return method(name, **chosen)
    return options.make("methods", Done.name, {Done.name: Done}, left, "SP305")  # type: ignore[no-any-return]
