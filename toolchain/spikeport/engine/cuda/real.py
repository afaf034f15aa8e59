"""One kernel a layer of real numbers, as `fire` is of integers: sums, bias, gain, membrane, threshold, reset, spikes.

float32 throughout. Norms were folded into weights and biases, or stand in the neurons' gain and bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton import jit

from spikeport.engine.cuda.fire import loaded
from spikeport.engine.cuda.gemm import BF16, NONE, REAL, TF32, Window, tile_of, tile_sums
from spikeport.engine.cuda.layer import RESETS, Layer, each, laid, laid_out
from spikeport.engine.cuda.step import ACTIVE, FIRED, KINDS, add_count, after, write
from spikeport.engine.cuda.sums import Sums, no_sums
from spikeport.engine.cuda.tiles import tuned
from spikeport.engine.neuron import Counted
from spikeport.graph import LIF, Array

FORMS = {"float32": REAL.value, "tf32": TF32.value, "bf16": BF16.value}  #: of products, by what a user asks for


@tuned("bm", "bn", "bk")
@jit(do_not_specialize=[*Window._fields, "bucket"])
def fire_real(
    x,  # the map [T or 1, M', channels], bytes or float32, or anything where there is no synapse
    weight,  # [outputs, depth]
    correction,  # [outputs], the bias of the synapse
    beside,  # as the next ones to ``counts`` in `fire`, float32
    decay,
    gain,
    leak,
    bias,
    theta,
    reset_value,
    low,
    before,
    spikes,
    membranes,
    leaving,
    onto,
    summed,
    counts,
    channels,
    height,
    width,
    places,
    out_width,
    taps,
    kernel_width,
    stride_y,
    stride_x,
    pad_y,
    pad_x,
    step_y,
    step_x,
    size,
    whole,
    x_step,
    beside_step,
    theta_step,
    steps,
    bucket,
    way: tl.constexpr,
    form: tl.constexpr,
    digits: tl.constexpr,
    steady: tl.constexpr,
    each: tl.constexpr,
    reset: tl.constexpr,
    above: tl.constexpr,  # whether a membrane has to be above its threshold, not at it
    watch: tl.constexpr,
    bm: tl.constexpr,
    bn: tl.constexpr,
    bk: tl.constexpr,
):
    """``steps`` steps of all places and channels that leave, by the equations of `neuron.real`."""
    window = (height, width, places, out_width, taps, kernel_width, stride_y, stride_x, pad_y, pad_x, step_y, step_x)
    first, group, n, inside = tile_of(channels, way, bm, bn)
    m = first.to(tl.int32) + tl.arange(0, bm)
    alive = (m < size)[:, None]
    live = alive & inside[None, :]
    at = tl.arange(0, bm)[:, None] * channels.outputs + n[None, :]
    of, known = n[None, :], inside[None, :]
    if each:
        of, known = (m % places)[:, None] * channels.outputs + n[None, :], live
    start = first * channels.outputs
    there = start
    v = tl.zeros((bm, bn), dtype=tl.float32)
    current = v
    if before is not None:
        before += start
        v, current = tl.load(before + at, mask=live, other=0), tl.load(before + whole + at, mask=live, other=0)
    sums = tl.zeros((bm, bn), dtype=tl.float32)
    if steady:
        sums = tile_sums(
            x, weight, correction, m, n, inside, group, channels, window, size, way, form, digits, bm, bn, bk
        )
    for _ in range(steps):
        if way != NONE and not steady:
            sums = tile_sums(
                x, weight, correction, m, n, inside, group, channels, window, size, way, form, digits, bm, bn, bk
            )
            x += x_step
        entering = sums
        if beside is not None:
            entering = sums + tl.load(beside + start + at, mask=live, other=0).to(tl.float32)
            beside += beside_step
        b = loaded(bias, of, known)
        if watch:
            add_count(counts, ACTIVE, live & ((entering != 0) | (v != 0) | (b != 0)))
        arriving = loaded(gain, of, known) * entering
        if leak is not None:
            current = loaded(leak, of, known) * current + arriving
            arriving = current
        u = loaded(decay, of, known) * v + arriving + b
        th = tl.load(theta + of, mask=known, other=float("inf"))
        fires = alive & (u > th if above else u >= th)
        add_count(counts, FIRED, fires)
        v = after(u, fires, th, loaded(reset_value, of, known), reset)
        if low is not None:
            v = tl.maximum(v, tl.load(low + of, mask=known, other=0))
        write(spikes, membranes, onto, summed, there, at, fires, v, live)
        there += whole
        theta += theta_step
        counts += KINDS
    if leaving is not None:
        leaving += start
        tl.store(leaving + at, v, mask=live)
        tl.store(leaving + whole + at, current, mask=live)


def prepare(node: LIF, sums: Sums | None, device: str) -> Layer:
    """Neurons that ``sums`` and what comes beside them enter."""
    parameters = laid_out(node, np.dtype(np.float32), device) | {
        "gain": laid(node.gain, node, np.dtype(np.float32), device)
    }
    fixed: dict[str, Any] = {"each": each(node), "above": node.compare == ">", "reset": RESETS[node.reset]}
    return Layer(node, sums or no_sums(node, device), parameters, torch.float32, fire_real, fixed, _counted)


def _counted(counts: Array) -> Counted:
    return Counted(counts[:, FIRED.value], counts[:, ACTIVE.value], {})
