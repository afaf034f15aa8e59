"""Cross-validation of a recipe: ``python -m spikeport_models.crossval nmnist-conv --weight-bits 8``.

Every fold trains from scratch with the recipe as it stands, and its last epoch counts: nothing is chosen on the fold.
With ``--weight-bits`` each network is quantised too, calibrated on samples of its own training part.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spikeport import datasets
from spikeport.engine import simulate
from spikeport.files import write_json
from spikeport.findings import fail
from spikeport.graph import Samples
from spikeport.quantisation import quantize
from spikeport.tracing import capture
from spikeport.training import checkpoint
from spikeport.training.grid import to_grid
from spikeport.training.loop import Training, accuracy, fit
from spikeport.training.networks import network_of
from spikeport.training.parts import Part
from spikeport.training.recipe import Recipe, facts_of, parse_overrides, read
from spikeport.training.shipped import find, load
from spikeport_models.datasets.parts import SEED

Indices = NDArray[np.intp]
CALIBRATION = 512  #: samples of a fold's training part, spread evenly


def everything(name: str, folder: str | None = None) -> datasets.Dataset:
    """All samples of a data set's three splits as one, in the order train, val, test."""
    parts = [datasets.load(name, split, folder) for split in ("train", "val", "test")]
    first = parts[0]
    if any(part.lengths is not None for part in parts):
        fail("SP246", "cross-validation takes samples of one length", where=name, mend="japanese-vowels has such")
    x = np.concatenate([part.x for part in parts], axis=Samples(first.x, first.coding).axis)
    return datasets.Dataset(x, np.concatenate([part.y for part in parts]), first.coding, first.classes, first.name)


def folds(labels: NDArray[np.int64], count: int) -> list[tuple[Indices, Indices]]:
    """Training and held-out indices of stratified folds, the same on every machine."""
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(count, shuffle=True, random_state=SEED).split(labels, labels))


def cross_validate(
    recipe: Recipe, count: int = 5, save: Path | None = None, weight_bits: int = 0, again: bool = False
) -> dict[str, Any]:
    """Accuracy of each fold, between 0 and 1, their mean and standard deviation.

    With ``weight_bits``, ``integers`` holds for each fold the accuracy of the quantised network, the real one's in the
    same engine, and the share of held-out samples with the same answer.

    With ``save``, the folder gets ``fold1.safetensors`` and so on; fold k holds out ``folds(labels, count)[k - 1][1]``.
    With ``again`` the networks in that folder are taken as they are, and nothing is trained.
    """
    data = everything(recipe.dataset, recipe.folder)
    whole = Part.of(data.x, data.y, data.coding)
    accuracies: list[float] = []
    integers: list[dict[str, float]] = []
    for number, (inside, outside) in enumerate(folds(data.y, count)):
        train, held_out = (Part(*whole.pick(torch.from_numpy(index)), data.coding) for index in (inside, outside))
        path = None if save is None else save / f"fold{number + 1}.safetensors"
        module = load(path)[0] if again and path is not None else _trained(recipe, data, train, held_out, number)
        accuracies.append(accuracy(module, held_out))
        if path is not None and not again:
            path.parent.mkdir(parents=True, exist_ok=True)
            facts = facts_of(recipe, data.input_shape, data.coding, data.classes)
            told = {"epoch": recipe.epochs, "fold": number + 1, "folds": count, "held_out_accuracy": accuracies[-1]}
            checkpoint.save(path, module, {**facts, **told})
        if weight_bits:
            integers.append(_quantised(module.eval(), recipe, data, inside, outside, weight_bits))
        also = f", integers {integers[-1]['integer']:.2%}" if weight_bits else ""
        print(f"fold {number + 1}/{count}: {accuracies[-1]:.2%} of {len(held_out)}{also}", flush=True)
    return {
        "recipe": recipe.model_dump(exclude={"folder"}),
        "samples": len(data),
        "folds": accuracies,
        "mean": statistics.fmean(accuracies),
        "deviation": statistics.stdev(accuracies),
        **({"weight_bits": weight_bits, "integers": integers} if weight_bits else {}),
    }


def _trained(recipe: Recipe, data: datasets.Dataset, train: Part, held_out: Part, number: int) -> nn.Module:
    """The network of one fold, after the last epoch."""
    torch.manual_seed(recipe.seed + number)
    module = network_of(recipe, data.input_shape, data.classes)
    fit(Training.begin(module, recipe, len(train)), train, held_out)
    if recipe.weight_bits:
        to_grid(module, recipe.weight_bits)
    return module


def _quantised(
    module: nn.Module, recipe: Recipe, data: datasets.Dataset, inside: Indices, outside: Indices, bits: int
) -> dict[str, float]:
    """The held-out samples through the real graph and through its integers."""
    samples = Samples(data.x, data.coding)
    graph = capture(module, data.input_shape, verify=False)
    few = inside[np.linspace(0, len(inside) - 1, min(CALIBRATION, len(inside))).astype(int)]
    quantised = quantize(graph, samples.take(few).array, weight_bits=bits, run=simulate)
    held_out, labels = samples.take(outside).array, data.y[outside]
    real, whole = simulate(graph, held_out), simulate(quantised.graph, held_out)
    same = real.outputs.argmax(1) == whole.outputs.argmax(1)
    return {"real": real.accuracy(labels), "integer": whole.accuracy(labels), "argmax_agreement": float(same.mean())}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--again", action="store_true", help="take the networks in the folder --save, train nothing")
    parser.add_argument("--weight-bits", type=int, default=0, help="quantise each fold's network to so many bits")
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    parser.add_argument("--save", type=Path, help="folder for the network of each fold")
    options = parser.parse_args()
    recipe = read(find(options.recipe), parse_overrides(options.set))
    result = cross_validate(recipe, options.folds, options.save, options.weight_bits, options.again)
    print(f"mean {result['mean']:.2%}, standard deviation {result['deviation']:.2%}")
    if options.weight_bits:
        drop = statistics.fmean(fold["real"] - fold["integer"] for fold in result["integers"])
        print(f"{options.weight_bits} bits: mean drop {100 * drop:.2f} points")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.out, result)


if __name__ == "__main__":
    main()
