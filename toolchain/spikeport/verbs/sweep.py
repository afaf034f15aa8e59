"""``spikeport sweep``: a plan's points, each trained, quantised, judged and priced, and which of them are worth it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from spikeport import jobs
from spikeport.files import folder, plain
from spikeport.findings import Finding, fail
from spikeport.jobs import axes, table
from spikeport.jobs import plan as plans
from spikeport.jobs.axes import Point
from spikeport.jobs.job import Facts
from spikeport.jobs.plan import Plan
from spikeport.jobs.store import Store
from spikeport.jobs.sweep import Sweep, noted
from spikeport.jobs.table import Row
from spikeport.mapping import chip
from spikeport.nearest import choose
from spikeport.reporting import sweep as page
from spikeport.target import silent
from spikeport.terminal import console
from spikeport.told import Told
from spikeport.tracing.digests import digest
from spikeport.training.recipe import Recipe, read
from spikeport.training.shipped import find
from spikeport.verbs import stages
from spikeport.verbs.load import load_model
from spikeport.verbs.parameters import Help, On, Progress

#: what verbs tell as jobs (`stages.TELLS`), as it is read again
FIGURES: TypeAdapter[dict[str, Any]] = TypeAdapter(
    dict[str, bool | Annotated[int | float, Field(ge=-1e30, le=1e30, allow_inf_nan=False)] | None],
    config=ConfigDict(strict=True),
)
READING = ("data", "dt", "nir", "timesteps", "frames")  #: options that say how a network is read
Content = Mapping[str, Any]
FITS = ("fits", (">=", 1.0))  #: the bound that ``fit = "loihi1, 8 chips"`` stands for


@dataclass(frozen=True, repr=False)
class Swept(Told):
    """What came of a sweep."""

    name: str
    rows: tuple[Row, ...]  #: a point each
    best: tuple[Row, ...]  #: seeds together: within the bounds, and beaten by no other within them; best first
    front: tuple[Row, ...]  #: the same without the bounds
    goals: tuple[str, ...]
    place: Path
    findings: tuple[Finding, ...] = ()  #: what failed

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        facts = {name: plain(getattr(self, name)) for name in ("name", "goals", "place", "findings", "best", "front")}
        return {**facts, "rows": plain(self.rows)}


def sweep(
    plan: Annotated[Path | str | Mapping[str, Any] | Plan, Help("A .toml file.", metavar="PLAN", place=True)],
    out: Annotated[Path | str | None, Help("Folder for results, else build/sweep/NAME.")] = None,
    *,
    on: On = "here",
    fresh: Annotated[bool, Help("Run again what is there.")] = False,
    progress: Progress = silent,
) -> Swept:
    """Run every point of a plan, or search among them, and say which are worth it.

    What is there is not run again: a sweep that was stopped goes on with the same command. A point that fails is told
    with its code, and the others go on. The folder gets `table.csv`, `table.json`, `table.parquet` (with pyarrow) and
    `report.html`, which `spikeport report` also writes at any time.

    In Python: ``plan`` may be a mapping with the same words.

    Raises SP960 ... SP966 for a plan that cannot be run, before anything runs.

    Examples:

        spikeport sweep plan.toml --on processes:2

        spikeport sweep plan.toml --out build/digits --on ray
    """
    known = opened(plan, out)
    findings: list[Finding] = []

    def failed(done: jobs.Done) -> None:
        findings.extend(done.findings)
        for finding in done.findings:
            if finding.code != "SP953":
                console.say(f"{finding.code} {done.job.name}: {finding.what}")

    try:
        return written(known, known.run(on, fresh, progress, failed), findings)
    except KeyboardInterrupt:
        if known.begun:
            console.say(f"stopped: the same command goes on; spikeport report {known.place} shows what is there")
        raise


def opened(plan: Path | str | Mapping[str, Any] | Plan, out: Path | str | None = None) -> Sweep:
    """A plan that can be run, and the folder that is its own."""
    if isinstance(plan, Plan):
        known = plan
    else:
        known = plans.parse(plan, stages.ORDER) if isinstance(plan, Mapping) else plans.read(plan, stages.ORDER)
    _complete(known)
    here = axes.check(known, stages.known, [*stages.figures(known.verbs), "fits"])
    place = folder(out or Path("build/sweep") / known.name)
    return Sweep(known, here, place, chain, tell, stages.LARGEST)


def reported(place: Path) -> Path:
    """The page of a sweep, by what is there now; returns its path."""
    known = noted(place)
    plan, failures = known.plan, {key: [each.model_dump() for each in some] for key, some in known.failures.items()}
    _complete(plan)
    here = axes.check(plan, stages.known, [*stages.figures(plan.verbs), "fits"])
    if plan.model is not None and not isinstance(stages.model_of(plan.model), jobs.File):
        what = f"is of {plan.model!r}, which is no file that is there, and a page is written without running code"
        mend = "run the plan again, which runs no point twice: spikeport sweep PLAN --out FOLDER"
        fail("SP967", what, where=str(place), mend=mend)
    again = Sweep(plan, here, place, chain, tell, stages.LARGEST, known.points, failures)
    return written(again, again.rows(cache(partial(_figures, Store(place))))).place / "report.html"


def _figures(store: Store, key: str) -> Facts | None:
    """The facts of a result; None where there is none, or where they are no figures."""
    try:
        return FIGURES.validate_python(store.facts(key))
    except ValidationError:
        return None


def written(known: Sweep, rows: list[Row], findings: list[Finding] | None = None) -> Swept:
    """The tables and the page of a sweep, in its folder."""
    goals, bounds = known.plan.goals, _bounds(known.plan)
    together = table.over_seeds(rows)
    within = [row for row in together if row.meets(bounds)]
    best = table.front(within, goals, known.largest)
    front = table.front(together, goals, known.largest)
    table.write(table.flat(rows, bounds, {row.number for row in front}), known.place)
    swept = Swept(
        known.plan.name, tuple(rows), tuple(best), tuple(front), tuple(goals), known.place, tuple(findings or ())
    )
    page.write(known.plan, bounds, rows, together, best, front, known.largest, known.place)
    return swept


def chain(known: Plan, point: Point) -> dict[str, jobs.Job]:
    """The jobs of a point, by what they are; each reads what those before it wrote."""
    made: dict[str, jobs.Job] = {}
    real: Any = None if known.model is None else stages.model_of(known.model)
    recipe = _recipe(known, point) if "train" in known.verbs else None
    if recipe is not None:
        made["train"] = stages.training(recipe, str(_options(known, point, "train").get("device", "cpu")))
        real = jobs.Output(made["train"], stages.CHECKPOINT)
    steps, code = (recipe.timesteps, None) if recipe is not None else _read(known, point)
    model = real
    for name in (each for each in stages.ORDER[1:] if each in known.verbs):
        options = _options(known, point, name)
        if recipe is not None and not {"data", "samples"} & set(options) and stages.known(name, "data") is None:
            options["data"] = recipe.dataset
        made[name] = stages.verb(name, model, options, real if name == "compare" else None, steps, code)
        if name == "quantize":
            model = jobs.Output(made[name], stages.INTEGERS)
        if name == "evaluate" and model is not real:
            there = {option: value for option, value in options.items() if option != "target"}
            made["evaluate real"] = stages.verb(name, real, there, None, steps, code)
    if known.chip is not None:
        made["fits"] = stages.verb("fit", model, {"chip": known.chip[0]}, None, steps, code)
    return made


def tell(known: Plan, facts: Mapping[str, Facts]) -> dict[str, Any]:
    """The figures of a point, from the facts of its jobs."""
    figures: dict[str, Any] = {}
    for name, each in facts.items():
        if name not in ("evaluate real", "fits"):
            figures |= each
    if "evaluate real" in facts:
        figures["real_accuracy"] = facts["evaluate real"].get("accuracy")
        if (after := figures.get("accuracy")) is not None and (before := figures["real_accuracy"]) is not None:
            figures["drop"] = round(100 * (before - after), 9)  # points
    if known.chip is not None and {"fits", "chips"} <= set(facts.get("fits", ())):
        chips = facts["fits"]["chips"]
        figures["fits"] = bool(facts["fits"]["fits"]) and isinstance(chips, int) and chips <= known.chip[1]
    return {name: value for name, value in figures.items() if name in (*stages.figures(known.verbs), "fits")}


def _bounds(known: Plan) -> dict[str, tuple[str, float]]:
    return known.bounds | (dict([FITS]) if known.chip is not None else {})


def _options(known: Plan, point: Point, verb: str) -> dict[str, Any]:
    """What stays and what the point says, by option."""
    varied = {name.partition(".")[2]: value for name, value in point.items() if name.partition(".")[0] == verb}
    return {**known.verbs[verb], **varied}


def _recipe(known: Plan, point: Point) -> Recipe:
    """The recipe of a point. Raises what `training.recipe.read` raises."""
    options = _options(known, point, "train")
    fields = {name: value for name, value in options.items() if name not in ("recipe", "device")}
    return read(find(options["recipe"]), fields)


def _read(known: Plan, point: Point) -> tuple[int, Content]:
    """How many steps a plan's network runs, and what it computes, read as the first of its verbs reads it."""
    first = next((name for name in stages.ORDER if name in known.verbs), "fit")
    options = {name: value for name, value in _options(known, point, first).items() if name in READING}
    return _network(str(known.model), json.dumps(options, sort_keys=True))


