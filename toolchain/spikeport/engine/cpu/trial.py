"""Whether a layer adds its events or multiplies all its inputs: tried on its own first ones, where that is in doubt.

For how many events an input both take as long depends on the processor, and on which of its caches holds the weights:
0.35 to 0.4 beside products of bytes on a Zen 4; 0.15 on a Zen 5 for 128 channels and more, 0.25 for 64, less than 0.1
for a single tap; 0.03 where bytes are multiplied on tiles (AMX); 0.8 beside products of float32. Both ways give the
same integers, so that no bit depends on what is found.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import perf_counter
from typing import Any

from torch import Tensor

FEW, MANY = 0.02, 1.0  #: events per input: up to the one they are added, from the other on all is multiplied
WORK = 1 << 26  #: multiply-adds, at most, that both ways are tried with; at least one sample
TRIES = 3
Way = Callable[[Any], Any]  #: of values [T, B, *in], or of whatever two ways serve
_trying = Lock()  # threads that compute meanwhile would be in the way


class Even:
    """Events per input for which adding them takes a layer as long as multiplying all, once that is known."""

    def __init__(self, known: float | None = None) -> None:
        self.known = known

    def few(self, x: Tensor, share: Callable[[Tensor], float], work: int, adding: Way, multiplying: Way) -> bool:
        """Whether ``x`` [T, B, *in] holds so few events that adding them is faster.

        ``share``: of maps [N, *in], events per input. ``work``: multiply-adds of one map.
        """
        found = share(x.flatten(0, 1))
        if not FEW < found < MANY:
            return found <= FEW
        if self.known is None:
            with _trying:
                if self.known is None:
                    some = _first(x, max(1, WORK // (work * len(x))))
                    self.known = share(some.flatten(0, 1)) * ratio(multiplying, adding, some)
        return found <= self.known


def _first(x: Tensor, samples: int) -> Tensor:
    """Some samples, laid out as all of them are: channels last."""
    return x if samples >= x.shape[1] else x[:, :samples].movedim(2, -1).contiguous().movedim(-1, 2)


def ratio(one: Way, other: Way, x: Any) -> float:
    """How many times as long one way takes as the other."""
    least = [float("inf")] * 2
    for _ in range(TRIES):
        for number, way in enumerate((one, other)):
            begun = perf_counter()
            way(x)
            least[number] = min(least[number], perf_counter() - begun)
    return least[0] / least[1]
