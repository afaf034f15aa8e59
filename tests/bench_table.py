"""Writes build/bench.json as a table: ``python tests/bench_table.py > docs/results/engine-speed.md``."""

from __future__ import annotations

import json
from pathlib import Path

HEAD = """# The engine's speed

Written by `python tests/bench_table.py` from the figures of `make bench`. Medians of runs that take turns; a ratio
above 1 means that the engine is faster than what it is compared with. "Floor" is the least that the work must take: the
exact products alone, and one pass over the bytes of the neurons; its ratio is the floor's time over the engine's.

| network | against | ratio | engine, s | samples/s |
|---|---|---|---|---|
"""


def main():
    """Print the table of everything that the engine's benchmarks recorded."""
    entries = [e for e in json.loads(Path("build/bench.json").read_text()) if "machine" in e]
    print(HEAD, end="")
    for e in entries:
        speed = f"{e['samples_per_second']:.4g}" if "samples_per_second" in e else ""
        print(f"| {e['name']} | {e['against']} | {e['ratio']:.2f} | {e['seconds']:.4g} | {speed} |")
    print("\nMeasured with:\n")
    for machine in {json.dumps(e["machine"], sort_keys=True) for e in entries}:
        print(f"- `{machine}`")


if __name__ == "__main__":
    main()
