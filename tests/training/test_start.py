"""A training that begins with the weights of a checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeport import datasets
from spikeport.files import sha256
from spikeport.findings import SpikeportError
from spikeport.training import checkpoint
from spikeport.training.networks import network_of
from spikeport.training.recipe import read
from spikeport.training.shipped import file_of, find, load
from spikeport.training.start import begin_with
from spikeport.verbs.train import train

RECIPE, SHAPE = find("digits-conv"), (1, 8, 8)
LAST = "classify"


def fresh(classes=10, **overrides):
    torch.manual_seed(1)
    return network_of(read(RECIPE, overrides), SHAPE, classes)


def refused(*arguments):
    with pytest.raises(SpikeportError) as error:
        begin_with(*arguments)
    return error.value.findings


def test_the_same_network_begins_as_the_checkpoint_ends():
    module, (shipped, _) = fresh(), load("digits-conv")
    assert begin_with(module, 4, "digits-conv", []) == ()
    x = torch.from_numpy(datasets.load("digits", "test").x[:20])
    assert torch.equal(module.eval()(x), shipped(x))


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_what_has_a_number_a_timestep_goes_on_with_the_last(steps):
    module, (shipped, _) = fresh(timesteps=steps), load("digits-conv")
    (note,) = begin_with(module, steps, "digits-conv", [])
    assert note.code == "SP328"
    said = {1: "steps 2 to 4 are left out", 2: "steps 3 to 4 are left out", 7: "steps 5 to 7 are those of step 4"}
    assert note.what == f"thresholds of {said[steps]}"
    before, now = shipped.state_dict(), module.state_dict()
    table = before["conv1.neuron.threshold"].tolist()
    assert len(set(table)) == 4
    assert now["conv1.neuron.threshold"].tolist() == [*table, *table[3:] * 3][:steps]
    assert torch.equal(now["conv1.synapse.weight"], before["conv1.synapse.weight"])
    readout = next(name for name in now if name.startswith("readout"))
    assert now[readout].tolist() == pytest.approx([1 / steps] * steps)  # the mean over its own steps


def test_gains_a_timestep_go_on_with_the_last(tmp_path):
    torch.manual_seed(2)
    short = {"architecture.norm": "tebn", "epochs": 1}
    done = train("digits-conv", out=tmp_path / "short", overrides=short, progress=False)
    module = fresh(**{"architecture.norm": "tebn", "timesteps": 6})
    begin_with(module, 6, str(done.checkpoint), [])
    before, now = done.module.state_dict(), module.state_dict()
    (name,) = (name for name in now if name.startswith("conv1.norm") and now[name].shape[:1] == (6,))
    assert torch.equal(now[name][:4], before[name])
    assert torch.equal(now[name][4:], before[name][[3, 3]])


def test_other_classes_need_their_layer_anew():
    findings = refused(fresh(classes=3), 4, "digits-conv", [])
    assert {finding.code for finding in findings} == {"SP304"}
    assert all(LAST in finding.mend for finding in findings)
    module = fresh(classes=3)
    own = module.state_dict()[f"{LAST}.weight"].clone()
    (note,) = begin_with(module, 4, "digits-conv", [LAST])
    assert LAST in note.what
    assert torch.equal(module.state_dict()[f"{LAST}.weight"], own)
    assert torch.equal(module.state_dict()["conv1.synapse.weight"], load("digits-conv")[0].conv1.synapse.weight)


def test_classes_are_no_timesteps_where_their_numbers_are_the_same(tmp_path):
    four = fresh(classes=4)
    facts = load("digits-conv")[1] | {"classes": 4}
    checkpoint.save(tmp_path / "four.safetensors", four, facts)
    findings = refused(fresh(classes=6, timesteps=6), 6, str(tmp_path / "four.safetensors"), [])
    assert [(finding.code, LAST in finding.what) for finding in findings] == [("SP304", True)]


def test_what_does_not_fit_is_refused_by_name():
    (finding,) = refused(fresh(), 4, "digits-conv", ["clasify"])
    assert (finding.code, LAST in finding.mend) == ("SP312", True)
    wider = {"architecture.channels": [8, 16]}
    assert {finding.code for finding in refused(fresh(**wider), 4, "digits-conv", [])} == {"SP304"}
    assert refused(fresh(), 4, "no-such-model", [])[0].code == "SP300"
    with pytest.raises(SpikeportError) as error:
        read(RECIPE, {"start_anew": [LAST]})
    assert error.value.code == "SP312"


def test_weights_that_another_stage_trains_are_asked_for_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "load", lambda *told: pytest.fail("the data are not needed for that"))
    monkeypatch.chdir(tmp_path)  # where build/fmnist-resnet19/2 is not
    with pytest.raises(SpikeportError, match="weights that are not here yet") as error:
        train("fmnist-resnet19", out=tmp_path / "a", progress=False)
    assert error.value.code == "SP300"
    assert "spikeport run fmnist-resnet19 --data fashion-mnist" in error.value.findings[0].mend
    assert not (tmp_path / "a").exists()


def test_a_training_begins_there_says_so_and_goes_on(tmp_path, monkeypatch):
    begun = {"start": "digits-conv", "epochs": 2, "lr": 1e-6, "warmup": 0.0}
    whole = train("digits-conv", out=tmp_path / "whole", overrides=begun, progress=False)
    test = datasets.load("digits", "test")
    shipped = load("digits-conv")[0](torch.from_numpy(test.x)).argmax(1).numpy()
    same = whole.module(torch.from_numpy(test.x)).argmax(1).numpy() == shipped
    assert same.mean() > 0.98  # a rate at which nothing is forgotten
    assert whole.metadata["start_sha256"] == sha256(file_of("digits-conv"))

    class StoppedError(Exception):
        pass

    save = checkpoint.save

    def stop(path, module, metadata):
        if metadata.get("epoch") == 2:
            raise StoppedError
        save(path, module, metadata)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", stop)
        with pytest.raises(StoppedError):
            train("digits-conv", out=tmp_path / "parts", overrides=begun, progress=False)
    rest = train("digits-conv", out=tmp_path / "parts", overrides=begun, go_on=True, progress=False)
    assert rest.metadata["start_sha256"] == whole.metadata["start_sha256"]
    for name, tensor in whole.module.state_dict().items():
        assert np.array_equal(tensor, rest.module.state_dict()[name]), name
