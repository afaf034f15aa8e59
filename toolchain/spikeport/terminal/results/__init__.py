"""What a person sees of each verb's result: one small function a verb, found by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.terminal import show


def _whole(result: Any, values: Mapping[str, Any]) -> Any:
    return result


def _done(result: Any) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Shown:
    """How the result of a verb is shown."""

    tell: Callable[[Any, Mapping[str, Any]], None]  #: as text; also gets the values of the parameters
    plain: Callable[[Any, Mapping[str, Any]], Any] | None = _whole  #: what of it --json prints; None: no such option
    status: Callable[[Any], int] = _done  #: exit status
    remarks: bool = False  #: whether the result's findings are said on stderr, in either case
    unit: str = "samples"  #: what the progress bar counts

    def show(self, result: Any, values: Mapping[str, Any], *, as_json: bool) -> int:
        """Print a result; returns the exit status."""
        if self.remarks:
            show.findings(result.findings)
        if as_json and self.plain is not None:
            show.as_json(self.plain(result, values))
        else:
            self.tell(result, values)
        return self.status(result)


def shown(verb: str) -> Shown:
    """How a verb's result is shown."""
    from spikeport.terminal.results import costs, here, models, runs, sweeps

    return (runs.SHOWN | models.SHOWN | costs.SHOWN | here.SHOWN | sweeps.SHOWN)[verb]
