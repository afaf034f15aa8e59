"""Long runs that survive: each finished part of a data set is a file, and a run that starts again goes on after them.

A folder holds ``run.json`` (what is run on what, in parts of how many samples) and ``part-000000.npz`` and so on, each
a whole `Record`. Files are moved into place when they are complete, so that an end at any moment, by Ctrl-C, kill -9 or
a power cut, loses at most the part that was being computed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.files import folder as make_folder
from spikeport.files import write_text
from spikeport.findings import SpikeportError, fail
from spikeport.graph import Array, Graph, Samples
from spikeport.graph.inputs import require_samples_within
from spikeport.reading import json_file
from spikeport.record import Record, join
from spikeport.target import Request

RUN = "run.json"
PART = 1024  #: samples in a part at most
PART_SECONDS = 60.0  #: what an end may cost: a part is expected to take no longer, or is one sample

Run = Callable[[Graph, Any, Request], Record]  #: of an array, or of `Samples` where they have lengths


def part_size(seconds_a_sample: float) -> int:
    """Samples in a part, each of which takes about so long; never measured, so that no bit depends on the clock."""
    return max(1, min(PART, int(PART_SECONDS / max(seconds_a_sample, 1e-9))))


def run_in_parts(
    run: Run,
    graph: Graph,
    samples: Array | Samples,
    folder: Path | str,
    request: Request = Request(),
    *,
    size: int = PART,
    resume: bool = False,
) -> Record:
    """Run ``samples`` in parts of ``size``, keep each in ``folder``, and return the record of all of them.

    With ``resume`` parts that are there already are not computed again, and keep the size that they were begun with.
    Raises SP510 where the folder holds another run (other graph, samples or requests), SP511 where it holds parts and
    ``resume`` was not asked for. An interrupt goes through to the caller as one that says how much is finished:
    each part can be read with `Record.load`.
    """
    made = [place for place in (Path(folder), *Path(folder).parents) if not place.exists()]
    folder = make_folder(folder)
    entering = Samples.of(graph, samples)
    require_samples_within(graph, entering)
    total = entering.number
    size = _claim(folder, _facts(graph, entering, request, size), resume)
    records: list[Record] = []
    begun = time.perf_counter()
    try:
        for start in range(0, total, size):
            stop = min(start + size, total)
            path = folder / f"part-{start // size:06d}.npz"
            record = _readable(path, stop - start, records[:1])
            if record is None:
                request.check_time(begun, start, total)
                left = None if request.seconds is None else request.seconds - (time.perf_counter() - begun)
                wanted = replace(request, progress=_shifted(request, start, total), seconds=left)
                record = run(graph, entering.cut(start, stop).given, wanted)
                record.save(path)
            records.append(record)
            request.progress(stop, total)
    except KeyboardInterrupt:
        done = sum(record.samples for record in records)
        if not records:
            _leave(folder, made)
        raise KeyboardInterrupt(f"{done} of {total} samples finished in {folder}; go on with --resume") from None
    except BaseException:
        if not records:
            _leave(folder, made)
        raise
    return join(records)


def _leave(folder: Path, made: list[Path]) -> None:
    """Take away what a run has made of a folder that has finished nothing there: a target that refused it, for one."""
    if folder in made:
        (folder / RUN).unlink(missing_ok=True)
    for place in made:
        with suppress(OSError):  # somebody else's file is there
            place.rmdir()


def _readable(path: Path, samples: int, before: list[Record]) -> Record | None:
    """A finished part; None where it is missing, damaged or of other samples or layers than the part before it, so that
    it is computed again."""
    try:
        record = Record.load(path)
    except SpikeportError:
        return None
    same = all(record.form() == other.form() for other in before)
    return record if record.samples == samples and same else None


def _claim(folder: Path, facts: dict[str, Any], resume: bool) -> int:
    """Make the folder this run's, or make sure that it is. Returns the size of its parts."""
    path = folder / RUN
    if path.exists():
        try:
            there = json_file(path)
        except (OSError, ValueError):
            there = {}
        if not isinstance(there, dict) or type(there.get("part", 1)) is not int or there.get("part", 1) < 1:
            there = {}
        same = {**facts, "part": there.get("part", facts["part"])}  # parts keep the size that they were begun with
        other = sorted(name for name in facts if there.get(name) != same[name])
        if other:
            fail(
                "SP510",
                f"the folder holds another run: {', '.join(other)} differ",
                where=str(folder),
                mend="use another folder, or run what was run before",
            )
        if not resume:
            fail(
                "SP511",
                "the folder holds this run already, whole or in part",
                where=str(folder),
                mend="continue it with --resume, or use another folder",
            )
        return int(there["part"])
    write_text(path, json.dumps(facts, indent=1))
    return int(facts["part"])


def _facts(graph: Graph, samples: Samples, request: Request, size: int) -> dict[str, Any]:
    """What makes two runs the same run, and the size of its parts, which does not."""
    return {
        "graph": digest(graph),
        "input": hashlib.sha256(np.ascontiguousarray(samples.array).view(np.uint8).data).hexdigest(),
        **({} if samples.lengths is None else {"lengths": samples.lengths.tolist()}),
        "samples": samples.number,
        "part": size,
        "asked": {name: getattr(request, name) for name in ("trains", "membranes", "events")},
        **({} if request.device == "cpu" else {"device": request.device}),  # real numbers round otherwise there
    }


def digest(graph: Graph) -> str:
    """A number for the graph: nodes with every bit of their arrays, edges, steps and arithmetic."""
    named = (graph.named_outputs,) if graph.named_outputs else ()
    facts = (sorted(graph.edges), graph.timesteps, graph.arithmetic, graph.after_end, *named)
    digest = hashlib.sha256(repr(facts).encode())
    for name in sorted(graph.nodes):
        node = graph.nodes[name]
        digest.update(f"{name}:{type(node).__name__}".encode())
        for item in fields(node):
            value = getattr(node, item.name)
            if node.silent(item.name):
                continue
            if isinstance(value, np.ndarray):
                digest.update(f"{item.name}{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
            else:
                digest.update(f"{item.name}={value!r}".encode())
    return digest.hexdigest()


def _shifted(request: Request, start: int, total: int) -> Callable[[int, int], None]:
    """The caller's progress, told about all samples by a run that sees a part of them."""
    return lambda done, _: request.progress(start + done, total)
