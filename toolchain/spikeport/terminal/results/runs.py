"""Runs and what they agree on: ``run``, ``simulate``, ``evaluate``, ``compare``, ``plot``, ``report``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeport.findings import Finding
from spikeport.record import Record
from spikeport.terminal import console, show
from spikeport.terminal.results import Shown
from spikeport.verbs.streaming import Streamed

if TYPE_CHECKING:
    from spikeport.comparison import Comparison
    from spikeport.reporting.plots import Picture
    from spikeport.verbs.evaluate import Evaluation


def _run(result: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    right = {stage: f"{share:.2%}" for stage, share in result["accuracy"].items()}
    rows = [(stage, right.get(stage, "no labels"), count) for stage, count in result["samples"].items()]
    trained = f", {result['method']}" if "method" in result else ""
    show.table(f"{result['model']} on {result['dataset']}{trained}", ("stage", "accuracy", "samples"), rows)
    agreed = [
        (
            name,
            parity["against"],
            f"{parity['spike_mismatches']:,} of {parity['spikes_compared']:,}",
            f"{parity['argmax_agreement']:.2%}",
        )
        for name, parity in result["parity"].items()
    ]
    show.table("parity", ("what", "against", "spikes that differ", "same answer"), agreed)
    show.findings(Finding(**each) for each in result["findings"])
    console.say(f"wrote {Path(values['out']) / 'report.html'}")


def _simulate(record: Record, values: Mapping[str, Any]) -> None:
    if isinstance(record, Streamed):  # standard output may hold what went out
        console.say(f"{record.steps:,} steps of {record.samples} on {record.target}, {record.seconds:.2f} s")
        for name, rate in record.rates().items():
            console.say(f"{name}: {int(record.spike_counts[name][0]):,} spikes, {rate[0]:.3f} a neuron and step")
        return
    rates = record.rates()
    show.table(
        f"{record.samples} samples on {record.target}, {record.seconds:.2f} s",
        ("layer", "neurons", "firing rate at each timestep"),
        [(name, record.neurons[name], " ".join(f"{rate:.3f}" for rate in rates[name])) for name in record.neurons],
    )
    place = Path(values["out"])
    console.say(f"wrote {place if place.suffix.lower() == '.nir' else place / 'record.npz'}")


def _evaluate(result: Evaluation, values: Mapping[str, Any]) -> None:
    low, high = result.interval
    console.echo(
        f"{result.accuracy:.2%} of {result.samples} samples of {result.dataset} ({result.split}; "
        f"95 % interval {low:.2%} ... {high:.2%}), "
        f"{result.model} on {result.target}, {result.seconds:.2f} s"
    )


def _compare(comparison: Comparison, values: Mapping[str, Any]) -> None:
    if values["out"] is not None:
        console.say(f"wrote {Path(values['out']) / 'report.html'}")
    for line in comparison.lines():
        console.echo(line)
    apart = {name: counts for name, counts in comparison.parity.by_layer.items() if any(counts)}
    if apart:
        rows = [(name, comparison.parity.neurons[name], " ".join(map(str, counts))) for name, counts in apart.items()]
        show.table("spikes that differ", ("layer", "neurons", "at each timestep"), rows)
    if comparison.causes:
        causes = [
            (
                cause.title,
                f"{cause.mismatches:,}",
                f"{cause.share:.1%}",
                "" if cause.explained is None else f"{cause.explained:.1%}" if cause.explained >= 0 else "none",
                "" if cause.accuracy is None else f"{100 * cause.accuracy:+.2f}",
            )
            for cause in comparison.causes
        ]
        show.table(
            f"causes{comparison.counted_on}",
            ("cause", "mismatches alone", "share", "explains", "accuracy, points"),
            causes,
        )


def _compared(comparison: Comparison) -> int:
    """Says the gates that are not met, and 1 if there are any."""
    for failure in comparison.failed:
        console.echo(str(failure), err=True)
    return 1 if comparison.failed else 0


def _plot(picture: Picture, values: Mapping[str, Any]) -> None:
    for line in picture.caption.split("; "):
        console.echo(line)
    console.say(f"wrote {picture.path}")


SHOWN = {
    "plot": Shown(_plot, remarks=True),
    "run": Shown(_run),
    "simulate": Shown(_simulate, plain=None, remarks=True),
    "evaluate": Shown(_evaluate, remarks=True),
    "compare": Shown(_compare, status=_compared, remarks=True),
    "report": Shown(lambda page, values: console.echo(str(page)), plain=None),
}
