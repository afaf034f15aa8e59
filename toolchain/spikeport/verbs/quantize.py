"""``spikeport quantize``: a trained model to integers, and what that costs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np

from spikeport.comparison import first_divergence, parity
from spikeport.engine.devices import Runner, on, resolve
from spikeport.engine.lengths import to_ends
from spikeport.files import output, plain, replacing, write_json
from spikeport.findings import Finding, fail
from spikeport.graph import Array, Graph, Profile
from spikeport.nearest import choose
from spikeport.quantisation import STEPS, Quantised, RangeMethod, SignMode, TradeOff, load_profile, mixed_bits, prepare
from spikeport.quantisation import quantize as post_training
from spikeport.quantisation.collapse_schedule import Collapse, collapse_schedule
from spikeport.target import Progress as Callback
from spikeport.target import Request, begins, silent
from spikeport.verbs.clip import clipped, cuts
from spikeport.verbs.export import export
from spikeport.verbs.judging import answers_of, judged_on, spread
from spikeport.verbs.load import Data, load_data, load_model
from spikeport.verbs.off_grid import off_grid
from spikeport.verbs.own_files import timed
from spikeport.verbs.parameters import (
    Clip,
    DataLike,
    Device,
    Dt,
    Frames,
    Help,
    Labels,
    ModelLike,
    Nir,
    Progress,
    Timesteps,
    read_bits,
)

CALIBRATION = 512  #: samples of the training split


def quantize(
    model: ModelLike,
    *,
    data: Annotated[DataLike, Help("Data set, .npz, .npy or folder: its training split calibrates, val judges.")],
    labels: Labels = None,
    out: Annotated[Path | str | None, Help("model.int.nir or model.int.onnx.", needed=True)] = None,
    weight_bits: Annotated[
        int | Mapping[str, int] | Literal["auto"],
        Help("1 to 8, or auto: mixed bits.", flags=("--weight-bits", "--bits"), read=read_bits),
    ] = 8,
    max_drop: Annotated[float, Help("Points of accuracy that auto may lose.", least=0)] = 0.5,
    profile: Annotated[str | Path | Profile, Help("loihi1, loihi2, speck, xylo, int, or a .toml file.")] = "loihi2",
    calibration: Annotated[int, Help("Calibration samples.", least=1)] = CALIBRATION,
    ranges: Annotated[RangeMethod, Help("max, percentile, mse or mismatch.")] = "mse",
    signs: Annotated[SignMode, Help("mixed, auto, excitatory or inhibitory.")] = "mixed",
    steps: Sequence[str] = STEPS,
    skip: Annotated[Sequence[str], Help(f"A step to leave out: {', '.join(STEPS)}.")] = (),
    split: Annotated[bool, Help("Two mantissas for weights behind graded input.")] = False,
    thresholds: Annotated[Collapse | None, Help("mean, first, best or bias: one threshold for all steps.")] = None,
    fine_tune: Annotated[int, Help("Epochs of quantisation-aware training.", least=0)] = 0,
    report: Annotated[Path | str | None, Help("What each step did, as JSON.")] = None,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    clip: Clip = False,
    device: Device = "cpu",
    progress: Progress = silent,
) -> Quantised:
    """Turn a trained model into Loihi's integers, calibrated on training data.

    In Python: ``calibration`` samples are spread evenly over the training split of ``data``. ``weight_bits``: "auto"
    finds the fewest bits a layer whose accuracy is at most ``max_drop`` points below the real network's; the curve goes
    to ``report`` (JSON) and beside it as PNG. ``thresholds`` puts a constant in place of each schedule: its mean, its
    first value, the best on the calibration samples, or one with the bias that it equals, where there is one.
    ``fine_tune``: epochs of quantisation-aware training on the training split. ``out`` (.nir or .onnx) is written where
    it is given. The result's report holds accuracies between 0 and 1, on at most JUDGED samples of the validation
    split (of a file of one's own x_val and y_val), or of the training split where there is none, or a data set's has
    fewer than FEW. ``steps`` are done in their order but for those
    to ``skip``; ``split`` adds the one of its name. ``clip`` cuts off what lies beyond the calibration samples' range
    where integers are judged and fine-tuned.

    Raises SP400 for a step or a word that is none of the choices, and what `quantisation.quantize`, `mixed_bits` and
    the readers raise.

    Examples:

        spikeport quantize build/demo/model.safetensors --data digits --out model.int.nir

        spikeport quantize model.nir --data digits --weight-bits 4 --fine-tune 3 --out model.int.nir

        spikeport quantize model.nir --data digits --bits auto --max-drop 0.5 --report bits.json --out model.int.nir
    """
    steps = _chosen(steps, skip, split)
    if thresholds not in (None, *get_args(Collapse)):
        fail("SP400", f"thresholds {thresholds!r}", mend=f"use {', '.join(get_args(Collapse))}")
    here, notes = resolve(device)
    simulate = on(here)
    data = timed(data, dt)
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames, data=data)
    graph = loaded.graph
    seen = load_data(data, "train", graph, labels=labels)
    judged, few = judged_on(data, seen, graph), spread(seen, calibration, graph)
    calibrate, judge = to_ends(simulate, few.lengths), to_ends(simulate, judged.lengths)
    answers, asked = answers_of(judged, graph, judge)
    chosen = load_profile(profile)

    def accuracy(candidate: Graph) -> float:
        entering = clipped(judged, candidate) if clip else judged
        return judge(candidate, entering.x, Request()).accuracy(answers)

    facts: dict[str, Any] = {"samples": judged.samples, "split": judged.split, "accuracy": {"real": accuracy(graph)}}
    if thresholds is not None:
        channels = chosen.channel_thresholds
        constant, _ = collapse_schedule(
            prepare(graph, chosen), thresholds, samples=few.x, run=calibrate, channels=channels
        )
        facts["accuracy"]["collapsed"] = accuracy(constant)
        facts["collapsed"] = _flips(graph, constant, judged.x, judge)
    bits = chosen.weight_bits if isinstance(weight_bits, str) else weight_bits

    def make(bits: int | Mapping[str, int]) -> Quantised:
        return post_training(
            graph,
            few.given,
            chosen,
            bits,
            run=calibrate,
            ranges=ranges,
            signs=signs,
            steps=steps,
            collapse_thresholds=thresholds,
            progress=progress,
        )

    quantised = make(bits)
    if isinstance(weight_bits, str):
        if weight_bits != "auto":
            fail("SP400", f"weight bits {weight_bits!r}", mend="give a number, or auto")
        trade_off = mixed_bits(
            quantised, accuracy=accuracy, real_accuracy=facts["accuracy"]["real"], max_drop=max_drop, progress=progress
        )
        facts["trade_off"] = plain(trade_off)
        quantised = make(trade_off.chosen.bits)
    begins(progress, "measuring accuracies")
    facts["accuracy"]["integer"] = accuracy(quantised.graph)
    if fine_tune:
        entering = clipped(seen, quantised.graph) if clip else seen
        quantised = _tuned(quantised, entering, fine_tune, accuracy, facts, progress)
    tuned_facts = {"epochs": fine_tune, "seed": 0, "kept": _kept(quantised)} if fine_tune else None
    origin = {
        "calibration": {
            "data": seen.name,
            "split": seen.split,
            "samples": few.samples,
            "choice": "spread evenly over the split, nothing drawn",
            "sha256": _sha256(few.x),
        },
        "ranges": ranges,
        "steps": list(steps),
        "thresholds": thresholds,
        "fine_tune": tuned_facts,
    }
    cut = cuts(quantised.graph, judged, *([seen] if fine_tune else [])) if clip else ()
    cut = (*cut, *off_grid(judged, quantised.graph))
    told = (*notes, *loaded.findings, *seen.findings, *asked, *cut, *quantised.findings)
    quantised = replace(
        quantised, graph=_with_origin(quantised.graph, origin), findings=told, report={**quantised.report, **facts}
    )
    if out is not None:
        export(quantised.graph, out)
    if report is not None:
        _write_report(quantised, output(report, ".json"), facts)
    return quantised


def _tuned(
    quantised: Quantised,
    seen: Data,
    epochs: int,
    accuracy: Callable[[Graph], float],
    facts: dict[str, Any],
    progress: Callback,
) -> Quantised:
    """The integers after quantisation-aware training; those before it where it made them worse, which is said."""
    from spikeport.training.finetune import fine_tune as tune

    begins(progress, "fine-tuning")
    tuned = tune(quantised, seen.given, seen.labels, epochs=epochs, progress=progress)
    facts["fine_tune"] = {"epochs": epochs, "losses": tuned.losses, "accuracies": tuned.accuracies}
    facts["accuracy"]["fine_tuned"] = accuracy(tuned.graph)
    if facts["accuracy"]["fine_tuned"] >= facts["accuracy"]["integer"]:
        return replace(quantised, graph=tuned.graph)
    return replace(quantised, findings=(*quantised.findings, _worse(facts["accuracy"])))


def _flips(before: Graph, after: Graph, x: Array, simulate: Runner) -> dict[str, Any]:
    """What constant thresholds change by themselves: answers, spikes, and where the first spike differs."""
    a, b = (simulate(graph, x, Request(trains=True)) for graph in (before, after))
    agreement, first = parity(a, b), first_divergence(a, b, after)
    return {
        "argmax_agreement": agreement.argmax_agreement,
        "spike_mismatches": agreement.spike_mismatches,
        "spikes_compared": agreement.spikes_compared,
        "first": first.told("with schedules", "with constants") if first else "",
    }


def _chosen(steps: Sequence[str], skip: Sequence[str], split: bool) -> tuple[str, ...]:
    """The steps to take. Raises SP400 where one that is to be skipped is none."""
    unknown = sorted(set(skip) - set(STEPS))
    if unknown:
        fail("SP400", f"there is no step {', '.join(unknown)}", mend=choose(unknown[0], STEPS))
    return (*(step for step in steps if step not in skip), *(("split",) if split and "split" not in steps else ()))


def _kept(quantised: Quantised) -> bool:
    return not any(finding.code == "SP431" for finding in quantised.findings)


def _sha256(x: Array) -> str:
    """Of the samples' bytes, in C order."""
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()


def _with_origin(graph: Graph, origin: Mapping[str, Any]) -> Graph:
    """The graph whose provenance also tells on what it was calibrated: the file tells how to make it again."""
    known = {name: value for name, value in origin.items() if value is not None}
    facts = {**graph.provenance.get("quantised", {}), **known}
    return graph.with_(provenance={**graph.provenance, "quantised": facts})


def _write_report(quantised: Quantised, path: Path, facts: Mapping[str, Any]) -> None:
    write_json(path, quantised.report)
    if "trade_off" in facts:
        draw(facts["trade_off"], path.with_suffix(".png"))


def draw(trade_off: TradeOff | Mapping[str, Any], path: Path | str) -> None:
    """The trade-off curve as PNG: accuracy against the mean bits of a weight."""
    from matplotlib.figure import Figure

    facts = plain(trade_off)
    points = sorted(facts["curve"], key=lambda point: point["mean_bits"])
    figure = Figure(figsize=(6.4, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.plot([p["mean_bits"] for p in points], [100 * p["accuracy"] for p in points], "o-", label="integers")
    axes.axhline(100 * facts["real_accuracy"], color="0.4", linestyle="--", label="real numbers")
    best = facts["chosen"]
    axes.plot(
        best["mean_bits"],
        100 * best["accuracy"],
        "*",
        markersize=14,
        color="tab:red",
        label=f"chosen, at most {facts['max_drop']:g} points below",
    )
    axes.set_xlabel("bits of a weight, mean")
    axes.set_ylabel("accuracy, %")
    axes.legend(loc="lower right")
    with replacing(path) as part:
        figure.savefig(part, format="png")


def _worse(accuracy: Mapping[str, float]) -> Finding:
    what = f"fine-tuning led to {accuracy['fine_tuned']:.4f}, without it the accuracy is {accuracy['integer']:.4f}"
    return Finding(
        "SP431", what, why="the graph without fine-tuning is kept.", mend="train more epochs", severity="substituted"
    )
