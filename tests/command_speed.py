"""How long commands with little to do take, from the first letter to the last, beside `import torch` alone.

python tests/command_speed.py --write docs/results/commands.md
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench_record import processor
from spikeport import datasets
from spikeport.files import write_text

ROUNDS = 7
MODEL, DATA = "digits-conv", "digits"
TORCH = (sys.executable, "-c", "import torch")
COMMANDS = {
    "export m.nir --out m.onnx": "no torch",
    f"export {MODEL} --out e.nir": "torch, to rebuild the module",
    "check m.int.nir --target integer": "no torch",
    "simulate m.nir --data one.npy --out a": "one sample; torch, no compiled loops",
    "simulate m.int.nir --data one.npy --out b": "one sample in integers; torch, no compiled loops",
    "simulate m.int.nir --data all.npy --out c": "360 samples; torch, no compiled loops",
    f"evaluate m.int.nir --data {DATA}": "360 samples; torch, no compiled loops",
}
HEAD = f"""# How long a command takes

Written by `python tests/command_speed.py --write docs/results/commands.md`. Seconds from the start of a process to its
end, Python's own included; `m.nir` is the shipped `{MODEL}` and `m.int.nir` its integers. The median of {ROUNDS} rounds
in which the commands take turns, the least in brackets; files that Python compiles are there from a round before.

{{where}}

| | seconds | by `import torch` alone | needs |
|---|---|---|---|
"""
FIRST = """
The same with nothing that was compiled before, as on a new machine: {}.
"""


def timed(line: list[str] | tuple[str, ...], place: Path, **given: str) -> float:
    """Seconds of a process that ends well."""
    begun = time.perf_counter()
    subprocess.run(line, cwd=place, env=os.environ | given, check=True, capture_output=True)
    return time.perf_counter() - begun


def lay_down(place: Path) -> None:
    """The files that the commands read."""
    for words in (f"export {MODEL} --out m.nir", f"quantize {MODEL} --data {DATA} --out m.int.nir"):
        timed(spikeport(words), place)
    x = datasets.load(DATA, "test").x
    np.save(place / "one.npy", x[:1])
    np.save(place / "all.npy", x)


def spikeport(words: str) -> list[str]:
    """A command as it is given to the system."""
    return [sys.executable, "-m", "spikeport", *words.split()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    order = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        lay_down(place)
        lines = {"import torch": TORCH} | {words: spikeport(words) for words in COMMANDS}
        took: dict[str, list[float]] = {words: [] for words in lines}
        for turn in range(ROUNDS + 1):
            for words, line in lines.items():
                seconds = timed(line, place)
                took[words] += [seconds] if turn else []
        anew = [timed(spikeport(w), place, NUMBA_CACHE_DIR=str(place / w[-1])) for w in COMMANDS if "simulate" in w]
        shutil.rmtree(place / "a")
    floor = statistics.median(took["import torch"])
    rows = [
        f"| `{words}` | {statistics.median(times):.2f} ({min(times):.2f}) | {statistics.median(times) / floor:.2f} | "
        f"{COMMANDS.get(words, '')} |"
        for words, times in took.items()
    ]
    first = FIRST.format(", ".join(f"{seconds:.2f} s" for seconds in anew) + " for the three of `simulate`")
    print(*rows, first, sep="\n")
    if order.write:
        where = (
            f"{processor()}, {os.cpu_count()} processors, Python {sys.version.split()[0]}, torch {torch.__version__}."
        )
        write_text(order.write, HEAD.format(where=where) + "\n".join(rows) + "\n" + first)


if __name__ == "__main__":
    main()
