"""Lava-DL's networks, its own files and what SLAYER exports, run by netx on Lava and by spikeport, spike by spike.

    python tests/lava_dl_files.py CLONE PACKAGE --write docs/results/lava-dl-files.md

CLONE is a checkout of Lava-DL's repository, PACKAGE the folder that its wheel (0.6.0) is unpacked in; it says that it
needs Python 3.10, and runs on later ones beside spikeport's shim for Lava. Nothing of them is kept.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import types
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import spikeport
from slayer_networks import beyond, export, slayers
from spikeport.findings import SpikeportError
from spikeport.formats import lava_dl
from spikeport_targets.lava import shim

STEPS = {"oxford": 2000, "pilotnet": 16}  #: of a file's sample, by a word in its path
USUAL = 32
SEEDS = 10
TABLE = ("| network | layers | steps | spikes | compared | differ |", "|---|---|---|---|---|---|")
HEAD = f"""# Lava-DL's networks

`python tests/lava_dl_files.py CLONE PACKAGE --write docs/results/lava-dl-files.md`: the .net files of Lava-DL's
repository, and {SEEDS} random networks of each kind of SLAYER's blocks, exported by SLAYER. netx (lava-dl 0.6.0) runs
them on Lava's fixed-point models (lava-nc 0.10.0), spikeport on its integer engine; every spike of every layer at
every step is compared, and where a last layer sums up and does not fire, its membrane after the last step.

{TABLE[0]}
{TABLE[1]}"""
SLAYER = """## What SLAYER exports

Pools, and channels that are late by delays of their own, netx does not run: the last layer's spikes are those of
SLAYER's own forward, which sends each layer's a step later.
"""
RECORDED = ("conv-0", "conv-1", "conv-2", "conv-3", "conv-4", "fc-0", "fc-1", "fc-2")


@dataclass
class Row:
    """What became of one network."""

    name: str
    layers: int = 0
    steps: int = 0
    spikes: int = 0
    compared: int = 0
    differ: int = 0
    said: str = ""  #: why it is refused

    def line(self) -> str:
        """A row of the table."""
        if self.said:
            return f"| {self.name} | refused | {self.said} | | | |"
        return f"| {self.name} | {self.layers} | {self.steps} | {self.spikes:,} | {self.compared:,} | {self.differ} |"


def netx_of(package: Path):
    """Lava-DL's netx and SLAYER, without what draws boxes, which wants OpenCV."""
    shim.install()
    sys.path.insert(0, str(package))
    sys.modules["lava.lib.dl.slayer.object_detection"] = types.ModuleType("object_detection")
    from lava.lib.dl import netx, slayer

    shim.widen()
    return netx, slayer


