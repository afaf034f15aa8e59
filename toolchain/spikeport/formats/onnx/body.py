"""The nodes of a function or of a Scan's body, and what one step reads and writes there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from spikeport.graph import DECAY_ONE, STATE_SHIFT, Profile


@dataclass
class Body:
    """Nodes of a function or of a Scan's body."""

    kind: int  #: the element type of x
    old: bool = False  #: as 0.1 wrote it, which onnxruntime runs from 1.25 on
    whole: bool = False  #: whether membranes are whole numbers, in int64
    nodes: list[onnx.NodeProto] = field(default_factory=list)

    def op(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node and return its output. It has a name: onnxruntime 1.20 makes one name of two that have none."""
        name = None if self.old else output
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output

    def of_kind(self, value: str, output: str, like: str) -> str:
        """A value in the type of x, of which ``like`` is one."""
        if self.old:
            return self.op("CastLike", [value, like], output)
        return self.op("Cast", [value], output, to=self.kind)

    def within(self, value: str, output: str, tag: str, prefix: str = "") -> str:
        """A whole number cut to the states' ends, ``lowest`` and ``highest``: Clip fails beyond 32 bits."""
        below = self.op("Less", [value, "lowest"], f"{prefix}below{tag}")
        raised = self.op("Where", [below, "lowest", value], f"{prefix}raised{tag}")
        above = self.op("Greater", [raised, "highest"], f"{prefix}above{tag}")
        return self.op("Where", [above, "highest", raised], output)

    def constant(self, name: str, value: int | list[int]) -> None:
        """A whole number or a list of them, as a tensor, which more tools know than an attribute."""
        if self.old:
            self.op("Constant", [], name, **{"value_int" if isinstance(value, int) else "value_ints": value})
        else:
            self.op("Constant", [], name, value=numpy_helper.from_array(np.asarray(value, np.int64), name))

    def integer_constants(self, profile: Profile) -> None:
        """The constants of Loihi's format."""
        top, least = profile.state_top, profile.accumulator_least
        values = {"one": DECAY_ONE, "lift": 1 << STATE_SHIFT, "lowest": -top, "highest": top}
        values |= {"least": least, "span": -2 * least} if least is not None else {}
        for name, value in values.items():
            self.constant(name, value)

    def several_constants(self, most: int) -> None:
        """Those by which spikes are counted, in the type of membranes."""
        for name, value in {"nothing": 0, "unit": 1, "most": most}.items():
            kind = np.int64 if self.whole else helper.tensor_dtype_to_np_dtype(self.kind)
            self.op("Constant", [], name, value=numpy_helper.from_array(np.asarray(value, kind), name))


@dataclass(frozen=True)
class Names:
    """What one step reads and writes; ``tag`` tells the steps of an unrolled body apart."""

    x: str = "x"
    threshold: str = "threshold"
    spikes: str = "spikes"
    tag: str = ""
    v: str = "v"
    i: str = "i"
    a: str = "a"
