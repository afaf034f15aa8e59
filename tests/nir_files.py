"""Published NIR files, one row each: read and right, or refused and why. No file is kept here.

    python tests/nir_files.py CLONES --write docs/results/nir-files.md

CLONES holds clones of the repositories below, with their history; every distinct .nir file that ever was in one is
tried. A file that is read is right where each of its neurons fires as `nir_by_hand.py` steps NIR's own equations:
float64, Euler's rule, no code of spikeport. Exit status 1 for a crash or a spike that differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import nir as peer
import numpy as np

import nir_by_hand
from spikeport.engine import simulate
from spikeport.files import write_text
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF
from spikeport.target import Request

REPOSITORIES = (
    "neuromorphs/NIR",
    "neuromorphs/NIRTorch",
    "norse/norse",
    "synsense/sinabs",
    "kmheckel/spyx",
    "synsense/rockpool",
)
SAMPLES = 2


def published(clones):
    """Repository, path and bytes of each distinct .nir file in any commit."""
    known = set()
    for repository in REPOSITORIES:
        place = next((path.parent for path in (clones / repository.replace("/", "+")).rglob("HEAD")), None)
        if place is None:
            raise SystemExit(f"no clone of {repository} in {clones}: git clone --mirror it there, / written +")
        git = ["git", "-C", str(place)]
        log = [*git, "log", "--all", "-m", "--raw", "--no-abbrev", "--no-renames", "--format=", "--", "*.nir"]
        for line in subprocess.run(log, capture_output=True, text=True, check=True).stdout.splitlines():
            facts, _, path = line.partition("\t")
            blob = facts.split()[3]
            if blob in known or not blob.strip("0"):
                continue
            known.add(blob)
            data = subprocess.run([*git, "cat-file", "blob", blob], capture_output=True, check=True).stdout
            yield repository, path, blob, data


@dataclass
class ByHand:
    """A file's nodes and edges as nir_by_hand takes them, without subgraphs: in the order of the file."""

    dt: float
    nodes: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)

    def open(self, group, prefix=""):
        """Put a graph under a prefix; edges to a subgraph lead to its ends, also where its tool opened it."""
        names = set(group["nodes"])
        for name, node in group["nodes"].items():
            if _text(node["type"]) == "NIRGraph":
                self.open(node, f"{prefix}{name}.")
            else:
                fields = {key: node[key][()] for key in node if key not in ("metadata", "type")}
                self.nodes[prefix + name] = _node(_text(node["type"]), fields, self.dt)
        for a, b in group["edges"].asstr()[()]:
            self.edges.append((self._end(names, prefix, a, ".output"), self._end(names, prefix, b, ".input")))

    def _end(self, names, prefix, name, end):
        return prefix + name if name in names and prefix + name in self.nodes else prefix + name + end

    def order(self):
        """Nodes so that each follows its sources; in a loop the spikes of a neuron are those of the step before."""
        order, left = [], list(self.nodes)
        while left:
            waits = {n: [a for a, b in self.edges if b == n and a in left] for n in left}
            free = [n for n in left if not waits[n]]
            late = [n for n in left if n in self._behind(n) and all(self._spikes(a) for a in waits[n])]
            chosen = (free or late)[0]
            order.append(chosen)
            left.remove(chosen)
        return order

    def _spikes(self, name):
        return hasattr(self.nodes[name], "v_threshold")

    def _behind(self, name):
        """Every node that a value reaches that leaves this one."""
        reached, waiting = set(), [name]
        while waiting:
            source = waiting.pop()
            new = {b for a, b in self.edges if a == source} - reached
            reached |= new
            waiting += new
        return reached


def _text(value):
    return value.asstr()[()]


def _node(kind, fields, dt):
    """A node for nir_by_hand: parameters without the axis of 1 in front that a batch left; an absent v_reset is 0."""
    values = dict(fields)
    if kind in ("LIF", "IF", "CubaLIF", "LI"):
        values = {name: value[0] if np.ndim(value) > 1 and len(value) == 1 else value for name, value in values.items()}
        values = {"v_reset": 0.0, "w_in": 1.0, **values}
    if kind == "IF" and np.abs(values["r"]).max() * dt < 0.01:  # the choice SP216: such an r counts a step
        values["r"] = values["r"] / dt
    node = object.__new__(getattr(peer, kind))
    node.__dict__.update(values)
    return node


