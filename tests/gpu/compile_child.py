"""Compiles the kernels for a compute capability, in the forms that launches give them."""

from __future__ import annotations

import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from spikeport.engine.cuda import alone, fire, pools, tally
from spikeport.engine.cuda.gemm import Window
from spikeport.training.cuda import gradient, kernels, statistics

ALIGNED = [["tt.divisibility", 16]]
MANY, ONE = Window(*["i32"] * 16), Window(*[1] * 16)  #: Triton makes a constant of every argument that is 1
LAYER = {
    **dict.fromkeys(("decay", "bias", "theta", "leak", "reset_value", "correction", "beside"), "*i32"),
    **dict.fromkeys(("before", "membranes", "leaving", "out"), "*i32"),
    "x": "*u8",
    "weight": "*i8",
    "spikes": "*u8",
    "counts": "*i64",
    "window": MANY,
    "bm": 128,
    "bn": 128,
    "bk": 64,
    "way": 0,
    "form": 0,
    "digits": 1,
    "steady": False,
    "wide": False,
    "each": False,
    "reset": 0,
    "watch": False,
}
LEAST = {"beside": None, "leak": None, "reset_value": None, "before": None, "membranes": None, "leaving": None}
EVENTS = {"x": "*u8", "kinds": "*i32", "table": "*i64", "counts": "*i64", "spikes": True, "bm": 32, "bc": 64}
FLOATS = ("scale", "shift", "mean", "beta", "theta", "width", "part", "u", "by_theta", "by_decay", "by_place")
TRAINING = {
    **dict.fromkeys((*FLOATS, "slope", "offset"), "*fp32"),
    **dict.fromkeys(("x", "spikes", "grad", "out", "g"), "*bf16"),
    "steps": "i32",
    "by_zero": True,
    "by_channel": False,
    "detached": False,
    "bm": 32,
    "bc": 128,
}
NO_NORM = {"scale": None, "shift": None, "mean": None, "bm": 1, "bc": 4096}


def source(kernel, given):
    """A kernel with its arguments: types, or constants; what is not given is an int."""
    function = getattr(kernel, "fn", kernel) if not hasattr(kernel, "params") else kernel
    types, constants, aligned = {}, {}, {}
    for each in function.params:
        value = given.get(each.name, "i32")
        if isinstance(value, Window):
            types[each.name] = Window(*("constexpr" if field == 1 else field for field in value))
            constants |= {(each.num, i): 1 for i, field in enumerate(value) if field == 1}
            wide = ("channels", "group", "outputs", "group_outputs")
            aligned |= {(each.num, i): ALIGNED for i, f in enumerate(Window._fields) if f in wide and value[i] != 1}
        elif isinstance(value, str):
            types[each.name] = value
            if value.startswith("*") or each.name in ("whole", "x_step", "channels"):
                aligned[(each.num,)] = ALIGNED
        else:
            types[each.name], constants[(each.num,)] = "constexpr", value
    return ASTSource(function, types, constants, aligned)


def forms():
    """Kernels, what they are given, and whether tensor cores have to multiply."""
    yield fire.fire, LAYER | LEAST, True
    yield fire.fire, LAYER | {"form": 1, "watch": True, "reset": 2, "bn": 64}, True
    yield fire.fire, LAYER | LEAST | {"way": 1, "form": 1, "steady": True, "bn": 64}, True
    wide = dict.fromkeys(("decay", "bias", "theta"), "*i64") | {"top": "i64", "wide": True}
    yield (
        fire.fire,
        LAYER | LEAST | wide | {"x": "*i32", "form": 2, "digits": 2, "each": True, "bm": 64, "bn": 64},
        True,
    )
    yield fire.fire, LAYER | LEAST | {"way": 2, "reset": 3, "window": ONE, "size": 1, "whole": 1, "steps": 1}, False
    yield fire.fire, LAYER | LEAST | {"way": 3, "beside": "*i32", "reset": 1, "window": ONE, "top": 1}, False
    yield alone.product, LAYER, True
    yield tally.tally, EVENTS, False
    yield tally.tally, EVENTS | {"x": "*i32", "spikes": False, "size": 1, "channels": 1}, False
    yield pools.pool, {"x": "*u8", "out": "*i32", "block": 1024, "kernel_y": 1, "height": 1}, False
    yield kernels.forward, TRAINING, False
    yield kernels.step, TRAINING | {"theta": None}, False
    yield kernels.through_norm, TRAINING, False
    yield gradient.backward, TRAINING | {"steps": 2}, False
    yield gradient.backward, TRAINING | NO_NORM | {"steps": 4, "by_channel": True, "by_zero": False}, False
    yield statistics.moments, TRAINING, False
    yield statistics.merge, {"part": "*fp32", "out": "*fp64", "bt": 64, "bc": 128}, False


def main(capability, instruction):
    for kernel, given, multiplies in forms():
        target = GPUTarget("cuda", capability, 32)
        text = triton.compile(source(kernel, given), target=target, options={"num_warps": 8}).asm["ptx"]
        assert not multiplies or instruction in text, f"{kernel} multiplies without tensor cores"
        print("compiled ok")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
