"""Checkpoints keep every number, thresholds first of all, and refuse whatever is not whole."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from spikeport.findings import SpikeportError
from spikeport.training import Neuron, checkpoint, shipped
from spikeport.training.networks import build

FACTS = {
    "model": "tiny",
    "architecture": {"network": "conv", "channels": [4, 6], "hidden": 8},
    "method": "ds-atgo",
    "method_options": {},
    "timesteps": 3,
    "dataset": "digits",
    "input_shape": [1, 8, 8],
    "coding": "direct",
    "classes": 10,
    "seed": 1,
}


@pytest.fixture
def saved(tmp_path):
    """A checkpoint whose thresholds are far from where they start, and its module."""
    torch.manual_seed(3)
    module = build(
        "conv",
        input_shape=(1, 8, 8),
        classes=10,
        timesteps=3,
        train_with="ds-atgo",
        options={"channels": [4, 6], "hidden": 8},
    ).eval()
    for part in module.modules():
        if isinstance(part, Neuron):
            part.threshold.copy_(0.05 * (1 + torch.rand(3)))
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(path, module, FACTS)
    return path, module


def rewritten(path, change, **metadata):
    """The same file after ``change`` of its tensors, and of its facts."""
    tensors, (_, facts) = load_file(path), checkpoint.read(path)
    change(tensors)
    save_file(tensors, path, metadata={"spikeport": json.dumps({**facts, **metadata})})
    return path


def code_of(path):
    with pytest.raises(SpikeportError) as error:
        shipped.load(path)
    assert str(path) in str(error.value)
    return error.value.code


def test_a_module_comes_back_to_the_bit(saved):
    path, module = saved
    again, facts = shipped.load(path)
    assert {k: facts[k] for k in FACTS} == FACTS
    assert not again.training
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(module(x), again(x))
    assert not list(path.parent.glob("*.part"))


def test_without_its_thresholds_it_would_be_another_network_and_is_refused(saved):
    path, module = saved
    x = torch.rand(20, 1, 8, 8)
    before = module(x)
    for part in module.modules():
        if isinstance(part, Neuron):
            part.threshold.fill_(1.0)  # what the published code falls back to
    assert not torch.equal(before, module(x))
    rewritten(path, lambda tensors: [tensors.pop(name) for name in list(tensors) if name.endswith(".threshold")])
    assert code_of(path) == "SP303"


def test_a_table_of_another_length_is_refused(saved):
    path, _ = saved
    assert code_of(rewritten(path, lambda t: t.update({"dense.neuron.threshold": torch.ones(4)}))) == "SP306"


def test_nan_is_refused(saved):
    path, _ = saved
    assert code_of(rewritten(path, lambda t: t["conv1.synapse.weight"].view(-1)[3:4].fill_(torch.nan))) == "SP307"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("conv1.norm.weight"),
        lambda t: t.update(extra=torch.ones(2)),
        lambda t: t.update({"classify.weight": torch.ones(10, 9)}),
    ],
)
def test_tensors_that_do_not_fit_are_refused(saved, change):
    assert code_of(rewritten(saved[0], change)) == "SP304"


def test_every_defect_is_named_at_once(saved):
    path = rewritten(saved[0], lambda t: (t.pop("conv1.norm.weight"), t.update(extra=torch.ones(2))))
    with pytest.raises(SpikeportError) as error:
        shipped.load(path)
    assert len(error.value.findings) == 2


def test_missing_empty_cut_and_foreign_files_are_refused(saved, tmp_path):
    path, _ = saved
    assert code_of(tmp_path / "nowhere.safetensors") == "SP300"
    whole = path.read_bytes()
    for cut, code in ((0, "SP301"), (5, "SP302"), (200, "SP302"), (len(whole) - 1, "SP302")):
        path.write_bytes(whole[:cut])
        assert code_of(path) == code
    path.write_bytes(b"\x89PNG\r\n" + bytes(2000))
    assert code_of(path) == "SP302"
    torch.save({"weight": torch.ones(2)}, path)  # a pickle is not even opened
    assert code_of(path) == "SP302"
    save_file({"weight": torch.ones(2)}, path)
    assert code_of(path) == "SP305"
    save_file({"weight": torch.ones(2)}, path, metadata={"spikeport": json.dumps({**FACTS, "version": 99})})
    assert code_of(path) == "SP305"
    assert code_of(tmp_path) == "SP300"


def test_a_model_that_is_not_shipped_is_named_with_those_that_are():
    with pytest.raises(SpikeportError, match="SP300"):
        shipped.load("no-such-model")
