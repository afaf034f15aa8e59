"""The verb train: a recipe becomes a checkpoint."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from spikeport import datasets
from spikeport.datasets import Dataset
from spikeport.engine.devices import resolve
from spikeport.files import folder as make_folder
from spikeport.files import locked, plain, sha256
from spikeport.findings import Finding, fail
from spikeport.graph import Coding
from spikeport.preprocessing import KEY, Preprocessing, parse
from spikeport.terminal import console
from spikeport.told import Told
from spikeport.training import checkpoint, files, folder, resume
from spikeport.training.augment import check
from spikeport.training.grid import to_grid
from spikeport.training.loop import Epoch, Training, accuracy, fit
from spikeport.training.networks import network_of, try_out
from spikeport.training.parallel import own_device, together, wait_for_all
from spikeport.training.parts import Part, shrunk, there
from spikeport.training.precision import Precision, emulated, fastest
from spikeport.training.recipe import Recipe, facts_of, parse_overrides, read
from spikeport.training.reduce import rank
from spikeport.training.shipped import file_of, find
from spikeport.training.start import begin_with, require_start
from spikeport.verbs.parameters import Help

STARTED = "start_sha256"  #: in a checkpoint's facts: the digest of the file whose weights it began with


@dataclass(frozen=True, repr=False)
class Trained(Told):
    """What a training left behind."""

    module: nn.Module  #: the best epoch's, in evaluation mode
    checkpoint: Path
    metadata: dict[str, Any]
    epochs: list[Epoch]
    seconds: float


def train(
    recipe: Annotated[str | Path, Help("Name of a shipped recipe, or a .toml file.", place=True)],
    method: Annotated[str | None, Help("ds-atgo, mpd-agl, fixed, …")] = None,
    out: Annotated[Path | str, Help("Folder for the results.")] = Path("build/train"),
    overrides: Annotated[
        Mapping[str, Any] | None,
        Help("field=value; replaces a field of the recipe. May be repeated.", ("--set",), None, parse_overrides, True),
    ] = None,
    *,
    go_on: Annotated[bool, Help("Go on where the training in --out stopped.", flags=("--resume",))] = False,
    overwrite: Annotated[bool, Help("Write over the training of another recipe in --out.")] = False,
    keep_every: Annotated[int | None, Help("Keep every N-th epoch, for spikeport probe.", metavar="N", least=1)] = None,
    device: Annotated[str, Help("cpu, cuda (under torchrun each process takes its own GPU), cuda:1, …, auto.")] = "cpu",
    progress: bool | None = None,
) -> Trained:
    """Train what a recipe says: fields, data, network and method are in one TOML file.

    In Python: writes into the folder ``out``: ``recipe.toml`` (every field); after each epoch ``metrics.json`` and
    ``.csv``, ``last.safetensors``, and ``resume.safetensors``, from which ``go_on`` continues bit for bit; after each
    epoch that is the best so far on the validation part, ``best.safetensors``, its weights rounded to the recipe's
    ``weight_bits`` where it names them; after every ``keep_every``-th ``epochs/NUMBER.safetensors``; ``curves.png``
    in the end, also when the training is interrupted. The test part is evaluated once, at the end, and stands in the
    metadata of the best checkpoint. A folder with another recipe's training is refused, unless ``overwrite``; the
    same recipe starts over.

    In Python: ``device``: "cpu", "cuda" or one GPU ("cuda:1"). Under torchrun all processes share the work, "cuda" is
    each one's own GPU, and the first process writes.

    ``precision = "auto"`` in a recipe is bf16 where the device computes with it and float32 elsewhere; everything that
    is written holds the word that was used. A training that goes on keeps its own, and says so where it is another.

    Raises SP311-SP320, and the data set's own errors.

    Examples:

        spikeport train digits-conv --out build/digits

        spikeport train digits-conv --method mpd-agl --set epochs=5 --set architecture.hidden=32 --out build/short

        torchrun --nproc-per-node 2 -m spikeport train digits-conv
    """
    if device == "auto":
        device, notes = resolve(device)
        _say(notes)
    place, here = Path(out), own_device(device)
    fields = {**(overrides or {}), **({"method": method} if method else {})}
    chosen = read(find(recipe), fields, lambda: _precision(place if go_on else None, here))
    if place.exists() and not place.is_dir():
        fail("SP317", "is a file; the results need a folder", where=str(place))
    if not go_on and not overwrite:
        folder.refuse_another(place, chosen)
    if not go_on:
        require_start(chosen)
    shown = console.interactive() if progress is None else progress
    with together(here), locked(place, "SP972") if rank() == 0 else nullcontext():
        return _train(chosen, place, go_on, here, shown and rank() == 0, keep_every)


def _train(recipe: Recipe, place: Path, go_on: bool, device: str, shown: bool, keep_every: int | None) -> Trained:
    start = time.perf_counter()
    _say(emulated(recipe.precision, device))
    torch.manual_seed(recipe.seed)
    data = {
        split: shrunk(datasets.load(recipe.dataset, split, recipe.folder, recipe.timesteps), recipe.shrink)
        for split in ("train", "val", "test")
    }
    how, coding = parse(recipe.normalise, "said by the recipe"), data["train"].coding
    parts = _parts(recipe, data, how)
    check(recipe, data["train"].input_shape)
    module = network_of(recipe, data["train"].input_shape, data["train"].classes).to(device)
    try_out(module, parts["val"].pick(torch.arange(1))[0].to(device), data["train"].classes)
    prepare = _nothing if how is None else _normaliser(how, coding)
    training = Training.begin(module, recipe, len(parts["train"]), prepare)
    if go_on:
        resume.restore(place / files.RESUME, training)
    started = _started(module, recipe, place, go_on)
    before = sum(epoch.seconds for epoch in training.epochs)  # in earlier calls
    wait_for_all()  # every process has looked at what is there, or read it
    if rank() == 0:
        _begin(place, recipe, go_on)
    facts = facts_of(recipe, data["train"].input_shape, coding, data["train"].classes)
    facts |= started | ({} if how is None else {KEY: plain(how)})
    judge = parts["test" if recipe.choose == "test" else "val"]
    with _watching(recipe, shown) as show, _curves(place, training):

        def watch(now: Training) -> None:
            show(now.epochs[-1])
            if rank() == 0:
                _write(place, now, facts, judge, keep_every)

        fit(training, parts["train"], judge, watch)
    _say(training.notes)
    with console.progress("the best epoch on the test part") if shown else nullcontext():
        module, best = _best(training, judge)
        seconds = before + time.perf_counter() - start
        metadata = facts | _at(best) | {"test_accuracy": accuracy(module, parts["test"]), "train_seconds": seconds}
    if rank() == 0:
        checkpoint.save(place / files.BEST, module, metadata)
    return Trained(module, place / files.BEST, metadata, training.epochs, seconds)


def _started(module: nn.Module, recipe: Recipe, place: Path, go_on: bool) -> dict[str, str]:
    """Begin with the weights of ``start``; what checkpoints say of its file. One that goes on says what it said."""
    if recipe.start is None:
        return {}
    if go_on:
        return {name: text for name, text in checkpoint.read(place / files.LAST)[1].items() if name == STARTED}
    _say(begin_with(module, recipe.timesteps, recipe.start, recipe.start_anew))
    return {STARTED: sha256(file_of(recipe.start))}


def _say(notes: Iterable[Finding]) -> None:
    for note in notes:
        console.say(f"{note.code} {note.what}")


def _parts(recipe: Recipe, data: Mapping[str, Dataset], how: Preprocessing | None) -> dict[str, Part]:
    """The splits as tensors: what is trained on as the data set gives it, what judges as it enters the network."""
    parts = {}
    for split, part in data.items():
        x, y, coding, ends = part.x, part.y, part.coding, part.lengths
        if split == "train" and recipe.train_on == "all":
            x = np.concatenate([x, data["val"].x], axis=int(coding == "events"))
            y = np.concatenate([y, data["val"].y])
            ends = _ends(part, data["val"])
        elif split != "train" and how is not None:
            x = how.apply(x, coding, recipe.dataset)
        parts[split] = Part.of(x, y, coding, ends)
    return parts


def _ends(*parts: Dataset) -> NDArray[np.int64] | None:
    """Lengths of the samples of several parts; None where all samples have all steps."""
    if all(part.lengths is None for part in parts):
        return None
    each = [np.full(len(part), len(part.x)) if part.lengths is None else part.lengths for part in parts]
    return np.asarray(np.concatenate(each))


def _nothing(x: torch.Tensor) -> torch.Tensor:
    return x


def _normaliser(how: Preprocessing, coding: Coding) -> Callable[[torch.Tensor], torch.Tensor]:
    """`Preprocessing.apply` of samples wherever they lie, to the bit: a difference, then a quotient."""
    rows: dict[torch.device, list[torch.Tensor]] = {}

    def normalised(x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *(1,) * (x.ndim - (3 if coding == "events" else 2)))
        if x.device not in rows:
            rows[x.device] = [there(torch.tensor(row, dtype=x.dtype), x.device) for row in (how.mean, how.std)]
        mean, std = (row.reshape(shape) for row in rows[x.device])
        return (x - mean) / std

    return normalised


def _precision(begun: Path | None, device: str) -> Precision:
    """What "auto" is: that of the training which goes on in the folder ``begun``, else the fastest here."""
    here = fastest(device)
    before = None if begun is None else folder.precision(begun)
    if before is not None and before != here:
        console.say(f"precision = auto: goes on in {before}, as it began; begun on this machine it would be {here}")
    return before or here


def _begin(place: Path, recipe: Recipe, go_on: bool) -> None:
    """The folder before the first epoch of this call."""
    make_folder(place)
    if go_on:
        folder.write_recipe(place, recipe)
    else:
        folder.begin(place, recipe)


def _write(place: Path, now: Training, facts: dict[str, Any], val: Part, keep_every: int | None) -> None:
    """What one more epoch leaves in the folder; `resume` comes last, so that it never is ahead of the others."""
    folder.write_metrics(place, now.epochs)
    number = now.epochs[-1].epoch
    checkpoint.save(place / files.LAST, now.module, facts | _at(now.epochs[-1]))
    if keep_every and number % keep_every == 0:
        make_folder(place / files.EPOCHS)
        checkpoint.save(place / folder.epoch(number), now.module, facts | _at(now.epochs[-1]))
    if now.best is now.epochs[-1]:
        module, best = _best(now, val)
        checkpoint.save(place / files.BEST, module, facts | _at(best))
    resume.save(place / files.RESUME, now)


def _best(training: Training, val: Part) -> tuple[nn.Module, Epoch]:
    """The network of the best epoch so far, a copy on the CPU with its weights on their grid, and that epoch."""
    assert training.best is not None  # an epoch is over
    # Neurons point at the norm before them from outside the modules' tree; a deep copy keeps that.
    module, best = copy.deepcopy(training.module).cpu(), training.best
    module.load_state_dict(training.best_state)
    module.eval()
    if training.recipe.weight_bits:
        to_grid(module, training.recipe.weight_bits)
        best = replace(best, val_accuracy=accuracy(module, val))
    return module, best


@contextmanager
def _curves(place: Path, training: Training) -> Iterator[None]:
    """Draw the curves in the end, whether all epochs are done or something stopped them."""
    try:
        yield
    finally:
        if rank() == 0 and training.epochs:
            kept = None if training.best is None else training.best.epoch
            folder.draw_curves(place, training.epochs, f"{training.recipe.model}, {training.recipe.method}", kept)


@contextmanager
def _watching(recipe: Recipe, shown: bool) -> Iterator[Callable[[Epoch], None]]:
    """Yields what to call with each epoch: a progress bar for a person, a line an epoch elsewhere."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[now]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console.stderr, disable=not shown) as bar:
        task = bar.add_task(f"train {recipe.model} ({recipe.method})", total=recipe.epochs, now="")

        def show(epoch: Epoch) -> None:
            now = f"loss {epoch.loss:.3f}  train {epoch.train_accuracy:.1%}  val {epoch.val_accuracy:.1%}"
            bar.update(task, completed=epoch.epoch, now=now)
            if not shown and rank() == 0:
                console.say(f"epoch {epoch.epoch}/{recipe.epochs}  {now}  {epoch.seconds:.1f} s")

        yield show


def _at(epoch: Epoch) -> dict[str, Any]:
    return {"epoch": epoch.epoch, "val_accuracy": epoch.val_accuracy}
