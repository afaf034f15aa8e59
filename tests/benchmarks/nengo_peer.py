"""A planned network in nengo-loihi's emulator, as `peers` has a tool, in nengo-loihi's own Python (nengo is GPL-2.0).

python -I nengo_peer.py FOLDER

Nothing of ours is imported but what builds a plan for the witness, `worker.build`, and the clock, `turns.timed`. Only
the emulator's own work is timed: thresholds are the same at all steps and nothing is watched. FOLDER holds the plan;
the folder around it is removed once it is read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from nengo_loihi.emulator import EmulatorInterface

sys.path.insert(0, str(Path(__file__).parents[2] / "targets" / "spikeport_targets" / "nengo_loihi"))
sys.path.insert(0, str(Path(__file__).parent))
from turns import timed
from worker import build


def prepared(folder):
    """The model, built; a function that runs all samples and returns the last layer's spikes over time [B, neurons]."""
    plan = json.loads((folder / "plan.json").read_text())
    with np.load(folder / "plan.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    model, blocks, inputs = build(plan, arrays)
    emulator = EmulatorInterface(model, seed=0)
    cells = emulator.compartment
    last = max((i for i, spec in enumerate(plan["blocks"]) if spec["name"]), key=lambda i: plan["blocks"][i]["start"])
    spec, place = plan["blocks"][last], emulator.block_info.slices[blocks[last]]
    states = cells.input, cells.current, cells.voltage, cells.spiked, cells.ref_count

    def run():
        counts = np.zeros((plan["samples"], spec["size"]), np.int64)
        for frames, count in zip(arrays["input"], counts, strict=True):
            for wait, source in inputs.items():
                source.spikes.clear()
                for t, frame in enumerate(frames):
                    source.add_spikes(t + 1 + wait, np.repeat(np.arange(frame.size), frame))
            for state in states:
                state[:] = 0
            emulator.t = 0
            for step in range(plan["emulated"]):
                emulator.step()
                if 0 <= step - spec["start"] < plan["steps"]:
                    count += cells.spiked[place]
        return counts

    return run, plan["steps"]


def main(folder):
    """As `peers.main`."""
    run, steps = prepared(folder)
    shutil.rmtree(folder.parent)
    output = run()
    told = hashlib.sha256(np.ascontiguousarray(output)).hexdigest()
    print(json.dumps({"output": told, "rate": float(output.mean() / steps)}), flush=True)
    timed(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
