"""Runs a model on a target: the one place that knows that PyTorch runs modules and targets run graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spikeport.engine.lengths import in_groups, run_to_ends, up_to
from spikeport.engine.resume import part_size, run_in_parts
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import Array, Graph, Samples
from spikeport.record import Record
from spikeport.target import SLOW, Request, devices, expected_seconds, registry, shows, target
from spikeport.verbs.load import Model


def target_names() -> list[str]:
    """Everything that can stand behind ``@`` or ``--target``."""
    return ["pytorch", *registry()]


def execute(model: Model, name: str | None, samples: Array | Samples, request: Request = Request()) -> Record:
    """Run ``samples`` on the target ``name`` (None: the model's own). The record also holds what the reader said.

    Events that are asked for are the target's, or counted from its spike trains where it counts none. Samples of
    unequal length run to their own ends, see `engine.lengths`.

    Raises SP501 for an unknown target, SP502 for input of the wrong shape, SP905 where PyTorch is asked to run what is
    no module, SP246 where a module does something else on the steps of a sequence that ends early, and what the target
    refuses.
    """
    name = name or model.target
    if isinstance(samples, Samples):
        return _to_ends(model, name, samples, request)
    if request.events and "events" not in shows(name):
        return _counted(model, name, samples, request)
    request, notes = _placed(name, request)
    if name == "pytorch":
        if model.module is None:
            fail("SP905", f"PyTorch cannot run a {model.kind}", where=model.name, mend=f"use --target {model.target}")
        from spikeport.tracing.observe import observe

        output = model.metadata.get("options", {}).get("output")
        record = observe(model.module, model.graph, samples, request, output=output)
    else:
        record = target(name).run(model.graph, samples, request)
    return replace(record, findings=tuple(dict.fromkeys((*model.findings, *notes, *record.findings))))


def _to_ends(model: Model, name: str, samples: Samples, request: Request) -> Record:
    """Each sample as far as it goes: targets run the cut network, a module its steps alone.

    A module of ours runs all steps, which its thresholds are of, and is read before.
    """
    if samples.lengths is None:
        return execute(model, name, samples.array, request)
    if name != "pytorch" or model.module is None:

        def run(graph: Graph, x: Array, wishes: Request) -> Record:
            return execute(replace(model, graph=graph), name, x, wishes)

        return run_to_ends(run, model.graph, samples, request)
    from spikeport.tracing.early import cut
    from spikeport.training.ends import readable, reading

    module, whole = model.module, model.graph.timesteps

    def watch(steps: int, part: Samples, wishes: Request) -> Record:
        if readable(module):
            with reading(module, steps):
                record = execute(model, name, part.array, wishes)
        elif steps < whole:
            shorter = replace(model, graph=cut(model.graph, steps))
            record = execute(shorter, name, part.during(0, steps).array, wishes)
        else:
            record = execute(model, name, part.array, wishes)
        return up_to(record, steps, whole)

    return in_groups(watch, samples, request)


def _placed(name: str, request: Request) -> tuple[Request, tuple[Finding, ...]]:
    """The request for a device that the target has. Raises SP524 for another; of ``auto`` the CPU is left, and said."""
    there, kind = devices(name), request.device.partition(":")[0]
    if kind in there or (kind == "auto" and "cuda" in there) or kind not in ("auto", "cpu", "cuda"):
        return request, ()
    if kind == "auto":
        note = Finding("SP522", "it computes on the CPU alone", f"target {name!r}", severity="note")
        return replace(request, device="cpu"), (note,)
    if kind == "cpu":  # what is named for a GPU
        return request, ()
    fail(
        "SP524",
        f"it does not compute on {request.device}",
        where=f"target {name!r}",
        mend="leave --device out, or write --device auto, which takes a GPU where a target has one",
    )


def _counted(model: Model, name: str, samples: Array, request: Request) -> Record:
    """A run with the events of its spike trains; without, and SP706 as a note, where they do not say everything."""
    from spikeport.costs import derive

    request.check_layers(model.graph)
    record = execute(model, name, samples, replace(request, events=False, trains=True))
    try:
        record = derive(model.graph, samples, record)
    except SpikeportError as error:
        if error.code != "SP706":
            raise
        notes = (replace(finding, severity="note") for finding in error.findings)
        record = replace(record, findings=(*record.findings, *notes))
    return replace(record, trains=request.kept(record.trains))


def part(model: Model, name: str | None) -> int:
    """How many samples of a long run are kept together: about a minute of them, 1024 at most."""
    name = name or model.target
    if name == "pytorch":
        return part_size(expected_seconds(model.graph))
    known = getattr(target(name), "seconds_a_sample", None)  # a target need not say it
    return part_size(expected_seconds(model.graph, SLOW) if known is None else known(model.graph))


def execute_in_parts(
    model: Model, name: str | None, samples: Array | Samples, request: Request, folder: Path, resume: bool
) -> Record:
    """As `execute`, but every finished part of a long run is kept in ``folder``, and ``resume`` goes on after them."""
    name = name or model.target

    def run(graph: Graph, part: Array | Samples, wishes: Request) -> Record:
        return execute(replace(model, graph=graph), name, part, wishes)

    return run_in_parts(
        run, model.graph, samples, folder / f"parts-{name}", request, size=part(model, name), resume=resume
    )
