"""``spikeport simulate --stream``: frames from a pipe, what the network makes of them out as it comes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from spikeport import reading
from spikeport.findings import Finding, fail
from spikeport.graph import Array, Graph, Readout
from spikeport.record import Record
from spikeport.target import Progress, Request
from spikeport.verbs.clip import clipped_values, said
from spikeport.verbs.load import Model

PIPE = "-"
ENGINES = ("integer", "reference")


@dataclass(frozen=True, repr=False)
class Streamed(Record):
    """What a stream did, its steps as one: ``spike_counts`` [1] are sums over time, and so are ``outputs``."""

    steps: int = 0

    def rates(self) -> dict[str, NDArray[np.float64]]:
        """Share of neurons that fire in a step, a layer, [1], the mean over time."""
        return {name: rate / self.steps for name, rate in super().rates().items()}


def streamed(
    model: Model,
    samples: Any,
    target: str | None,
    out: Path | str | None,
    request: Request,
    progress: Progress,
    clip: bool = False,
) -> Streamed:
    """Run frames as they come to their end; blocks of outputs [steps, B, *output] go to ``out`` one by one.

    ``samples``: "-" for standard input, a file or pipe by path, with .npy arrays one behind the other; or an iterable
    of arrays. Each is [steps, *input] or [steps, B, *input]. ``out``: likewise "-" or a path; the same form comes out.
    Raises SP544 for a target that does not stream, SP907 for what is no array, and the codes of `Stream`.
    """
    target = target or model.target
    if target not in ENGINES:
        fail("SP544", f"the target {target!r} runs whole samples", mend="stream on integer or reference")
    from spikeport.engine import Stream

    whole: Record | None = None
    running, cut, values = Stream(model.graph, request, request.device), 0, 0
    if out is not None and str(out) != PIPE and not Path(out).parent.is_dir():
        fail("SP906", "its folder is not there", where=str(out), mend="name a file or a pipe, or -")
    with ExitStack() as files:
        leaving: BinaryIO | None = None
        for frames in _read(samples, files):
            within = clipped_values(frames, model.graph) if clip else frames
            cut, values = cut + int((within != frames).sum()), values + frames.size
            for block in running.feed(_side_by_side(within, model.graph)):
                whole = block.record if whole is None else _added(whole, block.record)
                leaving = leaving or _writing(out, files)  # not before: what stood there stays where all is refused
                if leaving is not None:
                    leaving.write(as_npy(block.outputs))
                    leaving.flush()
                progress(running.done, 0)
    if whole is None:
        fail("SP907", "no frame came", where=str(samples), mend="write .npy arrays into the pipe: numpy.save")
    findings = (*model.findings, *_unweighed(model.graph))
    findings += (said((model.graph,), cut, values, str(samples)),) if clip else ()
    facts = {item.name: getattr(whole, item.name) for item in fields(whole)}
    counts = {name: counts.sum(keepdims=True) for name, counts in whole.spike_counts.items()}
    return Streamed(**{**facts, "spike_counts": counts, "findings": findings}, steps=running.done)


def _unweighed(graph: Graph) -> Iterator[Finding]:
    """SP546 as a note where the steps of a readout count differently, or its channels do: of a stream all count 1."""
    node = graph.nodes[graph.output]
    if isinstance(node, Readout) and (node.weight != node.weight.flat[0]).any():
        what = "outputs of a stream are what enters the readout at each step, without the weights that it has"
        mend = f"weigh them by load_model(...).graph[{graph.output!r}].weight, or run whole samples"
        yield Finding("SP546", what, where=f"node {graph.output!r}", mend=mend, severity="note")


def _added(whole: Record, block: Record) -> Record:
    """Two records of consecutive steps as one step."""
    kinds = {name: {*whole.overflows.get(name, ()), *block.overflows.get(name, ())} for name in whole.neurons}
    return replace(
        whole,
        outputs=whole.outputs + block.outputs,
        spike_counts={
            n: counts.sum() + block.spike_counts[n].sum(keepdims=True) for n, counts in whole.spike_counts.items()
        },
        overflows={
            name: {kind: sum(each.overflows.get(name, {}).get(kind, 0) for each in (whole, block)) for kind in some}
            for name, some in kinds.items()
            if some
        },
        seconds=whole.seconds + block.seconds,
    )


def arrays(file: BinaryIO, name: str) -> Iterator[Array]:
    """The .npy arrays of a file or pipe, one behind the other. Raises SP907 for anything else."""
    while begin := file.read(1):
        try:
            yield reading.npy_stream(_Rest(begin, file))
        except ValueError as error:
            fail("SP907", f"is no row of .npy arrays ({error})", where=name, mend="write each with numpy.save")


class _Rest:
    """A file whose first byte was read already; numpy takes it for no file of its own, so that it may be a pipe."""

    def __init__(self, begin: bytes, file: BinaryIO) -> None:
        self._begin, self._file = begin, file

    def read(self, size: int) -> bytes:
        """As of a file."""
        begin, self._begin = self._begin[:size], self._begin[size:]
        return begin + self._file.read(size - len(begin)) if size > len(begin) else begin


def _read(samples: Any, files: ExitStack) -> Iterable[Array]:
    if isinstance(samples, str | Path):
        if str(samples) == PIPE:
            return arrays(sys.stdin.buffer, "standard input")
        try:
            return arrays(files.enter_context(Path(samples).open("rb")), str(samples))
        except OSError as error:
            fail("SP907", f"cannot be read ({error.strerror})", where=str(samples), mend="name a pipe, or - for stdin")
    return [samples] if isinstance(samples, np.ndarray) else map(np.asarray, samples)


def _writing(out: Path | str | None, files: ExitStack) -> BinaryIO | None:
    if out is None:
        return None
    if str(out) == PIPE:
        return sys.stdout.buffer
    try:
        return files.enter_context(Path(out).open("wb"))
    except OSError as error:
        fail("SP906", f"cannot be written ({error.strerror})", where=str(out), mend="name a file or a pipe, or -")


def as_npy(values: Array) -> bytes:
    """An array as .npy: numpy itself cannot write one into a pipe."""
    file = BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def _side_by_side(frames: Array, graph: Graph) -> Array:
    """[steps, B, *input], of one sample also where its axis is left out."""
    return frames[:, None] if frames.ndim == len(graph.entry.shape) + 1 else frames
