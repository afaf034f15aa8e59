"""Builds a planned network of sinabs' layers and runs it. Runs in a Python of its own: imports nothing of ours.

    python worker.py FOLDER

FOLDER holds ``plan-*``, each with plan.json, plan.npz and done.npy, which counts finished samples; result.npz is
written beside them. Spikes, resets and the low threshold are `sinabs.layers.IAF`'s. samna, which sinabs asks for, and
pylab, with which it draws, are empty modules here: neither takes part in computing.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

Facts = dict[str, Any]  # a part of plan.json

for absent in ("samna", "pylab"):
    sys.modules[absent] = ModuleType(absent)


def module_of(kind: str, options: Facts, arrays: dict[str, Any]) -> Any:
    """A layer of sinabs, or what sinabs leaves to torch; of values [N, *shape]."""
    if kind == "flatten":
        return nn.Flatten()
    if kind == "pool":
        return pool_of(options)
    if kind == "neurons":
        return neurons_of(options)
    weight, bias = (torch.from_numpy(arrays[key]).double() for key in ("weight", "bias"))
    if kind == "linear":
        return lambda x: nn.functional.linear(x, weight, bias)
    convolve: Any = {3: nn.functional.conv1d, 4: nn.functional.conv2d}[weight.ndim]
    stride, padding, dilation = (tuple(options[key]) for key in ("stride", "padding", "dilation"))
    return lambda x: convolve(x, weight, bias, stride, padding, dilation, options["groups"])


def pool_of(options: Facts) -> Any:
    """Sums over windows; sinabs averages and multiplies, so the whole numbers that they are are rounded."""
    from sinabs.layers import SumPool2d

    sums = SumPool2d(tuple(options["kernel"]), tuple(options["stride"]))

    def pooled(x: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(x, options["padding"]).reshape(*x.shape[:2], *options["map"])
        summed: torch.Tensor = sums(padded).round()
        return summed.squeeze(-1) if x.ndim == 3 else summed

    return pooled


def neurons_of(options: Facts) -> Any:
    """One spike a step at most; the chip fires at its threshold, which is one above what a membrane must pass."""
    from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
    from sinabs.layers import IAF

    reset = MembraneReset() if options["reset"] == "zero" else MembraneSubtract(options["threshold"])
    return IAF(
        spike_threshold=torch.tensor(float(options["threshold"] + 1), dtype=torch.float64),
        spike_fn=SingleSpike,
        reset_fn=reset,
        min_v_mem=float(options["lowest"]),
        record_states=True,
    )


def run(folder: Path) -> None:
    """All samples of one plan, some at a time; each begins from zero."""
    plan = json.loads((folder / "plan.json").read_text())
    with np.load(folder / "plan.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    done = np.load(folder / "done.npy", mmap_mode="r+")
    modules = []
    for i, part in enumerate(plan["parts"]):
        own = {key.split("/")[1]: value for key, value in arrays.items() if key.startswith(f"{i}/")}
        modules.append(None if part["kind"] == "end" else module_of(part["kind"], part["options"], own))
    kept: dict[str, list[Any]] = {}
    begun = time.perf_counter()
    for start in range(0, len(arrays["input"]), plan["at_once"]):
        x = torch.from_numpy(arrays["input"][start : start + plan["at_once"]]).double()
        some(plan, modules, x, kept)
        done[0] = start + len(x)
    results = {key: np.concatenate(values) for key, values in kept.items()}
    results["seconds"] = np.asarray(time.perf_counter() - begun)
    with (folder / "result.part").open("wb") as file:
        np.savez(file, **results)
    (folder / "result.part").rename(folder / "result.npz")


def some(plan: Facts, modules: list[Any], x: torch.Tensor, kept: dict[str, list[Any]]) -> None:
    """Samples [N, T, *input] through the parts, in order."""
    values = {plan["entry"]: x}
    for i, (part, module) in enumerate(zip(plan["parts"], modules, strict=True)):
        entering = sum(values[source] for source in part["sources"][1:]) + values[part["sources"][0]]
        if part["kind"] == "neurons":
            module.reset_states()
            leaving = module(entering).double()
            states = {"spikes": leaving.bool(), "membrane": module.recordings["v_mem"].to(torch.int64)}
        else:
            flat = entering.flatten(0, 1)
            leaving = (flat if module is None else module(flat)).unflatten(0, entering.shape[:2])
            states = {"sums": leaving.to(torch.int64)}
        values[part["name"]] = leaving
        for key in part["kept"]:
            kept.setdefault(f"{i}/{key}", []).append(states[key].numpy())


def main(folder: Path) -> None:
    """Run every plan; leave the traceback of what goes wrong where our side looks for it."""
    try:
        torch.set_num_threads(1)
        with torch.no_grad():
            for plan in sorted(folder.glob("plan-*")):
                run(plan)
    except BaseException:
        (folder / "failure.txt").write_text(traceback.format_exc(), encoding="utf-8")
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