@dataclass(frozen=True)
class Trial:
    """A run of a file: how it is read, and what enters."""

    steps: int
    dt: float  #: seconds; 1 where a file has its time constants in steps
    size: float  #: of the input, which is normal

    def run(self, path):
        """The graph in float64, its frames and its record; None where no step of that length can be."""
        try:
            graph, _ = nir.read(path, self.dt, timesteps=self.steps)
        except SpikeportError:
            return None
        frames = np.random.default_rng(0).normal(size=(self.steps, SAMPLES, *graph.entry.shape)) * self.size
        return graph, frames, simulate(graph, frames, Request(trains=True))


#: the first in which every layer fires counts, else the one with most layers that do
TRIALS = (Trial(40, 1e-4, 1), Trial(40, 1e-4, 1000), Trial(400, 1e-4, 1), Trial(40, 1.0, 1), Trial(40, 1.0, 20))


def compared(path):
    """How many spike bits a file has in a run, how many fired, and how many are others by hand."""
    best = most = None
    for trial in TRIALS:
        done = trial.run(path)
        fired = -1 if done is None else sum(counts.any() for counts in done[2].spike_counts.values())
        if most is None or fired > most:
            best, most, chosen = done, fired, trial
        if done is not None and fired == len(done[2].spike_counts):
            break
    graph, frames, record = best
    hand = ByHand(chosen.dt)
    with h5py.File(path) as file:
        hand.open(file["node"])
    heads = {b for _, b in hand.edges}
    inner = [name for name, node in hand.nodes.items() if isinstance(node, peer.Input) and name in heads]
    hand.nodes |= {name: _node("Output", {}, chosen.dt) for name in inner}
    by_hand = nir_by_hand.run(hand, frames, chosen.dt, hand.order())
    bits = different = fired = 0
    for name in graph.nodes_of(LIF):
        train = record.trains[name].unpack()
        bits, fired = bits + train.size, fired + int(train.sum())
        different += int((train != by_hand[name].astype(bool).reshape(train.shape)).sum())
    return bits, fired, different


def widened(path):
    """Make every float of a file a float64, so that no difference can be one of rounding."""
    with h5py.File(path, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            if file[name].dtype.kind == "f":
                value = np.asarray(file[name][()], np.float64)
                del file[name]
                file[name] = value


def ending(data, place):
    """How a file ended, ``right``, ``wrong``, ``refused`` or ``crash``, and words."""
    place.write_bytes(data)
    try:
        _, findings = nir.read(place)
        widened(place)
        bits, fired, different = compared(place)
    except SpikeportError as error:
        finding = error.findings[0]
        return "refused", f"{finding.code}, {finding.where.partition(', ')[2]} {finding.what}"
    except Exception as error:
        return "crash", f"{type(error).__name__}: {error}"
    if different:
        return "wrong", f"{different} of {bits:,} spike bits differ"
    codes = sorted({finding.code for finding in findings} - {"SP216"})
    return "right", f"{bits:,} spike bits equal, {fired:,} fired{''.join(f', {code}' for code in codes)}"


def kinds(path):
    """The types of a file's nodes, subgraphs too."""
    try:
        with h5py.File(path) as file:
            types = []
            file.visititems(lambda name, item: types.append(_text(item)) if name.endswith("/type") else None)
    except OSError:
        return ""
    return ", ".join(f"{kind} {count}" if count > 1 else kind for kind, count in sorted(Counter(types).items()))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("clones", type=Path)
    options.add_argument("--write", type=Path)
    order = options.parse_args()
    rows, ends = [], Counter()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "file.nir"
        for repository, path, blob, data in published(order.clones):
            end, words = ending(data, place)
            ends[end] += 1
            rows.append(f"| {repository} | {Path(path).name} | `{blob[:8]}` | {kinds(place)} | {end} | {words} |")
            print(rows[-1], flush=True)
    total = ", ".join(f"{ends[end]} {end}" for end in ("right", "refused", "wrong", "crash"))
    print(total)
    if order.write:
        write_text(order.write, PAGE.format(total=total, number=len(rows), rows="\n".join(rows)))
    sys.exit(bool(ends["crash"] + ends["wrong"]))


PAGE = """# Published NIR files

`python tests/nir_files.py CLONES --write docs/results/nir-files.md`: every distinct .nir file in the history of the
public repositories of NIR, NIRTorch, Norse, Sinabs, Spyx and Rockpool, {number} files: {total}.

Right: each neuron fires in each step as NIR's own equations say, stepped by Euler's rule by code that knows nothing of
spikeport (`tests/nir_by_hand.py`), both in float64, in a run in which every layer fires if one of some inputs makes it.
What the reader had to choose it says (SP216 in every file); other findings stand in the row. Refused are edges to nodes
that are not there, shapes that contradict each other, a membrane that grows (spyx_shd) and what is no NIR file.

| repository | file | blob | nodes | | |
|---|---|---|---|---|---|
{rows}
"""


if __name__ == "__main__":
    main()
