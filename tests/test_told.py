"""What verbs return shows itself in a few words, by one mechanism."""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from importlib import import_module
from typing import get_type_hints

import numpy as np
import pytest

from spikeport.graph import LIF, Flatten, Graph, Input, Linear
from spikeport.told import Told
from spikeport.verbs import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_result_object_of_a_verb_is_told(verb):
    kind = get_type_hints(getattr(import_module(f"spikeport.verbs.{verb}"), verb))["return"]
    if is_dataclass(kind):
        assert kind.__repr__ is Told.__repr__
        assert kind._repr_html_


def test_a_graph_is_told_by_its_ends_and_kinds():
    nodes = {"in": Input((2, 8)), "flat": Flatten(), "fc": Linear(np.zeros((999, 16), np.float32))}
    graph = Graph.chain(nodes | {"more": Linear(np.zeros((3, 999), np.float32))}, 4)
    told = "input=[2, 8] direct, nodes=1 Flatten, 2 Linear, output=[3], timesteps=4, arithmetic=Real(dtype='float32')"
    assert repr(graph) == f"Graph({told})"
    assert "<td>1 Flatten, 2 Linear</td>" in graph._repr_html_()


@dataclass(frozen=True, repr=False)
class Large(Told):
    name: str
    values: np.ndarray
    table: dict[str, list[int]]
    text: str
    none: None = None


def test_a_large_result_is_told_by_its_sizes():
    large = Large("<a>", np.zeros((9, 8)), {str(i): [i] * 999 for i in range(99)}, "x" * 9999)
    assert repr(large).startswith("Large(name='<a>', values=<float64 [9, 8]>, table=<99 entries>, text='xxx")
    assert len(repr(large)) < 200
    assert "&lt;a&gt;" in large._repr_html_()
    assert len(repr(Large("a", np.zeros(1), {"one": [1] * 9999}, ""))) < 200


def test_a_node_is_told_by_the_shapes_of_its_arrays():
    assert repr(Linear(np.zeros((9, 8), np.float32))) == "Linear(weight=<float32 [9, 8]>, exponent=0)"
    neurons = LIF((3,), np.float32(0.1), np.ones(4, np.float32))
    assert repr(neurons).startswith("LIF(shape=(3,), decay=0.1, threshold=<float32 [4]>")
