"""``import-checkpoint``: lost tables, bad files, and what the verb says."""

from __future__ import annotations

import json
import os
import pickle

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from typer.testing import CliRunner

from data_files import code
from spikeport import datasets
from spikeport.findings import SpikeportError
from spikeport.terminal.app import build
from spikeport.tracing import capture
from spikeport.training import DsAtgo, networks, shipped
from spikeport.verbs.import_checkpoint import import_checkpoint

# -- a long training: thresholds far from 1 -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_trained():
    """Weight decay shrinks the norms, and the thresholds with them: sum of lr * wd is 1.5, as after long training."""
    torch.manual_seed(0)
    train = datasets.load("digits", "train")
    x, y = torch.as_tensor(train.x), torch.as_tensor(train.y)
    module = networks.build(
        "mlp", input_shape=(1, 8, 8), classes=10, timesteps=4, train_with=DsAtgo(), options={"hidden": [32, 32]}
    )
    steps, rate = 500, 0.1
    optimiser = torch.optim.SGD(module.parameters(), lr=rate, momentum=0.9, weight_decay=0.06)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        index = torch.randint(len(x), (64,))
        optimiser.zero_grad()
        F.cross_entropy(module(x[index]), y[index], label_smoothing=0.1).backward()
        optimiser.step()
        schedule.step()
    return module.eval()


def in_their_layout(module, *, table):
    """What a state_dict of their code would hold."""
    state = {}
    for number in (1, 2):
        layer, synapse, neuron = module.get_submodule(f"dense{number}"), f"fc.{2 * number - 2}", f"fc.{2 * number - 1}"
        state[f"{synapse}.layer.weight"] = layer.synapse.weight.detach()
        norm = layer.norm
        for key in ("weight", "bias", "running_mean", "running_var"):
            state[f"{synapse}.bn.tdBN.{key}"] = getattr(norm, key).detach()
        state[f"{synapse}.bn.tdBN.num_batches_tracked"] = torch.tensor(1000)
        state[f"{neuron}.neuron.w"] = layer.neuron.w.detach()
        if table:
            state[f"{neuron}.neuron.running_threshold"] = layer.neuron.threshold
    state["fc.4.layer.weight"] = module.classify.weight.detach()
    state["fc.4.layer.bias"] = module.classify.bias.detach()
    return state


def accuracy(module):
    test = datasets.load("digits", "test")
    with torch.no_grad():
        return float((module(torch.as_tensor(test.x)).argmax(1).numpy() == test.y).mean())


def test_a_lost_table_is_refused_then_re_estimated(long_trained, tmp_path):
    table = torch.stack([long_trained.dense1.neuron.threshold, long_trained.dense2.neuron.threshold])
    assert float(table[0].max()) < 0.2  # far from 1: luck cannot pass this test
    trained = accuracy(long_trained)
    assert trained > 0.9
    file, out = tmp_path / "best_model.pth", tmp_path / "digits.safetensors"
    torch.save({"net": in_their_layout(long_trained, table=False), "best_acc": 97.0, "best_epoch": 3}, file)
    with pytest.raises(SpikeportError) as caught:
        import_checkpoint(file, "ds-atgo", "mlp", timesteps=4, data="digits", out=out)
    assert caught.value.code == "SP393"
    assert not out.exists()
    imported = import_checkpoint(file, "ds-atgo", "mlp", timesteps=4, calibrate="digits", out=out)
    assert imported.accuracy is not None
    assert imported.accuracy_calibrated is not None
    assert imported.accuracy < 0.5 < trained - 0.02 < imported.accuracy_calibrated  # with 1.0 everywhere it is lost
    assert imported.batches == 50
    thresholds = torch.tensor([imported.thresholds["dense1.neuron"], imported.thresholds["dense2.neuron"]])
    torch.testing.assert_close(thresholds, table, rtol=0.15, atol=0.01)
    again, metadata = shipped.load(out)
    assert accuracy(again) == pytest.approx(imported.accuracy_calibrated)
    assert metadata["imported"]["calibrated"] == "digits"
    assert metadata["imported"]["accuracy_before"] == imported.accuracy
    assert capture(again, (1, 8, 8)).timesteps == 4


def test_a_saved_table_gives_the_trained_network_back(long_trained, tmp_path):
    file = tmp_path / "net.safetensors"
    save_file(
        {f"module.{key}": value.contiguous() for key, value in in_their_layout(long_trained, table=True).items()}, file
    )
    imported = import_checkpoint(file, "ds-atgo", "mlp", timesteps=4, data="digits")
    assert imported.accuracy == accuracy(long_trained)
    test = datasets.load("digits", "test")
    with torch.no_grad():
        torch.testing.assert_close(imported.module(torch.as_tensor(test.x)), long_trained(torch.as_tensor(test.x)))


# -- bad files ------------------------------------------------------------------------------------------------------


class Boom:
    """Would make a folder if a reader ran it."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "cut", "list", "code", "tensors-cut"])
def test_a_file_that_is_none_is_one_error_and_runs_no_code(kind, tmp_path):
    file, written = tmp_path / "net.pth", tmp_path / "made"
    if kind == "empty":
        file.touch()
    elif kind == "text":
        file.write_text("hello")
    elif kind == "list":
        torch.save([1, 2], file)
    elif kind == "code":
        file.write_bytes(pickle.dumps({"net": Boom(str(written))}))
    elif kind == "cut":
        torch.save({"a": torch.zeros(1000)}, file)
        file.write_bytes(file.read_bytes()[:700])
    elif kind == "tensors-cut":
        file = tmp_path / "net.safetensors"
        save_file({"a": torch.zeros(1000)}, file)
        file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(SpikeportError) as caught:
        import_checkpoint(file, "mpd-agl", "resnet19", timesteps=2)
    assert caught.value.code == "SP390"
    assert not written.exists()


def test_the_verb_says_what_it_did(long_trained, tmp_path):
    file, out = tmp_path / "net.pth", tmp_path / "net.safetensors"
    torch.save(in_their_layout(long_trained, table=True), file)
    arguments = ["import-checkpoint", str(file), "--layout", "ds-atgo", "--arch", "mlp", "-T", "4", "--data", "digits"]
    result = CliRunner().invoke(build(), [*arguments, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["accuracy"] == accuracy(long_trained)
    assert told["samples"] == 360
    assert out.exists()


@pytest.mark.parametrize(
    "wrong",
    [{"timesteps": 0}, {"timesteps": True}, {"decay": 1.0}, {"decay": "0.5"}, {"input_shape": (0, 8, 8)}],
    ids=str,
)
def test_numbers_that_no_checkpoint_has_are_refused_before_it_is_read(wrong):
    assert code(import_checkpoint, "no-file.pth", "ds-atgo", "mlp", **{"timesteps": 4, **wrong}) == "SP391"
