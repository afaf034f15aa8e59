"""``spikeport import-checkpoint``: a file of the seed authors' public code becomes a checkpoint of ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import nn

from spikeport.files import output
from spikeport.findings import Finding, fail
from spikeport.graph import Coding, Samples
from spikeport.target import silent
from spikeport.told import Told
from spikeport.tracing.authors import convert, preprocessing
from spikeport.tracing.authors_facts import Arch, Compare, Facts, Layout
from spikeport.tracing.calibrate import calibrate as estimate
from spikeport.tracing.statefile import read_state
from spikeport.training import checkpoint
from spikeport.training.loop import accuracy
from spikeport.training.neurons import Neuron
from spikeport.training.parts import Part
from spikeport.verbs.load import Data, prepared
from spikeport.verbs.parameters import Help, Progress, read_shape


@dataclass(frozen=True, repr=False)
class ImportedCheckpoint(Told):
    """What ``spikeport import-checkpoint --json`` prints, and the module."""

    module: nn.Module = field(repr=False)  #: in evaluation mode
    metadata: dict[str, Any]
    thresholds: dict[str, list[float]]
    accuracy: float | None = None  #: on ``data``'s test split, as the file is (thresholds 1.0 where it has none)
    accuracy_calibrated: float | None = None  #: on the same samples, after the calibration
    samples: int = 0
    batches: int = 0  #: of the calibration
    findings: tuple[Finding, ...] = ()
    out: Path | None = None


def import_checkpoint(
    file: Annotated[Path | str, Help("A .pth, .pt or .safetensors file; no code in it is run.", place=True)],
    layout: Annotated[Layout, Help("mpd-agl or ds-atgo: whose code wrote it.")],
    arch: Annotated[Arch, Help("resnet19, vggsnn or mlp.")],
    *,
    timesteps: Annotated[int, Help("As it was trained; no file says it.", flags=("--timesteps", "-T"), least=1)],
    calibrate: Annotated[str | None, Help("Data set to re-estimate a lost threshold table on.")] = None,
    data: Annotated[str | None, Help("Data set to measure the accuracy on.")] = None,
    compare: Annotated[Compare, Help('">" for MPD-AGL\'s first two public revisions.')] = ">=",
    v_threshold: Annotated[float | None, Help("MPD-AGL's --Vth, if not 0.5.")] = None,
    f_c: Annotated[float, Help("DS-ATGO's firing-rate factor, if not 1.")] = 1.0,
    decay: Annotated[float | None, Help("Decay of LIF neurons, if not 0.2; learned ones are in the file.")] = None,
    input_shape: Annotated[
        tuple[int, ...] | None, Help("C,H,W of what enters, if not what the tensors say.", read=read_shape)
    ] = None,
    normalise: Annotated[
        str, Help("How samples were prepared in training: authors, none, or MEAN,.../STD,...")
    ] = "authors",
    out: Annotated[Path | str | None, Help("The checkpoint to write, .safetensors.", needed=True)] = None,
    seed: int = 0,
    progress: Progress = silent,
) -> ImportedCheckpoint:
    """Read a checkpoint of the authors' public MPD-AGL or DS-ATGO code, and write it as one of spikeport's.

    In Python: ``calibrate`` names a data set whose training split re-estimates a lost DS-ATGO table; the accuracy on
    its test split is measured before (thresholds 1.0, which is what the public code falls back to) and after. ``data``
    only measures. ``normalise`` says how samples were prepared in training, which no file does: "authors" is what their
    loader does (CIFAR-10: mean and deviation a channel), "none" takes data sets as they are, "MEAN,.../STD,..." has one
    number a channel. The checkpoint keeps it, and all that reads data for it goes by it. ``compare`` is ">" for
    MPD-AGL's first two revisions (334b3e9, e9a4dd4); no file says which it is from.

    Raises SP390-SP396, SP398 where data sets cannot be prepared as in the training; nothing is written then.

    Examples:

        spikeport import-checkpoint best_model.pth --layout mpd-agl --arch resnet19 -T 2 --out resnet19.safetensors

        spikeport import-checkpoint n.pth --layout ds-atgo --arch resnet19 -T 2 --calibrate cifar10 --out r.safetensors
    """
    if layout not in ("mpd-agl", "ds-atgo") or arch not in ("resnet19", "vggsnn", "mlp") or compare not in (">=", ">"):
        fail(
            "SP391",
            f"cannot read layout {layout!r}, architecture {arch!r}, comparison {compare!r}",
            mend="layout: mpd-agl, ds-atgo; arch: resnet19, vggsnn, mlp; compare: >=, >",
        )
    _check(timesteps, decay, input_shape)
    place = None if out is None else output(out, ".safetensors")
    name = calibrate or data
    state = read_state(file)
    how = preprocessing(state, arch, normalise)
    coding: Coding = "events" if arch == "vggsnn" else "direct"
    train = prepared(calibrate, "train", timesteps, coding, how) if calibrate else None
    test = prepared(name, "test", timesteps, coding, how) if name else None
    shape = input_shape or (None if test is None else Samples(test.x, coding).shape)
    facts = Facts(layout, arch, timesteps, compare, v_threshold, decay, f_c, shape, normalise)
    converted = convert(state, facts, str(file), tableless=calibrate is not None)
    channels = converted.metadata["input_shape"][0]
    if how is not None and len(how.mean) not in (0, channels):
        mend = "give one mean and one deviation a channel"
        fail("SP398", f"{len(how.mean)} means for samples of {channels} channels", where=str(file), mend=mend)
    metadata, findings = dict(converted.metadata), [*converted.findings, *([] if how is None else [how.note()])]
    if name:
        metadata["dataset"] = name
    before = _accuracy(converted.module, test, coding)
    batches, after = 0, None
    if train is not None and layout == "ds-atgo" and not converted.calibrated:
        batches = estimate(converted.module, train.whole("a calibration"), coding, seed=seed, progress=progress)
        after = _accuracy(converted.module, test, coding)
        metadata["imported"] |= {
            "calibrated": calibrate,
            "batches": batches,
            "accuracy_before": before,
            "accuracy_after": after,
        }
        findings.append(_told(calibrate, batches, before, after))
    elif train is not None:
        findings.append(
            Finding("SP395", "the file has its thresholds; nothing was calibrated", str(file), severity="note")
        )
    if place is not None:
        checkpoint.save(place, converted.module, metadata)
    tables = {n: part.threshold.tolist() for n, part in converted.module.named_modules() if isinstance(part, Neuron)}
    samples = 0 if test is None else test.samples
    return ImportedCheckpoint(
        converted.module, metadata, tables, before, after, samples, batches, tuple(findings), place
    )


def _check(timesteps: int, decay: float | None, shape: tuple[int, ...] | None) -> None:
    """Raises SP391 for numbers that no checkpoint has."""
    if type(timesteps) is not int or timesteps < 1:
        fail("SP391", f"{timesteps!r} timesteps", mend="give the number that the network was trained with")
    if decay is not None and (type(decay) not in (int, float) or not 0 <= decay < 1):
        fail("SP391", f"a decay of {decay!r}", mend="give the factor of the membrane a step: 0 or more, less than 1")
    if shape is not None and (not 1 <= len(shape) <= 3 or any(type(n) is not int or n < 1 for n in shape)):
        fail("SP391", f"an input of shape {shape!r}", mend="give channels, rows and columns, from 1 on: 3,32,32")


def _accuracy(module: nn.Module, test: Data | None, coding: Coding) -> float | None:
    if test is None:
        return None
    with torch.no_grad():
        share = accuracy(module, Part.of(test.x, test.labels, coding, test.lengths))
    return float(share)


def _told(name: str | None, batches: int, before: float | None, after: float | None) -> Finding:
    what = f"thresholds were re-estimated on {name}, {batches} batches: accuracy {before:.2%} before, {after:.2%} after"
    why = "they are not the ones of the training, which the file has lost; the weights are."
    return Finding("SP395", what, why=why, severity="substituted")
