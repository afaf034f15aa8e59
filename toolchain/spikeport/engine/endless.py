"""An endless input in constant memory: frames come in blocks, and what the network does with them goes out at once.

What each node carries from step to step stays between blocks (`run.Run.walk`), so a stream is cut anywhere without
changing a bit of integers. Past its schedules a network goes on as ``Graph.after_end`` says (`passes.extend`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from spikeport.engine import cpu
from spikeport.engine.batch import Run
from spikeport.engine.devices import whole_factors
from spikeport.engine.program import Kernels
from spikeport.engine.readout import Results, told
from spikeport.engine.run import Engine
from spikeport.engine.stepped import Stepped
from spikeport.findings import fail, raise_errors, require
from spikeport.graph import Array, Graph, Loihi, Range, Samples
from spikeport.graph.inputs import require_within
from spikeport.passes.extend import extend
from spikeport.record import Record
from spikeport.target import Request, plain_output
from spikeport.threads import no_lost_threads

BLOCK = 64  #: steps at once at most
WHOLE = {"b": (0, 1), "u": (0, 255)}  #: what frames of booleans and bytes may hold


@dataclass(frozen=True, eq=False)
class Block:
    """What a network did in some consecutive steps of a stream."""

    start: int  #: the first of them, from 0
    #: [steps, B, *output]: spikes, uint8, or int64 where a step may have several; of a readout what it weighs:
    #: ``x[t] + bias``, in Loihi's integers x << 6
    outputs: Array
    record: Record  #: spike counts, and what was asked for, of these steps; its outputs are the sum over them


def stream(
    graph: Graph,
    frames: Iterable[Array],
    request: Request = Request(),
    device: str = "cpu",
    kernels: Kernels | None = None,
) -> Iterator[Block]:
    """Run frames as they come, each array [some steps, B, *input], B the same in all; gives their blocks as they end.

    As `Stream`, which raises.
    """
    running = Stream(graph, request, device, kernels)
    for some in frames:
        yield from running.feed(some)


class Stream:
    """A graph on its way through an input without end; memory does not grow with the steps."""

    def __init__(
        self,
        graph: Graph,
        request: Request = Request(),
        device: str = "cpu",
        kernels: Kernels | None = None,
        most: int = BLOCK,
    ) -> None:
        """``most``: steps at once. Raises SP132 for several outputs, SP541 for a graph of one frame a sample."""
        raise_errors(plain_output(graph, "a stream"))
        if graph.entry.coding != "events":
            why = "the frames of a stream are different at every step."
            where = f"node {graph.input!r}"
            fail("SP541", "the model takes one frame a sample", where=where, why=why, mend="read it with --frames")
        self.graph, self.request, self.done = graph, request, 0
        self._most, self._batch = most, 0
        self._long = _longer(graph, most)
        self._engine = Engine(self._long, device, kernels)
        self._run: Run | None = None
        self._stepped: Stepped | None = None

    def feed(self, frames: Array) -> Iterator[Block]:
        """The next frames [steps, B, *input], in blocks as soon as they are computed.

        Raises SP540 past the schedules of a graph that does not say how they go on, SP542 where nothing says which
        integers may come, SP543 for frames of another shape or type, SP504 for integers out of range.
        """
        self._check(frames)
        at = 0
        while at < len(frames):
            start = self._place()
            steps = min(self._most, len(frames) - at, self._long.timesteps - start)
            yield self._block(frames[at : at + steps], start)
            at += steps

    def _block(self, frames: Array, start: int) -> Block:
        """Some steps, ``start`` the first of them in the schedules."""
        if self._run is None or self._stepped is None:
            ready = self._engine.ready(self._range(frames))
            self._run = Run(ready, self.request, Results(ready.outs, {}))
            self._stepped = Stepped(self._run)
        block = Block(self.done, *(self._stepped.block(frames, start) or self._together(self._run, frames, start)))
        self.done += len(frames)
        return block

    def _together(self, run: Run, frames: Array, start: int) -> tuple[Array, Record]:
        """All steps of a block at once."""
        begun, steps = time.perf_counter(), len(frames)
        with no_lost_threads(), torch.inference_mode(), whole_factors(run.program.device):
            (output,) = run.walk(Samples(frames, "events"), start, steps).values()
            one = told(self.graph, run.program.outs, output)
            outputs = np.ascontiguousarray(np.broadcast_to(one, (steps, *one.shape[1:])))
        run.results.arrays = {self.graph.output: outputs.sum(0, dtype=run.program.leaving)}
        record = replace(run.record(whole=True), seconds=time.perf_counter() - begun)
        for parts in (run.counted, run.trains, run.membranes, run.events):
            parts.clear()
        return outputs, record

    def _place(self) -> int:
        """Where the next step stands in the schedules."""
        if self.graph.after_end == "cycle":
            return self.done % self._long.timesteps
        steps = self.graph.timesteps
        if self.graph.after_end == "error" and self.done >= steps:
            fail(
                "SP540",
                f"step {self.done + 1} has come, and the schedules are for {steps}",
                where=f"node {self.graph.input!r}",
                mend='end the stream there, or say how they go on: graph.with_(after_end="hold") or "cycle"',
            )
        return min(self.done, steps)

    def _check(self, frames: Array) -> None:
        node, where = self.graph.entry, f"node {self.graph.input!r}"
        fits = frames.ndim == len(node.shape) + 2 and frames.shape[2:] == node.shape and frames.dtype.kind in "fiub"
        if not fits or self._batch not in (0, frames.shape[1]):
            fail(
                "SP543",
                f"frames of shape {list(frames.shape)} of {frames.dtype}; "
                f"the stream takes [steps, {self._batch or 'B'}, {node.shape}]",
                where=where,
                mend="bring numbers, a frame each step, of as many samples as at the beginning",
            )
        finite = frames.dtype.kind != "f" or bool(np.isfinite(frames).all())
        require(finite, "SP502", "the input holds values that are not finite", where=where)
        self._batch = frames.shape[1]
        if isinstance(self.graph.arithmetic, Loihi) and frames.size:
            ends, unit = cpu.ends(frames) or (float(frames.min()), float(frames.max())), float(node.unit)
            low, high = sorted(round(end / unit) for end in ends)  # ties to even
            require_within(self.graph, low, high, Samples(frames, "events"))

    def _range(self, frames: Array) -> Range | None:
        """Which integers may ever come; None for real numbers."""
        node = self.graph.entry
        if not isinstance(self.graph.arithmetic, Loihi):
            return None
        if np.isfinite(node.low) and np.isfinite(node.high):
            return Range(int(node.low), int(node.high))
        ends = WHOLE.get(frames.dtype.kind) if frames.dtype.itemsize == 1 else None
        if ends is None:
            fail(
                "SP542",
                f"nothing says between which bounds the integers lie that will come as {frames.dtype}",
                where=f"node {self.graph.input!r}",
                why="sums are exact by bounds that are known before the first step.",
                mend="bring bytes or booleans, or a graph whose input has low and high",
            )
        low, high = sorted(int(np.rint(end / float(node.unit))) for end in ends)
        return Range(low, high)


def _longer(graph: Graph, most: int) -> Graph:
    """A graph whose schedules hold a block from anywhere that a stream may be, and are longer than any block.

    "hold": a block beyond the end. "cycle": whole turns, so that a block ends with the last of them at the latest.
    """
    if graph.after_end == "error":
        return graph
    turns = most // graph.timesteps + 1
    return extend(graph, turns * graph.timesteps if graph.after_end == "cycle" else graph.timesteps + most)
