"""Batches of a size on a GPU: launched at first, then taken down as a CUDA graph and repeated, one launch each.

A batch is some tens of kernels, a recurrent one several a step, which Python may take longer to launch than a card to
run. As many copies are taken down as batches are under way at once; samples are copied to where a copy reads them, and
what is read of it is brought before it runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikeport.engine import cuda, enter
from spikeport.engine.batch import Run
from spikeport.engine.enter import Frames
from spikeport.engine.program import Program
from spikeport.engine.readout import Results
from spikeport.findings import Finding
from spikeport.graph import Array, Samples
from spikeport.target import Request

MOST = 2 << 30  #: bytes of a batch's values: a card runs more longer than Python launches it, and copies keep them


@dataclass
class Copy:
    """A batch that was taken down: where its samples go, and what reads it."""

    frames: Tensor  #: [T or 1, B, *input], as they come
    run: Run
    again: cuda.Launch


@dataclass
class Lane:
    """Batches that differ in nothing but their samples."""

    launched: int = 0
    copies: list[Copy] = field(default_factory=list)


class Repeats:
    """How the batches of one program are launched. ``why`` says what kept one from being taken down."""

    def __init__(self, program: Program, recorder: cuda.Recorder | None) -> None:
        self.why = ""
        self._program, self._recorder = program, recorder
        self._lanes: dict[object, Lane] = {}

    def launched(self, samples: Samples, arrays: Mapping[str, Array], request: Request, most: int) -> Run:
        """A batch on its way: at ``most`` so many steps at a time; outputs go to ``arrays`` with `Run.record`."""
        lane = self._lanes.setdefault(self._kind(samples, request, most), Lane())
        lane.launched += 1
        copy = self._copy(lane, samples, request, most)
        if copy is None:
            run = Run(self._program, request, Results(self._program.outs, arrays))
            run.launch(samples, most)
        else:
            run = copy.run
            run.results.arrays = arrays
            cuda.put(enter.raw(samples.frames), copy.frames)
            copy.again()
        run.send()
        return run

    def findings(self) -> tuple[Finding, ...]:
        """SP527 where a batch could not be taken down."""
        if not self.why:
            return ()
        what = f"a batch is launched kernel by kernel: {self.why}"
        mend = "nothing to mend for the result; SPIKEPORT_GRAPHS=off asks for it"
        return (Finding("SP527", what, mend=mend, severity="note"),)

    def _kind(self, samples: Samples, request: Request, most: int) -> object:
        """What two batches have in common of which one can stand for the other."""
        asked = tuple((request.keeps_train(name), request.keeps_membrane(name)) for name in self._program.layers)
        return type(samples), samples.array.shape, samples.array.dtype, asked, request.events, most

    def _copy(self, lane: Lane, samples: Samples, request: Request, most: int) -> Copy | None:
        """The copy whose turn it is, taken down where it is the first time; the first batch has none."""
        if self._recorder is None or lane.launched == 1 or samples.number * self._program.bytes > MOST:
            return None
        turn = lane.launched % (self._program.ahead + 1)
        if len(lane.copies) <= self._program.ahead:
            copy = self._taken_down(self._recorder, samples, request, most)
            if copy is None:
                return None
            lane.copies.insert(turn, copy)
        return lane.copies[turn]

    def _taken_down(self, recorder: cuda.Recorder, samples: Samples, request: Request, most: int) -> Copy | None:
        frames = torch.empty_like(enter.raw(samples.frames), device=self._program.device)
        there = Frames(frames, samples.coding, getattr(samples, "inside", None))
        run = Run(self._program, request, Results(self._program.outs, {}))
        try:
            return Copy(frames, run, recorder(lambda: run.launch(there, most)))
        except RuntimeError as error:  # torch's for a capture that fails, out of memory among them
            self.why, self._recorder = str(error).splitlines()[0], None
            return None