@cache
def _network(model: str, options: str) -> tuple[int, Content]:
    graph = load_model(model, **json.loads(options)).graph
    return graph.timesteps, {"nodes": {name: digest(graph.nodes[name]) for name in graph.order}, "edges": graph.edges}


def _complete(known: Plan) -> None:
    """Raises SP961 for verbs that there are not, and for what one lacks, SP721 for a chip that there is not."""
    trains = "train" in known.verbs
    if trains == (known.model is not None):
        what = "trains a network and names one" if trains else "neither trains a network nor names one"
        fail("SP961", f"the plan {what}", where=known.name, mend='model = "…", or a table [train] with its recipe')
    if known.chip is not None:
        chip.find(known.chip[0])
    for verb, options in known.verbs.items():
        if verb not in stages.ORDER:
            fail("SP961", f"a plan cannot run {verb!r}", where=known.name, mend=choose(verb, stages.ORDER))
        varied = {name.partition(".")[2] for name in known.axes if name.partition(".")[0] == verb}
        given = {*options, *varied} | ({"data", "samples"} if trains or {"data", "samples"} & set(options) else set())
        lacks = [name for name in stages.needed(verb) if name not in given]
        if lacks:
            fail("SP961", f"{verb} lacks {', '.join(lacks)}", where=known.name, mend=f"[{verb}] {lacks[0]} = …")
