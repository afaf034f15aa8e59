"""What the child process is told to do: groups of neurons on cores, edges, trains to replay or steps to compute."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spikeport.graph import Array
from spikeport_targets.sanafe.edges import Edges


@dataclass(frozen=True)
class Group:
    """The neurons of one layer, or the values of the input."""

    name: str
    soma: str  #: inputs, replays or lif
    cores: Array  #: [neurons], int64
    train: Array | None = None  #: [steps, neurons], uint8: what inputs and replays play back
    attributes: dict[str, object] = field(default_factory=dict)  #: of a lif
    threshold: Array | None = None  #: [steps, neurons], float64: of a lif
    bias: Array | None = None  #: [steps, neurons], float64: of a lif


@dataclass(frozen=True)
class Plan:
    """One run of a chip."""

    architecture: str  #: YAML
    groups: tuple[Group, ...]
    edges: tuple[Edges, ...]
    steps: int

    def write(self, folder: Path) -> None:
        """Write everything for the child: plan.json, arrays.npz, chip.yaml."""
        (folder / "chip.yaml").write_text(self.architecture, encoding="utf-8")
        arrays: dict[str, Array] = {}
        groups = []
        for place, group in enumerate(self.groups):
            groups.append({"name": f"g{place}", "soma": group.soma, "attributes": group.attributes})
            for name in ("cores", "train", "threshold", "bias"):
                if (value := getattr(group, name)) is not None:
                    arrays[f"g{place}/{name}"] = value
        number = {group.name: place for place, group in enumerate(self.groups)}
        edges = []
        for place, each in enumerate(self.edges):
            edges.append({"source": number[each.source], "target": number[each.target], "kind": each.kind})
            arrays[f"e{place}/pairs"], arrays[f"e{place}/weight"] = each.pairs, each.weight
        np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
        plan = {"groups": groups, "edges": edges, "steps": self.steps}
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
