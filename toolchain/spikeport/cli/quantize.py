"""``spikeport quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from spikeport.terminal import console, show

STEPS = ("normalise", "joint", "ranges", "rounding", "decay", "bias", "thresholds")


def quantize(
    model: Annotated[str, typer.Argument(help="Checkpoint, .nir, .onnx or the name of a shipped model.")],
    data: Annotated[str, typer.Option("--data", help="Data set; its training split calibrates.")],
    out: Annotated[Path, typer.Option("--out", help="model.int.nir or model.int.onnx.")],
    weight_bits: Annotated[str, typer.Option("--weight-bits", "--bits", help="1 to 8, or auto: mixed bits.")] = "8",
    max_drop: Annotated[float, typer.Option("--max-drop", min=0, help="Points of accuracy that auto may lose.")] = 0.5,
    profile: Annotated[str, typer.Option("--profile", help="loihi1, loihi2, int, or a .toml file.")] = "loihi2",
    calibration: Annotated[int, typer.Option("--calibration", min=1, help="Calibration samples.")] = 512,
    ranges: Annotated[str, typer.Option("--ranges", help="max, percentile, mse or mismatch.")] = "mse",
    signs: Annotated[str, typer.Option("--signs", help="mixed, auto, excitatory or inhibitory.")] = "mixed",
    skip: Annotated[list[str] | None, typer.Option("--skip", help=f"A step to leave out: {', '.join(STEPS)}.")] = None,
    split: Annotated[bool, typer.Option("--split", help="Two mantissas for weights behind graded input.")] = False,
    thresholds: Annotated[
        str | None, typer.Option("--thresholds", help="mean or first: one threshold for all steps. Lossy.")
    ] = None,
    fine_tune: Annotated[int, typer.Option("--fine-tune", min=0, help="Epochs of quantisation-aware training.")] = 0,
    report: Annotated[Path | None, typer.Option("--report", help="What each step did, as JSON.")] = None,
    json: show.Json = False,
) -> None:
    """Turn a trained model into Loihi's integers, calibrated on training data.

    Examples:

        spikeport quantize build/demo/model.safetensors --data digits --out model.int.nir

        spikeport quantize model.nir --data digits --weight-bits 4 --fine-tune 3 --out model.int.nir

        spikeport quantize model.nir --data digits --bits auto --max-drop 0.5 --report bits.json --out model.int.nir
    """
    from spikeport.findings import fail
    from spikeport.verbs.quantize import quantize as make

    if weight_bits != "auto" and not weight_bits.isdigit():
        fail("SP400", f"weight bits {weight_bits!r}", mend="give a number from 1 to 8, or auto")
    if thresholds not in (None, "mean", "first"):
        fail("SP400", f"thresholds {thresholds!r}", mend="use mean or first")
    unknown = sorted(set(skip or ()) - set(STEPS))
    if unknown:
        fail("SP400", f"there is no step {', '.join(unknown)}", mend=f"choose among: {', '.join(STEPS)}")
    with console.progress("quantize", "steps") as progress:
        made = make(
            model,
            data=data,
            weight_bits="auto" if weight_bits == "auto" else int(weight_bits),
            profile=profile,
            out=out,
            calibration=calibration,
            ranges=cast(Any, ranges),
            signs=cast(Any, signs),
            steps=[*(step for step in STEPS if step not in (skip or ())), *(["split"] if split else [])],
            thresholds=cast(Literal["mean", "first"] | None, thresholds),
            fine_tune=fine_tune,
            max_drop=max_drop,
            report=report,
            progress=progress,
        )
    show.findings(made.findings)
    if json:
        show.as_json({**made.report, "out": str(out)})
        return
    _tell(dict(made.report))
    console.say(f"wrote {out} ({out.stat().st_size:,} bytes)")


def _tell(report: dict[str, Any]) -> None:
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
    console.say(f"accuracy on {report['samples']} samples of the {report['split']} split: {accuracy}")
    if "trade_off" in report:
        chosen = report["trade_off"]["chosen"]
        bits = ", ".join(f"{name} {bits}" for name, bits in chosen["bits"].items())
        console.say(f"bits: {bits} ({chosen['mean_bits']:.2f} a weight)")
