"""``spikeport evaluate``: the accuracy of a model on a data set, with its interval."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikeport.comparison.intervals import wilson
from spikeport.files import folder
from spikeport.findings import Finding
from spikeport.graph import Graph
from spikeport.target import Progress as Callback
from spikeport.target import Request, silent
from spikeport.verbs.execute import execute, execute_in_parts
from spikeport.verbs.load import Model, load_data, load_model


@dataclass(frozen=True)
class Evaluation:
    """What ``spikeport evaluate --json`` prints."""

    model: str
    target: str
    dataset: str
    split: str
    samples: int
    correct: int
    accuracy: float  #: share, 0 ... 1
    interval: tuple[float, float]  #: Wilson's 95 % interval of the accuracy
    seconds: float  #: wall-clock time of the run alone
    findings: tuple[Finding, ...] = ()  #: what was done to the samples, and what the target had to say

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def evaluate(
    model: Model | Graph | Path | str,
    data: str,
    split: str = "test",
    target: str | None = None,
    limit: int | None = None,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    batch: int | None = None,
    memory: int | None = None,
    seconds: float | None = None,
    progress: Callback = silent,
) -> Evaluation:
    """Run ``model`` on a split of a data set, or its first ``limit`` samples.

    With ``out`` the finished parts of the run are kept in that folder, and ``resume`` goes on after them.
    ``batch`` samples run at once, or as many as take ``memory`` bytes.
    """
    loaded = load_model(model)
    samples = load_data(data, split, loaded.graph, limit)
    request = Request(batch=batch, memory=memory, seconds=seconds, progress=progress)
    if out is None:
        record = execute(loaded, target, samples.x, request)
    else:
        record = execute_in_parts(loaded, target, samples.x, request, folder(out), resume)
    correct = round(record.accuracy(samples.y) * samples.samples)
    return Evaluation(
        model=loaded.name,
        target=target or loaded.target,
        dataset=data,
        split=split,
        samples=samples.samples,
        correct=correct,
        accuracy=correct / samples.samples,
        interval=wilson(correct, samples.samples),
        seconds=record.seconds,
        findings=(*samples.findings, *record.findings),
    )
