"""Optuna's journal in the folder of a search: whether its trials are this search's, before it goes on after them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spikeport.findings import SpikeportError, fail
from spikeport.jobs.plan import Axis
from spikeport.reading import json_value, line

VIOLATIONS = "violations"  #: how far a trial is beyond each bound, by its name in the journal
FIXED = "fixed_params"  #: Optuna's: the point of a trial that is asked again


def study(optuna: Any, path: Path, axes: Mapping[str, Axis], **options: Any) -> Any:
    """The study in a journal, begun where there is none. Raises SP968 for what goals and axes did not write."""
    _without_half_a_line(path)
    try:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        known = optuna.create_study(storage=storage, load_if_exists=True, **options)
        reason = next(_strange(optuna, known, axes, options["directions"]), "")
    except SpikeportError:
        raise
    except Exception as error:  # Optuna raises what it comes to: KeyError, AssertionError, TypeError, …
        reason = f"Optuna cannot read it: {line(error)}"
    if reason:
        fail("SP968", reason, where=str(path), mend="name another folder, or take this file away to begin again")
    return known


def _without_half_a_line(path: Path) -> None:
    """Cut off what was being written when a process ended: the next line would be written behind it."""
    if not path.is_file():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    for number, each in enumerate(data[:whole].splitlines(), 1):
        try:
            fits = isinstance(json_value(each), dict)
        except ValueError:  # UnicodeDecodeError and JSONDecodeError too
            fits = False
        if not fits:
            fail("SP968", f"line {number} is none of Optuna's", where=str(path), mend="take it away to begin again")


def distribution(optuna: Any, axis: Axis) -> Any:
    """What Optuna draws an axis's values from."""
    if axis.values is not None:
        return optuna.distributions.CategoricalDistribution([json.dumps(value) for value in axis.values])
    if axis.whole:
        step = {} if axis.scale == "log" else {"step": int(axis.step or 1)}
        return optuna.distributions.IntDistribution(axis.low, axis.high, log=axis.scale == "log", **step)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.scale == "log", step=axis.step)


def _strange(optuna: Any, known: Any, axes: Mapping[str, Axis], directions: list[str]) -> Iterator[str]:
    """What of a study is not this search's."""
    if [each.name.lower() for each in known.directions] != directions:
        yield "its trials are of other goals"
    drawn = {name: distribution(optuna, axis) for name, axis in axes.items()}
    for trial in known.get_trials(deepcopy=False):
        if any(drawn.get(name) != each for name, each in trial.distributions.items()):
            yield f"trial {trial.number} is of other axes"
        if not all(_on(axes[name], value) for name, value in trial.params.items()):
            yield f"trial {trial.number} has a value that is not on its axis"
        if trial.values is not None and not _numbers(trial.values, len(directions)):
            yield f"trial {trial.number} has values that are no figures"
        if not _numbers(trial.user_attrs.get(VIOLATIONS, [])) or not _attributes(trial.system_attrs, axes):
            yield f"trial {trial.number} has attributes that no search writes"


def _on(axis: Axis, value: Any) -> bool:
    """Whether an axis has a value."""
    if axis.values is not None:
        return value in [json.dumps(each) for each in axis.values]
    assert axis.low is not None
    assert axis.high is not None
    return type(value) in (int, float) and axis.low <= value <= axis.high


def _numbers(values: Any, count: int | None = None) -> bool:
    """Whether values are finite numbers, so many."""
    if not isinstance(values, list | tuple) or (count is not None and len(values) != count):
        return False
    return all(type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value) for value in values)


def _attributes(said: Mapping[str, Any], axes: Mapping[str, Axis]) -> bool:
    """Whether a trial's attributes are as Optuna's samplers write them."""
    fixed = said.get(FIXED, {})
    if not isinstance(fixed, dict) or not all(name in axes and _on(axes[name], fixed[name]) for name in fixed):
        return False
    return all(_numbers(value if isinstance(value, list) else [value]) for name, value in said.items() if name != FIXED)
