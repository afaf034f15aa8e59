"""Compiles the kernels for a compute capability, in the forms that launches give them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from spikeport.engine.cuda import alone, fire, pools, real, tally
from spikeport.engine.cuda.gemm import Channels
from spikeport.training.cuda import gradient, kernels, statistics

SHARED = {80: 163 << 10, 90: 227 << 10}  #: bytes a block may have (CUDA programming guide, compute capabilities)
SPILLED = 1024  #: bytes a thread: what the largest tiles lay aside once a step while they multiply
ALIGNED = [["tt.divisibility", 16]]
MANY, ONE = Channels(*["i32"] * 4), Channels(*[1] * 4)  #: Triton makes a constant of every argument that is 1
LAYER = {
    **dict.fromkeys(("decay", "bias", "theta", "leak", "reset_value", "correction", "beside"), "*i32"),
    **dict.fromkeys(("before", "membranes", "leaving", "out"), "*i32"),
    "x": "*u8",
    "weight": "*i8",
    "spikes": "*u8",
    "onto": "*u8",
    "summed": "*u8",
    "counts": "*i64",
    "channels": MANY,
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
    "spare": 0,
    "scaled": False,
    "overflows": False,
    "watch": False,
}
LEAST = {"beside": None, "leak": None, "reset_value": None, "before": None, "membranes": None, "leaving": None}
LEAST |= {"onto": None, "summed": None}
FLOAT = ("correction", "decay", "gain", "bias", "theta", "membranes", "x", "weight")
REAL = LAYER | LEAST | dict.fromkeys(FLOAT, "*fp32") | {"form": 3, "above": False}
EVENTS = {"x": "*u8", "kinds": "*i32", "table": "*i64", "counts": "*i64", "spikes": True, "bp": 4, "bs": 16, "bc": 64}
FLOATS = ("scale", "shift", "mean", "beta", "theta", "width", "part", "u", "by_theta", "by_decay", "by_place", "starts")
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
        if isinstance(value, Channels):
            types[each.name] = Channels(*("constexpr" if field == 1 else field for field in value))
            constants |= {(each.num, i): 1 for i, field in enumerate(value) if field == 1}
            aligned |= {(each.num, i): ALIGNED for i, field in enumerate(value) if field != 1}
        elif isinstance(value, str):
            types[each.name] = value
            if value.startswith("*") or each.name in ("whole", "x_step", "channels", "size"):
                aligned[(each.num,)] = ALIGNED
        else:
            types[each.name], constants[(each.num,)] = "constexpr", value
    return ASTSource(function, types, constants, aligned)


def forms():
    """Kernels, what they are given, warps and stages, and what has to stand in their code."""
    multiplies, wide_loads, wide_stores = "wgmma.mma_async mma.sync", "cp.async.cg.shared.global", "st.global.v4.b32"
    whole = (multiplies, wide_loads, wide_stores)
    yield fire.fire, LAYER | LEAST, (8, 3), whole
    yield fire.fire, LAYER | LEAST | {"bk": 128, "scaled": True}, (8, 3), whole
    yield fire.fire, LAYER | LEAST | {"bn": 64, "bk": 128, "overflows": True, "watch": True}, (4, 4), whole
    yield (
        fire.fire,
        LAYER | {"form": 1, "watch": True, "reset": 2, "bm": 64, "bn": 64, "spare": 2},
        (4, 3),
        (multiplies,),
    )
    yield fire.fire, LAYER | LEAST | {"way": 1, "form": 1, "steady": True, "bn": 64}, (8, 3), (multiplies, wide_stores)
    wide = dict.fromkeys(("decay", "bias", "theta"), "*i64") | {"top": "i64", "wide": True}
    digits = {"x": "*i32", "form": 2, "digits": 2, "each": True, "bm": 64, "bn": 64}
    yield fire.fire, LAYER | LEAST | wide | digits, (4, 3), (multiplies,)
    smallest = {"bm": 32, "bn": 16, "bk": 32}
    yield fire.fire, LAYER | LEAST | smallest, (2, 2), ("mma.sync",)
    one = {"channels": ONE, "size": 1, "whole": 1, "steps": 1}
    yield fire.fire, LAYER | LEAST | smallest | one | {"way": 2, "reset": 3}, (2, 2), ()
    alone_ = {"way": 3, "beside": "*i32", "reset": 1, "channels": ONE, "bm": 64, "bn": 64}
    yield fire.fire, LAYER | LEAST | alone_, (4, 3), ()
    numbers = REAL | {"bm": 64, "bn": 64, "bk": 32}
    yield real.fire_real, numbers, (4, 3), (wide_loads,)
    yield real.fire_real, numbers | {"x": "*u8", "form": 4, "bm": 128, "bk": 32}, (4, 3), (multiplies, wide_stores)
    yield real.fire_real, numbers | {"x": "*u8", "form": 5, "weight": "*bf16", "watch": True}, (4, 3), (multiplies,)
    yield alone.product, LAYER, (8, 3), (multiplies, wide_loads, wide_stores)
    yield tally.tally, EVENTS, (4, 3), ()
    yield tally.tally, EVENTS | {"x": "*i32", "spikes": False, "channels": 1}, (4, 3), ()
    yield pools.pool, {"x": "*u8", "out": "*i32", "block": 1024, "kernel_y": 1, "height": 1}, (4, 3), ()
    yield kernels.forward, TRAINING, (4, 3), ()
    yield kernels.step, TRAINING | {"theta": None}, (4, 3), ()
    yield kernels.through_norm, TRAINING, (4, 3), ()
    yield gradient.backward, TRAINING | {"block": 2, "starts": None}, (4, 3), ()
    yield gradient.backward, TRAINING | {"block": 10, "starts": None, "bm": 4}, (4, 3), ()
    yield gradient.backward, TRAINING | NO_NORM | {"block": 16, "bc": 256, "by_zero": False}, (4, 3), ()
    yield statistics.moments, TRAINING, (4, 3), ()
    yield statistics.merge, {"part": "*fp32", "out": "*fp64", "bt": 512, "bc": 4}, (4, 3), ()


def used(cubin):
    """Registers of a thread, and the bytes that it spills."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.search(r"REG:(\d+) STACK:(\d+)", text).groups()))


def main(capability):
    for kernel, given, (warps, stages), instructions in forms():
        target = GPUTarget("cuda", capability, 32)
        made = triton.compile(source(kernel, given), target=target, options={"num_warps": warps, "num_stages": stages})
        registers, spilled = used(made.asm["cubin"])
        name, text = f"{made.metadata.name} {warps, stages}", made.asm["ptx"]
        for choice in instructions:
            assert any(each in text for each in choice.split()), f"{name} lacks {choice}"
        assert spilled <= SPILLED, f"{name} spills {spilled} bytes a thread"
        assert made.metadata.shared <= SHARED[capability], f"{name} takes {made.metadata.shared} bytes of shared memory"
        print(f"{name}: {registers} registers, {spilled} bytes spilled, {made.metadata.shared} shared, compiled ok")


if __name__ == "__main__":
    main(int(sys.argv[1]))
