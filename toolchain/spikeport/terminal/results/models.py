"""Models and how they are made: ``train``, ``import-checkpoint``, ``export``, ``quantize``, ``inspect``, ``check``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from spikeport.terminal import console, show
from spikeport.terminal.results import Shown

if TYPE_CHECKING:
    from spikeport.quantisation import Quantised
    from spikeport.training.probe import Activity
    from spikeport.verbs.check import Check
    from spikeport.verbs.export import Exported
    from spikeport.verbs.import_checkpoint import ImportedCheckpoint
    from spikeport.verbs.inspect import Inspection
    from spikeport.verbs.probe import Probe
    from spikeport.verbs.train import Trained


def _train(trained: Trained, values: Mapping[str, Any]) -> None:
    if os.environ.get("RANK", "0") != "0":  # under torchrun the first process speaks for all
        return
    facts = trained.metadata
    judged = f"validation {facts['val_accuracy']:.2%}, test {facts['test_accuracy']:.2%}"
    if facts["recipe"]["choose"] == "test":
        judged = f"test {facts['test_accuracy']:.2%}, which is optimistic: the epoch was chosen on that part"
    console.say(f"wrote {trained.checkpoint}: epoch {facts['epoch']}, {judged}, {trained.seconds:.1f} s")


def _import_checkpoint(imported: ImportedCheckpoint, values: Mapping[str, Any]) -> None:
    if imported.accuracy is not None:
        told = f"accuracy {imported.accuracy:.2%}"
        if imported.accuracy_calibrated is not None:
            after = imported.accuracy_calibrated
            told = f"accuracy before {imported.accuracy:.2%}, after the calibration {after:.2%}"
        console.say(f"{told} on {imported.samples} test samples")
    console.say(f"wrote {imported.out}")


def _export(exported: Exported, values: Mapping[str, Any]) -> None:
    _wrote(exported.path)


def _wrote(path: Path) -> None:
    console.say(f"wrote {path} ({path.stat().st_size:,} bytes)")


def _quantize(quantised: Quantised, values: Mapping[str, Any]) -> None:
    from spikeport.verbs.own_data import WHOLE

    report = dict(quantised.report)
    rows = [
        (
            e["step"],
            "yes" if e["kept"] else "no, it made the result worse",
            f"{e['output_error']:.4f}",
            f"{e['spike_mismatch']:.3%}",
            f"{e['argmax_agreement']:.2%}",
        )
        for e in report["steps"]
    ]
    title = f"Steps, on {report['calibration_samples']} calibration samples"
    show.table(title, ("step", "kept", "output error", "spikes that differ", "same answer"), rows)
    accuracy = ", ".join(f"{name.replace('_', '-')} {share:.2%}" for name, share in report["accuracy"].items())
    unlabelled = any(finding.code == "SP238" for finding in quantised.findings)
    what = "the real network's answer" if unlabelled else "accuracy"
    part = "" if report["split"] == WHOLE else f" of the {report['split']} split"
    both = ", among which are those that calibrate" if report["split"] in (WHOLE, "train") else ""
    console.say(f"{what} on {report['samples']} samples{part}{both}: {accuracy}")
    if "collapsed" in report:
        only = report["collapsed"]
        told = f"{only['spike_mismatches']:,} of {only['spikes_compared']:,} spikes differ by it"
        first = f"; the first: {only['first']}" if only["first"] else ""
        console.say(f"one threshold for all steps, before integers: {told}{first}")
    if "trade_off" in report:
        chosen = report["trade_off"]["chosen"]
        bits = ", ".join(f"{name} {bits}" for name, bits in chosen["bits"].items())
        console.say(f"bits: {bits} ({chosen['mean_bits']:.2f} a weight)")
    _wrote(Path(values["out"]))


def _inspect(inspection: Inspection, values: Mapping[str, Any]) -> None:
    size = f"{inspection.timesteps} timesteps, {inspection.neurons:,} neurons"
    head = ("node", "what", "shape", "numbers", "thresholds over time", "scale")
    rows = [(r.name, r.what, r.shape, f"{r.parameters:,}", r.thresholds, r.scale) for r in inspection.rows]
    show.table(f"{inspection.model}: {inspection.kind}, {inspection.arithmetic}, {size}", head, rows)
    show.table("provenance", ("fact", "value"), list(inspection.provenance.items()))
    if values["svg"] is not None:
        console.say(f"wrote {values['svg']}")


def _check(check: Check, values: Mapping[str, Any]) -> None:
    origins = [f"{v.origin} {v.process}".strip() for v in check.nodes]
    head, cells = ["node", "what", "state"], [[v.node, v.what, v.state] for v in check.nodes]
    if any(origins):  # of Lava's processes
        head, cells = [*head, "stock or ours"], [[*each, origin] for each, origin in zip(cells, origins, strict=True)]
    head = [*head, "remarks", "how to mend it"]
    rows = [[*row, "; ".join(v.remarks), "; ".join(v.mend)] for row, v in zip(cells, check.nodes, strict=True)]
    show.table(f"{check.model} on {check.target}", head, rows)
    for other in check.others:
        console.echo(str(other))
    console.echo("runs" if check.runs else "does not run")


LONG = 10  #: timesteps that are written out
PROBED = (("inside", True), ("rate", True), ("threshold", False), ("width", False))  #: and whether it is a share
PROBE_HEAD = ("layer", "get a gradient, %", "fire, %", "threshold", "surrogate width")


def _over_time(values: Sequence[float], share: bool) -> str:
    """Each timestep, or one number where they are alike; of long runs the ends and the span."""
    texts = [f"{100 * value:.1f}" if share else f"{value:.3f}" for value in values]
    if len(set(texts)) == 1:
        return texts[0]
    least, most = texts[values.index(min(values))], texts[values.index(max(values))]
    return " ".join(texts) if len(texts) <= LONG else f"{texts[0]} … {texts[-1]} (from {least} to {most})"


def _mean(layers: Mapping[str, Activity]) -> list[str]:
    means = [fmean(fmean(getattr(each, kind)) for each in layers.values()) for kind, _ in PROBED]
    return [_over_time([mean], share) for mean, (_, share) in zip(means, PROBED, strict=True)]


def _probe(probe: Probe, values: Mapping[str, Any]) -> None:
    on = f"{probe.samples} samples of {probe.dataset} ({probe.split})"
    for run in probe.runs:
        rows = [
            (name, *(_over_time(getattr(each, kind), share) for kind, share in PROBED))
            for name, each in run.layers.items()
        ]
        show.table(f"{run.model}, {run.method}: at each timestep, on {on}", PROBE_HEAD, rows)
        if run.epochs:
            means = [(number, *_mean(layers)) for number, layers in run.epochs.items()]
            show.table("epochs: means over layers and timesteps", ("epoch", *PROBE_HEAD[1:]), means)
    if probe.path is not None:
        console.say(f"wrote {probe.path}")


SHOWN = {
    "train": Shown(_train, plain=None),
    "import_checkpoint": Shown(_import_checkpoint, remarks=True),
    "export": Shown(_export, plain=None, remarks=True),
    "quantize": Shown(
        _quantize, lambda quantised, values: {**quantised.report, "out": str(values["out"])}, remarks=True, unit="steps"
    ),
    "inspect": Shown(_inspect, remarks=True),
    "probe": Shown(_probe, remarks=True),
    "check": Shown(_check, status=lambda check: 0 if check.runs else 1),
}
