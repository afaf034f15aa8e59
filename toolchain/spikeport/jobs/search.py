"""A search in place of a grid, by Optuna, which is imported when this is first used. Its trials lie in one file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikeport.findings import fail
from spikeport.jobs.axes import Point, holds
from spikeport.jobs.plan import Axis, Plan
from spikeport.jobs.table import Row
from spikeport.jobs.trials import VIOLATIONS, study

TRIALS = "trials.log"  #: Optuna's journal in the folder of a sweep


class Searching:
    """Trials that are asked for, run elsewhere, and told; a search that starts again goes on after those it knows.

    Trials that were running when an earlier process ended are failed at the start, and asked again.
    """

    def __init__(self, plan: Plan, axes: Mapping[str, Axis], largest: Collection[str], place: Path) -> None:
        try:
            import optuna
        except ImportError:
            fail("SP966", "Optuna is not installed", mend="pip install 'spikeport[search]', or leave [search] out")
        if plan.search is None or not plan.goals:
            fail("SP963", "a search needs a goal", where=plan.name, mend='name one: goals = ["accuracy"]')
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna, self.plan, self.axes = optuna, plan, axes
        samplers = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
        bounds = (
            {"constraints_func": lambda trial: trial.user_attrs.get(VIOLATIONS, (0.0,))} if plan.constraints else {}
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # it goes with Optuna 7
            sampler = samplers[plan.search.by](seed=plan.search.seed, **bounds)
        self.study = study(
            optuna,
            place / TRIALS,
            axes,
            study_name=plan.name,
            sampler=sampler,
            directions=["maximize" if goal in largest else "minimize" for goal in plan.goals],
        )
        for trial in self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            self.study.enqueue_trial(trial.params)
        self.asked = {trial.number: _point(trial.params, axes) for trial in self._over()}

    def ask(self) -> int | None:
        """The number of another trial, whose point is in ``asked``; None where there are enough."""
        if self.left() == 0:
            return None
        trial = self.study.ask()
        for name, axis in self.axes.items():
            if holds(axis, _point(trial.params, self.axes)):
                _suggest(trial, name, axis)
        self.asked[trial.number] = _point(trial.params, self.axes)
        return int(trial.number)

    def left(self) -> int:
        """How many trials have not been asked for yet."""
        assert self.plan.search is not None
        running = self.study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.RUNNING,))
        return max(0, self.plan.search.trials - len(self._over()) - len(running))

    def tell(self, number: int, row: Row) -> None:
        """What came of a trial."""
        values = [row.figures.get(goal) for goal in self.plan.goals]
        if row.state != "done" or any(value is None for value in values):
            self.study.tell(number, state=self.optuna.trial.TrialState.FAIL)
            return
        over = [_violation(row, name, sign, most) for name, (sign, most) in self.plan.bounds.items()]
        trial = self.optuna.trial.Trial(self.study, self.study.trials[number]._trial_id)
        trial.set_user_attr(VIOLATIONS, over or [0.0])
        self.study.tell(number, values)

    def _over(self) -> Sequence[Any]:
        """Trials that ended, whose points are known; those that are asked again do not count."""
        state = self.optuna.trial.TrialState
        ended = self.study.get_trials(deepcopy=False, states=(state.COMPLETE, state.FAIL))
        told = [trial for trial in ended if trial.state == state.COMPLETE]
        lost = [trial for trial in ended if trial.state == state.FAIL and VIOLATIONS in trial.user_attrs]
        return [*told, *lost]


def _suggest(trial: Any, name: str, axis: Axis) -> None:
    if axis.values is not None:
        trial.suggest_categorical(name, [json.dumps(value) for value in axis.values])
    elif axis.whole:
        step = {} if axis.scale == "log" else {"step": int(axis.step or 1)}
        trial.suggest_int(name, axis.low, axis.high, log=axis.scale == "log", **step)
    else:
        trial.suggest_float(name, axis.low, axis.high, log=axis.scale == "log", step=axis.step)


def _point(params: Mapping[str, Any], axes: Mapping[str, Axis]) -> Point:
    return {
        name: json.loads(params[name]) if axis.values is not None else params[name]
        for name, axis in axes.items()
        if name in params
    }


def _violation(row: Row, name: str, sign: str, most: float) -> float:
    """How far a figure is beyond its bound; at most 0 within."""
    value = float(row.figures[name])
    return value - most if sign == "<=" else most - value
