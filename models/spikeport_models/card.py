"""Model cards, measured: ``python -m spikeport_models.card CHECKPOINT`` writes one beside the checkpoint.

Of a card that is there the words stay that nothing measures: the machine, the cross-validation, the note.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from spikeport import datasets
from spikeport.comparison.intervals import wilson
from spikeport.files import write_text
from spikeport.training.loop import predict
from spikeport.training.neurons import Neuron
from spikeport.training.parts import Part
from spikeport.training.probe import activity
from spikeport.training.shipped import load
from spikeport_models.datasets.parts import SEED
from spikeport_models.networks.size import size_of

VOWELS = "JapaneseVowels (Kudo, Toyama and Shimbo 1999; UCI, doi 10.24432/C5NS47), CC BY 4.0; in aeon"
#: Who owns the data, and under what licence.
DATA = {
    "digits": "UCI Optical Recognition of Handwritten Digits (Alpaydin, Kaynak 1998), CC BY 4.0; ships in scikit-learn",
    "fashion-mnist": "Fashion-MNIST (Xiao, Rasul and Vollgraf 2017), MIT licence",
    "japanese-vowels": VOWELS,
    "japanese-vowels-counts": f"{VOWELS}; each coefficient as 0 to 15 events a step",
    "n-mnist": "N-MNIST (Orchard et al. 2015, doi 10.3389/fnins.2015.00437), CC BY-SA 4.0",
}
#: with an official test split
OFFICIAL = ("fashion-mnist", "cifar10", "cifar100", "dvs-gesture", "japanese-vowels", "japanese-vowels-counts")
SAMPLES = 500  #: on which firing rates are measured


@dataclass(frozen=True)
class Words:
    """What nothing measures of a card."""

    trained_on: str = ""
    folds: str = ""  #: the row of the cross-validation
    note: str = ""

    @classmethod
    def of(cls, text: str) -> Words:
        """Those of a card that was written before."""
        rows = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
        trained_on = rows.get("| Trained on", "").removeprefix("| Trained on | ").removesuffix(" |")
        note = re.search(r"^Mean firing rate.*?\n\n(.*?)\n*Versions: ", text, re.MULTILINE | re.DOTALL)
        return cls(trained_on, rows.get("| Cross-validation", ""), note[1] if note else "")


def card(path: Path, words: Words) -> str:
    """The card of a checkpoint as Markdown."""
    module, facts = load(path)
    data = datasets.load(facts["dataset"], "test", timesteps=facts["timesteps"])
    part = Part.of(data.x, data.y, data.coding, data.lengths)
    right = int((predict(module, part).argmax(1) == part.y).sum())
    low, high = wilson(right, len(part))
    size = size_of(module, tuple(facts["input_shape"]))
    lines = [
        f"# {facts['model']}",
        "",
        f"{facts['architecture']['network']} network, {facts['timesteps']} timesteps, trained with {facts['method']}.",
        "",
        "| | |",
        "|---|---|",
        f"| Accuracy | {right / len(part):.2%} on the test part, {right} of {len(part)}, "
        f"95 % interval {low:.2%} to {high:.2%} (Wilson) |",
        f"| Chosen at | epoch {facts['epoch']}, {_chosen(facts)} |",
        *([f"| Begins with | the weights of {start} |"] if (start := facts["recipe"].get("start")) else []),
        f"| Data | {DATA.get(facts['dataset'], facts['dataset'])} |",
        f"| Split | {_splits(facts)} |",
        f"| Seed | {facts['seed']}, of the training |",
        f"| Input | {' x '.join(map(str, facts['input_shape']))}, {facts['coding']} coding |",
        f"| Parameters | {size.parameters:,} ({path.stat().st_size:,} bytes) |",
        f"| Multiply-adds a timestep | {size.macs:,}, padding included |",
        f"| Spiking neurons | {sum(size.neurons.values()):,} |",
        f"| Trained on | {words.trained_on} |",
        "| Licence of the weights | Apache-2.0 |",
    ]
    if words.folds:
        lines.insert(8, words.folds)
    lines += [
        "",
        "## Commands",
        "",
        "```",
        f"spikeport train {facts['model']} --out build/{facts['model']}",
        f"spikeport evaluate {facts['model']} --data {facts['dataset']} --split test",
        "```",
        "",
    ]
    lines += ["## Layers", "", *_layers(module, data, size.neurons)]
    lines += [
        "",
        *([words.note, ""] if words.note else []),
        f"Versions: {_versions(facts)}. Written by `spikeport_models.card`.",
    ]
    return "\n".join(lines) + "\n"


def _splits(facts: Mapping[str, Any]) -> str:
    name = facts["dataset"]
    train, val, test = (
        len(datasets.load(name, split, timesteps=facts["timesteps"])) for split in ("train", "val", "test")
    )
    official = name in OFFICIAL or (name == "n-mnist" and test == 10_000)
    source = "the official test split" if official else "a stratified part of all"
    both = "; trained on both of the first" if facts["recipe"].get("train_on") == "all" else ""
    return (
        f"{train:,} training, {val:,} validation, {test:,} test samples{both}; the test part is {source}; parts are "
        f"stratified with seed {SEED} (`spikeport_models.datasets.parts`)"
    )


def _chosen(facts: Mapping[str, Any]) -> str:
    """Which part said that the epoch is the best."""
    by = facts["recipe"].get("choose", "val")
    if by == "last":
        return "the last"
    part = "**test** part, so that its accuracy is optimistic" if by == "test" else "validation part"
    return f"best on the {part} ({facts['val_accuracy']:.2%})"


def _cross_validation(result: Mapping[str, Any]) -> str:
    each = ", ".join(f"{accuracy:.1%}" for accuracy in result["folds"])
    return (
        f"| Cross-validation | {result['mean']:.2%} mean, {len(result['folds'])} folds, {result['samples']:,} samples "
        f"(standard deviation {result['deviation']:.2%}): {each}; last epoch, nothing chosen on a fold |"
    )


def _layers(module: torch.nn.Module, data: datasets.Dataset, neurons: Mapping[str, int]) -> list[str]:
    few = data.take(SAMPLES)
    x, _ = Part.of(few.x, few.y, few.coding).pick(torch.arange(len(few)))
    rates = activity(module, x)
    lines = ["| layer | neurons | decay | thresholds over time | firing rates over time |", "|---|---|---|---|---|"]
    for name, part in module.named_modules():
        if isinstance(part, Neuron):
            table = part.threshold.detach().reshape(part.timesteps, -1).mean(1).tolist()
            thresholds = " ".join(f"{value:.3f}" for value in table)
            firing = " ".join(f"{value:.1%}" for value in rates[name].rate)
            lines.append(f"| {name} | {neurons[name]:,} | {float(part.decay.detach()):.3f} | {thresholds} | {firing} |")
    mean = statistics.fmean(value for layer in rates.values() for value in layer.rate)
    padded = "" if few.lengths is None else ", steps behind their ends included"
    return [*lines, "", f"Mean firing rate over layers and timesteps: {mean:.1%}, on {len(few)} test samples{padded}."]


def _versions(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in facts["versions"].items())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--trained-on", help="the machine, in words; those of the card that is there")
    parser.add_argument("--folds", type=Path, help="what crossval wrote")
    parser.add_argument("--note", help="a paragraph; that of the card that is there")
    options = parser.parse_args()
    there = options.checkpoint.with_suffix(".md")
    words = Words.of(there.read_text(encoding="utf-8") if there.exists() else "")
    if options.folds is not None:
        words = replace(words, folds=_cross_validation(json.loads(options.folds.read_text(encoding="utf-8"))))
    said = {name: value for name in ("trained_on", "note") if (value := getattr(options, name)) is not None}
    if not said.get("trained_on", words.trained_on):
        parser.error("say --trained-on, the machine in words: no card tells it")
    text = card(options.checkpoint, replace(words, **said))
    write_text(there, text)
    print(text)


if __name__ == "__main__":
    main()
