"""Random graphs of every kind go through NIR and come back to the bit."""

from __future__ import annotations

import nir as peer
import numpy as np
from hypothesis import given, settings

from spikeport.formats import nir
from strategies import graphs


@settings(max_examples=100)
@given(graph=graphs(odd_bits=True, outputs=True))
def test_every_graph_comes_back_to_the_bit(graph, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "random.nir"
    nir.write(graph, path)
    again, findings = nir.read(path)
    assert again == graph
    assert (list(again.nodes), again.edges, findings) == (list(graph.nodes), graph.edges, ())
    assert dict(again.provenance) == dict(graph.provenance)


@settings(max_examples=40)
@given(graph=graphs())
def test_every_graph_is_a_nir_graph_whose_shapes_nir_accepts(graph, tmp_path_factory):
    """Recurrent graphs too; a kernel whose sizes differ by an odd number needs type_check=False, and write says so."""
    path = tmp_path_factory.getbasetemp() / "random.nir"
    findings = nir.write(graph, path)
    network = peer.read(path, type_check=not findings)
    assert len(network.inputs) == len(network.outputs) == 1
    (end,) = network.outputs.values()
    np.testing.assert_array_equal(end.output_type["output"], graph.shapes[graph.output])
    peer.write(path, network)
    assert nir.read(path)[0] == graph
