"""What a GPU takes for the engine and for training: checks, then a table as it comes, in JSON. At most four minutes.

    python tests/gpu/measure.py                  on a machine with a card; writes build/gpu.json
    python tests/gpu/measure.py --only steps     one of `PARTS`; may be repeated
    python tests/gpu/measure.py --try            small, in Triton's interpreter on the CPU: does the script run?

Kernels are compiled first, by as many processes as there are cores. Every spike is held against the CPU's plain
definition before anything is timed; what differs is not timed. A row that fails says why, and the others go on. Times
are medians, transfers to and from the card included, after calls that compile, tune and take down. Eager PyTorch takes
part, and SpikingJelly where it is installed. `kit.py` packs all that a machine without network needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

PARTS = ("kernels", "checks", "engine", "steps", "cell", "epoch", "comparison")
LIMIT = 215.0  #: seconds after which nothing new is begun; four minutes are not to be passed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", default=[], choices=PARTS)
    parser.add_argument("--try", dest="small", action="store_true", help="small, in Triton's interpreter on the CPU")
    parser.add_argument("--out", type=Path, default=Path("build/gpu.json"))
    order = parser.parse_args()
    if order.small:  # before anything loads a kernel
        os.environ |= {"TRITON_INTERPRET": "1", "SPIKEPORT_KERNELS": "triton"}
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    import torch

    if not order.small and not torch.cuda.is_available():
        print("torch can use no GPU here; --try runs the script on the CPU")
        return 2
    import trainings
    import works
    from table import Table

    table = Table(order.out, "cpu" if order.small else "cuda", 10_000.0 if order.small else LIMIT)
    for name in order.only or PARTS:
        work = getattr(works if hasattr(works, name) else trainings, name)
        table.tried(name, partial(work, table, order.small))
    table.add("all of it", took=table.seconds)
    print("\n" + table.markdown() + "\n\n" + table.path.read_text(encoding="utf-8"))
    return int(table.failed)


if __name__ == "__main__":
    sys.exit(main())
