"""The folder of a training: the resolved recipe, the metrics, the best and the last checkpoint, the curves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikeport.files import plain, replacing, write_json, write_text
from spikeport.findings import SpikeportError, fail
from spikeport.text import as_label
from spikeport.training import checkpoint
from spikeport.training.files import CURVES, EPOCHS, FILES, LAST, METRICS, RECIPE, TABLE
from spikeport.training.loop import Epoch
from spikeport.training.precision import Precision
from spikeport.training.recipe import Recipe, parse, read


def refuse_another(folder: Path, recipe: Recipe) -> None:
    """Raise SP320 where ``folder`` holds the training of another recipe; the same one gives the same files again."""
    present = [name for name in FILES if (folder / name).exists()]
    if not present:
        return
    try:
        before, now = _plain(_made_with(folder)), _plain(recipe)
        other = [f"{name} {before[name]!r} (now {now[name]!r})" for name in now if before[name] != now[name]]
    except SpikeportError:
        other = [f"{', '.join(present)}, and nothing that says how it was made"]
    if other:
        fail(
            "SP320",
            f"holds another training: {'; '.join(other)}",
            where=str(folder),
            mend="choose another --out, or write over it with --overwrite",
        )


def precision(folder: Path) -> Precision | None:
    """The precision of the training in ``folder``; None where nothing says it."""
    try:
        return _made_with(folder).precision
    except SpikeportError:
        return None


def _made_with(folder: Path) -> Recipe:
    """What the last checkpoint says, for recipe.toml may have been edited since; without one, recipe.toml."""
    if (folder / LAST).exists():
        return parse(checkpoint.read(folder / LAST)[1].get("recipe", {}))
    return read(folder / RECIPE)


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The fields as JSON has them, without the place of the data, which no checkpoint knows."""
    fields: dict[str, Any] = json.loads(recipe.model_dump_json(exclude={"folder"}))
    return fields


def begin(folder: Path, recipe: Recipe) -> None:
    """Remove what an earlier training left in ``folder``, and write the recipe of this one."""
    for path in (*(folder / name for name in FILES), *kept_epochs(folder)):
        path.unlink(missing_ok=True)
    write_recipe(folder, recipe)


def epoch(number: int) -> str:
    """Where the checkpoint of an epoch stands in the folder."""
    return f"{EPOCHS}/{number:04}.safetensors"


def kept_epochs(folder: Path) -> tuple[Path, ...]:
    """The checkpoints of the epochs that the training in ``folder`` kept, in order."""
    kept = [path for path in (folder / EPOCHS).glob("*.safetensors") if path.stem.isdecimal()]
    return tuple(sorted(kept, key=lambda path: int(path.stem)))


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """The resolved recipe, every field written out: ``spikeport train FOLDER/recipe.toml`` repeats the training."""
    fields = {name: value for name, value in recipe.model_dump().items() if value is not None}
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items() if not isinstance(value, dict)]
    for name, table in fields.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{_key(key)} = {_toml(value)}" for key, value in table.items())]
    write_text(folder / RECIPE, "\n".join(lines) + "\n")


def write_metrics(folder: Path, epochs: Sequence[Epoch]) -> None:
    """All epochs so far, as JSON and as CSV."""
    rows = plain(epochs)
    write_json(folder / METRICS, rows)
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(folder / TABLE, text.getvalue())


def draw_curves(folder: Path, epochs: Sequence[Epoch], title: str, kept: int | None = None) -> None:
    """Loss, and accuracy on the training and the validation part, over the epochs, with a mark at the ``kept`` one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    numbers = [epoch.epoch for epoch in epochs]
    left.plot(numbers, [epoch.loss for epoch in epochs])
    left.set(xlabel="epoch", ylabel="loss (mean over batches)")
    right.plot(numbers, [100 * epoch.train_accuracy for epoch in epochs], label="training, as seen")
    right.plot(numbers, [100 * epoch.val_accuracy for epoch in epochs], label="validation")
    right.set(xlabel="epoch", ylabel="accuracy (%)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if kept is not None:
            axes.axvline(kept, color="#c2410c", linestyle="--", linewidth=1, label=f"kept: epoch {kept}")
    right.legend()
    figure.suptitle(as_label(title))
    with replacing(folder / CURVES) as part:
        figure.savefig(part, format="png", dpi=120)


def _toml(value: object) -> str:
    """A value as TOML: the JSON form is the same for text, numbers and truth."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(name)} = {_toml(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")  # the one character that JSON may hold as it is and TOML may not


def _key(name: str) -> str:
    """A name as TOML: as it is where it is of letters, digits, hyphens and underscores."""
    return name if name.isascii() and name.replace("_", "a").replace("-", "a").isalnum() else _toml(name)
