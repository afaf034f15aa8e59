"""Checkpoints, networks and records that 0.1 wrote (see `write_0_1`) say and do the same for good."""

from __future__ import annotations

import numpy as np
import pytest

import spikeport
from old_files import facts
from spikeport.files import plain

#: Of float32, whose sums differ between machines: some 300 terms of size one, rounded at 6e-8 each, stay below 2e-5.
#: No sample has a membrane so near a threshold that this would change a spike.
SINGLE = 1e-4
DOUBLE = 1e-12  #: of float64, likewise

CHECKPOINTS = sorted(path.stem for path in facts.FILES.glob("checkpoints/*.safetensors"))
NETWORKS = sorted(path.name.removesuffix(".gz") for path in facts.FILES.glob("formats/*") if path.suffix != ".json")


def test_every_method_and_every_format_is_here():
    methods = {facts.read(f"checkpoints/{name}")["metadata"]["method"] for name in CHECKPOINTS}
    assert methods == {"fixed", "mpd-agl", "ds-atgo", "lsg", "psg", "masked"}
    assert len(NETWORKS) == 18


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_the_same_network(name, old):
    then = facts.read(f"checkpoints/{name}")
    model = spikeport.load_model(f"checkpoints/{name}.safetensors")
    assert facts.holds(model.metadata, then["metadata"])
    assert {layer: model.graph[layer].threshold.tolist() for layer in then["thresholds"]} == then["thresholds"]
    facts.assert_same_run(spikeport.simulate(model, "inputs/digits.npy"), then["run"], SINGLE)
    facts.assert_same_run(spikeport.simulate(model, "inputs/digits.npy", "reference"), then["run"], SINGLE)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_answers_as_then(name, old):
    now = spikeport.evaluate(f"checkpoints/{name}.safetensors", "digits")
    assert (now.correct, now.samples) == (facts.read(f"checkpoints/{name}")["correct"], 360)


@pytest.mark.parametrize("file", NETWORKS)
def test_a_network_is_the_same_to_the_bit(file, old):
    then = facts.read(f"formats/{file.rpartition('.')[0]}")
    assert file in then["files"]
    assert facts.holds(facts.of_graph(spikeport.load_model(f"formats/{file}").graph), then["graph"])


@pytest.mark.parametrize("file", NETWORKS)
def test_a_network_fires_the_same_spikes(file, old):
    then = facts.read(f"formats/{file.rpartition('.')[0]}")
    arithmetic = then["graph"]["arithmetic"]
    tolerance = 0 if arithmetic["type"] == "Loihi" else {"float32": SINGLE, "float64": DOUBLE}[arithmetic["dtype"]]
    target = "integer" if arithmetic["type"] == "Loihi" else "reference"
    record = spikeport.simulate(f"formats/{file}", f"inputs/{then['input']}.npy", target)
    facts.assert_same_run(record, then["run"], tolerance)


@pytest.mark.parametrize("name", ["real", "integer"])
def test_a_record_is_read_whole(name, old):
    then, record = facts.read(f"records/{name}"), spikeport.Record.load(f"records/{name}.npz")
    facts.assert_same_run(record, then["run"], 0)
    assert facts.holds(facts.of_events(record), then["events"])
    assert facts.of_membranes(record) == then["membranes"]
    assert record.origin == then["origin"]
    assert plain(record.findings) == then["findings"]


def test_a_run_of_now_equals_the_record_of_then(old):
    now = spikeport.simulate("formats/mixed-bits.nir", "inputs/digits.npy", "integer", membranes=True)
    then = facts.read("records/integer")
    assert facts.holds(facts.of_events(now), then["events"])
    assert facts.of_membranes(now) == then["membranes"]
    compared = spikeport.compare("records/integer.npz", now, membranes=True)
    assert compared.parity.exact


def test_two_records_know_their_networks_and_samples(old):
    compared = spikeport.compare("records/integer.npz", "records/real.npz")
    now, then = compared.parity.as_dict("real"), facts.read("records/compared")
    assert then["spike_mismatches"] > 0
    assert facts.holds(now, then)
    assert compared.causes  # looked for in the networks, on the samples, that the records name


def test_a_record_refuses_samples_that_it_did_not_run(old):
    with pytest.raises(Exception, match="SP815"):
        spikeport.compare("records/integer.npz", "formats/mixed-bits.nir", samples=np.zeros((8, 1, 8, 8), np.float32))
