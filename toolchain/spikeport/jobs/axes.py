"""The points of a plan: every way to choose a value on each axis, counted before any is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import lcm, prod
from typing import Any

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.jobs.plan import Axis, Plan
from spikeport.nearest import choose

Point = dict[str, Any]  #: by axis, ``verb.option``; an axis whose condition does not hold is missing
SEED = "train.seed"


def axes_of(plan: Plan) -> dict[str, Axis]:
    """The axes, those that others depend on first, and the seeds at the end."""
    axes: dict[str, Axis] = {}
    left = dict(plan.axes)
    while left:
        ready = [name for name, axis in left.items() if not set(axis.when) & set(left)]
        if not ready:
            fail("SP962", f"the conditions of {', '.join(left)} depend on each other", mend="break the circle")
        axes |= {name: left.pop(name) for name in ready}
    seeds = list(range(plan.seeds)) if isinstance(plan.seeds, int) else plan.seeds
    if SEED not in axes and "train" in plan.verbs and seeds != [0]:
        axes[SEED] = Axis(values=list(seeds))
    return axes


def holds(axis: Axis, point: Mapping[str, Any]) -> bool:
    """Whether the condition of an axis holds."""
    return all(
        point.get(name) in (wanted if isinstance(wanted, list) else [wanted]) for name, wanted in axis.when.items()
    )


def count(axes: Mapping[str, Axis]) -> int:
    """How many points there are."""
    asked = {name for axis in axes.values() for name in axis.when}
    names = list(axes)

    def below(i: int, point: Point) -> int:
        if i == len(names):
            return 1
        name, axis = names[i], axes[names[i]]
        if not holds(axis, point):
            return below(i + 1, point)
        values = axis.grid()
        if name not in asked:
            return len(values) * below(i + 1, point)
        return sum(below(i + 1, {**point, name: value}) for value in values)

    return below(0, {})


def points(axes: Mapping[str, Axis]) -> Iterator[Point]:
    """All points, the last axis the fastest."""
    names = list(axes)

    def below(i: int, point: Point) -> Iterator[Point]:
        if i == len(names):
            yield point
            return
        name, axis = names[i], axes[names[i]]
        if not holds(axis, point):
            yield from below(i + 1, point)
            return
        for value in axis.grid():
            yield from below(i + 1, {**point, name: value})

    return below(0, {})


def evenly(some: Iterable[Point]) -> list[Point]:
    """The same points in an order of which every beginning has gone through all values of each axis about alike.

    Points with other axes, where conditions hold or not, come by turns, as many of each as there are.
    """
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in some:
        groups.setdefault(tuple(point), []).append(point)
    places = []
    for number, group in enumerate(groups.values()):
        values = {name: list(dict.fromkeys(repr(point[name]) for point in group)) for name in group[0]}
        group.sort(key=lambda point, values=values: _turn(point, values))  # type: ignore[misc]
        places += [((turn + 0.5) / len(group), number, turn, point) for turn, point in enumerate(group)]
    return [point for *_, point in sorted(places, key=lambda place: place[:3])]


def _turn(point: Point, values: Mapping[str, list[str]]) -> int:
    """When a point's turn is, if at turn t all axes go on at once: axis by axis to the value t modulo its length n.

    With m combinations of the axes before, t and t + lcm(m, n) would be one point: from there on it is a value further.
    """
    turn, before = 0, 1
    for name, each in values.items():
        place, n = each.index(repr(point[name])), len(each)
        turns = (turn + before * again for again in range(n))
        turn = next(t for t in turns if (t + t // lcm(before, n)) % n == place)
        before *= n
    return turn


def check(plan: Plan, knows: Callable[[str, str], Iterable[str] | None], metrics: Iterable[str]) -> dict[str, Axis]:
    """The axes of a plan that can be run; nothing has run yet.

    ``knows(verb, option)``: None where a verb has such an option, else the options that it has. ``metrics`` are what
    the plan's verbs give. Raises SP961 for unknown options and for one that is told twice, SP962 for empty ranges,
    conditions on no axis and circles, SP963 for goals and constraints that no verb gives, SP964 for bounds that are
    none, SP965 for more jobs than ``most``; each with all that is wrong.
    """
    axes, known, _ = axes_of(plan), [*metrics], plan.chip
    _bounded(axes, plan)
    said = [(f"{verb}.{name}", "the plan's tables") for verb, table in plan.verbs.items() for name in table]
    problems = [*_unknown([*said, *((name, "axes") for name in axes)], plan, knows)]
    problems += [
        Finding("SP961", f"{name} stays and varies", "axes", mend="say it in the table or as an axis, not in both")
        for name, _ in said
        if name in plan.axes
    ]
    problems += [Finding("SP962", f"{name} goes through nothing", "axes") for name, a in axes.items() if not a.grid()]
    problems += [
        Finding("SP962", f"{name} depends on {other}, which is no axis", "axes", mend=choose(other, axes))
        for name, axis in axes.items()
        for other in axis.when
        if other not in axes
    ]
    wanted = [(name, "goals") for name in plan.goals] + [(name, "constraints") for name in plan.bounds]
    problems += [
        Finding("SP963", f"no verb of the plan gives {name!r}", where, mend=choose(name, known))
        for name, where in wanted
        if name not in known
    ]
    if problems:
        raise SpikeportError(problems)
    number = plan.search.trials if plan.search else count(axes)
    jobs = number * len(plan.verbs)
    if jobs > plan.most:
        what = f"{number:,} points of {len(plan.verbs)} verbs are {jobs:,} jobs, and it may have {plan.most:,}"
        fail("SP965", what, where=plan.name, mend="leave values out, search instead, or set most = …")
    return axes


def _bounded(axes: Mapping[str, Axis], plan: Plan) -> None:
    """Raises SP965 for an axis, or axes that conditions depend on, with more values than there may be jobs."""
    asked = {name for axis in axes.values() for name in axis.when}
    combined = prod(max(1.0, axis.size()) for name, axis in axes.items() if name in asked)
    for what, size in [*((name, axis.size()) for name, axis in axes.items()), ("the axes of conditions", combined)]:
        if size > plan.most:
            text = f"{what} have" if what not in axes else f"{what} goes through"
            text += f" {size:,.0f} values, and the plan may have {plan.most:,} jobs"
            fail("SP965", text, where=plan.name, mend="leave values out, search instead, or set most = …")


def _unknown(
    names: Iterable[tuple[str, str]], plan: Plan, knows: Callable[[str, str], Iterable[str] | None]
) -> Iterator[Finding]:
    for name, where in names:
        verb, _, option = name.partition(".")
        if verb not in plan.verbs:
            mend = choose(verb, plan.verbs) if plan.verbs else "add a table of the verb"
            yield Finding("SP961", f"{name}: the plan does not run {verb!r}", where, mend=mend)
        elif (options := knows(verb, option)) is not None:
            yield Finding("SP961", f"{verb} has no option {option!r}", where, mend=choose(option, options))
