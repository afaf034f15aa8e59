"""What nengo-loihi says its blocks take of a core, whole and split. Runs in its Python: imports nothing of ours.

    python nengo_cores_worker.py PLAN FOLDER_OF_THE_TARGETS_WORKER

PLAN is a plan of the target nengo-loihi; prints JSON, an entry a block with a name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from nengo_loihi.builder.split_blocks import split_model


def used(block):
    return {name: int(use[0]) for name, use in block.utilization().items()}


def over(block):
    return [name for name, (use, most) in block.utilization().items() if use > most]


def main(plan_folder, worker_folder):
    sys.path.insert(0, worker_folder)
    import worker

    plan = json.loads((Path(plan_folder) / "plan.json").read_text())
    with np.load(Path(plan_folder) / "plan.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    model, blocks, _ = worker.build(plan, arrays)
    whole = [used(block) for block in blocks]
    parts = split_model(model)
    print(
        json.dumps(
            {
                spec["name"]: {
                    "whole": before,
                    "cores": len(parts[block]),
                    "over": sorted({name for part in parts[block] for name in over(part)}),
                }
                for spec, block, before in zip(plan["blocks"], blocks, whole, strict=True)
                if spec["name"]
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
