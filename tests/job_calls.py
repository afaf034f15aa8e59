"""Functions that tests run as jobs: in a module, so that other processes find them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from spikeport.findings import fail


def square(place: Path, number: int, ledger: str = "", seconds: float = 0.0) -> dict[str, int]:
    """The square, also in a file; a line in the ledger when it begins and when it ends."""
    _note(ledger, f"begin {number} {os.getpid()}")
    time.sleep(seconds)
    (place / "square.txt").write_text(str(number * number))
    _note(ledger, f"end {number} {os.getpid()}")
    return {"square": number * number}


def half(place: Path, square: Path) -> dict[str, float]:
    """Half of the number in a file of another job."""
    return {"half": int(Path(square).read_text()) / 2}


def refuses(place: Path, how: str) -> dict[str, int]:
    """Fails, with a code or without, or ends its process."""
    (place / "half-written.txt").write_text("no result")
    if how == "code":
        fail("SP102", "planted")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ZeroDivisionError("planted too")


def _note(ledger: str, line: str) -> None:
    if ledger:
        with open(ledger, "a", encoding="utf-8") as file:
            file.write(line + "\n")
