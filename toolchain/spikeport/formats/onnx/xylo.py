"""What Xylo's neurons make of a step (graph/xylo.py), in int64 and in operators that most tools know."""

from __future__ import annotations

from onnx import TensorProto

from spikeport.formats.onnx.body import Body, Names
from spikeport.graph import DECAY_ONE, STATE_SHIFT, Profile


def constants(body: Body, profile: Profile) -> None:
    """The ends of states, one sum in their unit, and what a shift divides by."""
    whole = {"lowest": profile.state_least, "highest": profile.state_top, "lift": 1 << STATE_SHIFT, "one": DECAY_ONE}
    for name, value in (whole | {"zero": 0, "sums": DECAY_ONE << STATE_SHIFT}).items():
        body.constant(name, value)


def charge(body: Body, names: Names = Names()) -> str:
    """The name of the membranes before the comparison; writes ``i_out`` (with the tag behind)."""
    tag = names.tag

    def clipped(value: str, word: str) -> str:
        return body.within(value, f"{word}{tag}", tag, f"{word}_")

    whole = body.op("Cast", [names.x], f"wide{tag}", to=TensorProto.INT64)
    arriving = body.op("Mul", [whole, "lift"], f"arriving{tag}")
    arrived = clipped(body.op("Add", [names.i, arriving], f"sum{tag}"), "arrived")
    current = body.op("Sub", [arrived, _gone(body, arrived, "current_decay", f"fading{tag}")], f"i_out{tag}")
    driven = body.op("Sub", [current, _gone(body, names.v, "decay", f"leaking{tag}")], f"driven{tag}")
    biased = body.op("Add", [clipped(driven, "drive"), "bias"], f"biased{tag}")
    return clipped(body.op("Add", [names.v, clipped(biased, "change")], f"exact{tag}"), "u")


def _gone(body: Body, value: str, decay: str, word: str) -> str:
    """v >> n in the unit of states, rounded down: Mod has the sign of its divisor. Above zero one sum at least goes;
    below, rounding sees to it."""
    share = body.op("Sub", ["one", decay], f"{word}_share")
    product = body.op("Mul", [value, share], f"{word}_product")
    whole = body.op("Sub", [product, body.op("Mod", [product, "sums"], f"{word}_rest")], f"{word}_whole")
    shifted = body.op("Div", [whole, "one"], f"{word}_shifted")
    least = body.op("Where", [body.op("Greater", [value, "zero"], f"{word}_held"), "lift", "zero"], f"{word}_least")
    return body.op("Where", [body.op("Equal", [shifted, "zero"], f"{word}_small"), least, shifted], word)