def theirs(netx, path, x, driven):
    """Each layer's spikes [T, *shape] in the steps of one sample, and the last membranes [*shape].

    ``x`` [T, *shape] are events, or [*shape] the bias of input neurons. ``reset_interval`` lets the reset follow the
    sample through the layers; a layer sees it as many steps later as there are layers before.
    """
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io

    steps = x.steps
    net = netx.hdf5.Network(net_config=str(path), reset_interval=steps, reset_offset=0 if driven else 1)
    first, depth = 0 if driven else 1, len(net.layers)
    whole = first + depth - 1 + steps
    if driven:
        net.in_layer.neuron.bias_mant.init = x.frames.T.astype(np.int32)
    else:
        frames = np.concatenate([x.frames, np.zeros((depth + 1, *x.frames.shape[1:]))])
        source = io.source.RingBuffer(data=frames.T)
        source.s_out.connect(net.inp)
    sinks = []
    for layer in net.layers:
        sinks.append(io.sink.RingBuffer(shape=layer.out.shape, buffer=whole))
        layer.neuron.s_out.connect(sinks[-1].a_in)
    net.run(condition=RunSteps(num_steps=whole), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    trains = [sink.data.get().T[first + at :][:steps] for at, sink in enumerate(sinks)]
    membranes = net.layers[-1].neuron.v.get().T
    net.stop()
    return [(train != 0).astype(np.int64) for train in trains], membranes


@dataclass
class Sample:
    """One sample: frames [T, *shape], or [*shape] of a bias, and how many steps it runs."""

    frames: np.ndarray
    steps: int


def compared(netx, name, path, sample=None, steps=USUAL, seed=0) -> Row:
    """Both ways of running a file; the sample is random unless it is given."""
    row = Row(name, steps=steps)
    try:
        graph, _ = lava_dl.read(path, steps)
    except SpikeportError as error:
        row.said = f"{error.code}: {error.findings[0].what}"
        return row
    driven, rng = graph.entry.coding == "direct", np.random.default_rng(seed)
    if sample is None and driven:
        sample = rng.integers(int(graph.entry.low), int(graph.entry.high) + 1, graph.entry.shape)
    elif sample is None:
        sample = (rng.random((steps, *graph.entry.shape)) < 0.2).astype(np.int64)
    entered = (sample[None] if driven else sample[:, None]).astype(np.float32)
    record = spikeport.simulate(graph, entered)
    ours = [train.unpack()[:, 0] for train in record.trains.values()]
    trains, membranes = theirs(netx, path, Sample(sample, steps), driven)
    row.layers = len(trains)
    for a, b in zip(ours, trains, strict=False):
        row.spikes, row.compared = row.spikes + int(b.sum()), row.compared + b.size
        row.differ += int((a != b).sum())
    if len(ours) < len(trains):  # the last one is read by its membrane
        row.compared += membranes.size
        row.differ += int((record.outputs[0] != membranes).sum() + trains[-1].sum())
    return row


def oxford(clone: Path):
    """The recorded input of Lava-DL's Oxford network: events of a neuron at a time in ms, [T, 200]."""
    events = np.load(clone / "tutorials/lava/lib/dl/netx/oxford/input.npy")
    x = np.zeros((STEPS["oxford"], 200), np.int64)
    x[events[:, 2].astype(int).clip(max=len(x) - 1), events[:, 0].astype(int)] = 1
    return x


def beside_slayer(name, blocks, x, path) -> Row:
    """The last layer's spikes against those of SLAYER's own forward, which sends each layer's a step later."""
    value, layers = torch.from_numpy(x).float().movedim(0, -1)[None], 0
    with torch.no_grad():
        for each in blocks:
            value, layers = each(value), layers + hasattr(each, "synapse")
    theirs = value[0].movedim(-1, 0).numpy()[layers:]
    graph, _ = lava_dl.read(path, len(x))
    *_, last = spikeport.simulate(graph, x[:, None].astype(np.float32)).trains.values()
    ours = last.unpack()[: len(x) - layers, 0]
    return Row(name, 1, len(x), int(ours.sum()), ours.size, int((ours != theirs).sum()))


def files(clone: Path):
    """The distinct .net files of a checkout that are files of HDF5; others stand for larger ones that lie elsewhere."""
    seen = {}
    for path in sorted(clone.rglob("*.net")):
        data = path.read_bytes()
        if data.startswith(b"\x89HDF"):
            seen.setdefault(data, path)
    return list(seen.values())


def recorded(clone: Path) -> str:
    """PilotNet against the trains that lie beside it in Lava-DL's tests, [X, Y, C, T] from the first step on."""
    folder = clone / "tests/lava/lib/dl/netx/gts/pilotnet_lif"
    graph, _ = lava_dl.read(folder / "network.net", 16)
    image = np.load(folder / "image.npy").T[None].astype(np.float32)
    ours = list(spikeport.simulate(graph, image).trains.values())[1:]
    differ = total = 0
    for delay, (name, train) in enumerate(zip(RECORDED, ours, strict=True), 1):
        known = np.load(folder / f"{name}.npy").T[delay : delay + 16]
        differ, total = differ + int((known != train.unpack()[:, 0]).sum()), total + known.size
    kept = "PilotNet's image and the spikes of its eight layers that Lava-DL's tests keep (`gts/pilotnet_lif`)"
    return f"{kept}: **{differ} of {total:,}** differ."


def page(rows, made, told) -> str:
    """The page of results."""
    said = f"{told} Oxford runs its recorded input; other samples are random: a share of 0.2 of events, or any biases."
    parts = [HEAD, *(row.line() for row in rows), "", said, "", SLAYER, *TABLE, *(row.line() for row in made), ""]
    return "\n".join(parts)


def _added(made: dict[str, Row], row: Row) -> dict[str, Row]:
    """With one network more of its kind."""
    whole = made.get(row.name, Row(row.name))
    numbers = {name: getattr(whole, name) + getattr(row, name) for name in ("layers", "spikes", "compared", "differ")}
    return {**made, row.name: Row(row.name, steps=row.steps, said=whole.said or row.said, **numbers)}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    parser.add_argument("package", type=Path)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    netx, slayer = netx_of(asked.package)
    rows, made = [], {}
    for path in files(asked.clone):
        begun, name = time.perf_counter(), str(path.relative_to(asked.clone)).removeprefix("tutorials/")
        steps = next((steps for word, steps in STEPS.items() if word in name), USUAL)
        sample = oxford(asked.clone) if "oxford" in name else None
        rows.append(compared(netx, f"`{name.replace('lava/lib/dl/', '')}`", path, sample, steps))
        print(rows[-1].line(), f"{time.perf_counter() - begun:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            for name, blocks, x in slayers(slayer, seed):
                path = Path(folder) / f"{name} {seed}.net"  # netx keeps its file open
                export(blocks, x, path)
                row = compared(netx, name, path, x, steps=len(x) if x.ndim == 2 else 20)
                made = _added(made, row)
            for name, blocks, x in beyond(slayer, seed):
                path = Path(folder) / f"{name} {seed}.net"
                export(blocks, x, path)
                made = _added(made, beside_slayer(f"{name} (SLAYER's own run)", blocks, x, path))
    text = page(rows, made.values(), recorded(asked.clone))
    print(text)
    if asked.write:
        asked.write.write_text(text)


if __name__ == "__main__":
    main()
