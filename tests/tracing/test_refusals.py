"""Modules whose time, start or result cannot be told, and checkpoints that leave nothing to calibrate."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from authors_code import random_state, resnet_plan
from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from spikeport.tracing.authors import convert
from spikeport.tracing.authors_facts import Facts
from spikeport.tracing.calibrate import calibrate
from spikeport.training import DsAtgo, networks
from spikeport.training.catalogue import method

STEPS = 4


def small(timesteps=2, train_with=None):
    return networks.build(
        "mlp",
        input_shape=(4,),
        classes=3,
        timesteps=timesteps,
        train_with=train_with or method("fixed"),
        options={"hidden": [5]},
    ).eval()


class Around(nn.Module):
    """A spiking network, and what is done with its result."""

    def __init__(self, after, **attributes):
        super().__init__()
        self.inner, self.after = small(), after
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.after(self.inner(x))


class Two(nn.Module):
    """Two networks that run different numbers of timesteps."""

    def __init__(self):
        super().__init__()
        self.a, self.b = small(2), small(3)

    def forward(self, x):
        return self.a(x) + self.b(x)


class Uncopied(Around):
    """Holds a lock, which cannot be copied."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.lock = threading.Lock()


def same(y):
    return y


REFUSED = {
    "no neuron and no time": ("SP384", nn.Linear(4, 3), {"forward": "sample"}),
    "a sequence of unknown length": ("SP384", nn.Linear(4, 3), {"forward": "sequence"}),
    "two lengths": ("SP384", Two(), {}),
    "two results": ("SP385", Around(lambda y: (y, y)), {}),
    "a result beyond the last": ("SP385", Around(lambda y: (y, y)), {"output": 2}),
    "a result from nowhere": ("SP385", Around(lambda y: torch.zeros(len(y), 3)), {}),
    "a module that cannot be copied": ("SP389", Uncopied(same), {}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_modules_that_cannot_be_captured_are_refused_by_their_code(what):
    code, module, options = REFUSED[what]
    with pytest.raises(SpikeportError) as caught:
        capture(module, (4,), **options)
    assert code in {finding.code for finding in caught.value.findings}


def test_one_of_two_results_can_be_named_and_a_module_can_go_unproven():
    capture(Around(lambda y: (y, y)), (4,), output=1)
    assert "verified" not in capture(Uncopied(same), (4,), verify=False).provenance


def test_biases_of_earlier_revisions_are_noted_layer_by_layer():
    """BN(W x + b) = BN'(W x) with mean' = mean - b; newer files have no such bias."""
    facts = Facts("mpd-agl", "resnet19", 4, input_shape=(3, 16, 16))
    for biases in (False, True):
        findings = convert(random_state("mpd-agl", *resnet_plan(), 1, biases=biases), facts).findings
        notes = [finding for finding in findings if finding.code == "SP395"]
        assert bool(notes) == biases
        assert all(".layer.bias" in finding.what and finding.severity == "note" for finding in notes)


def test_nothing_to_calibrate():
    for module, count in ((small(), 20), (small(train_with=DsAtgo()), 1), (nn.Linear(4, 3), 20)):
        with pytest.raises(SpikeportError) as caught:
            calibrate(module, np.zeros((count, 4), np.float32))
        assert caught.value.code == "SP396"


@torch.library.custom_op("spikeport_tests::halved", mutates_args=())
def halved(x: torch.Tensor) -> torch.Tensor:
    return x / 2


def test_an_operator_of_a_librarys_own_is_called_that():
    class Net(nn.Module):
        def forward(self, x):
            return (halved(x) > 1).to(x.dtype)

    with pytest.raises(SpikeportError, match="operator of a library's own") as caught:
        capture(Net(), (6,), timesteps=2)
    assert "register_neuron" in caught.value.findings[0].mend


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.* is deprecated:DeprecationWarning")  # people hold such files
def test_programs_of_other_compilers_are_brought_as_onnx():
    loop = torch.export.export(nn.Sequential(nn.Linear(4, 3)), (torch.zeros(2, 4),)).module()
    for module in (loop, torch.jit.trace(nn.Linear(4, 3), torch.zeros(2, 4), check_trace=False)):
        with pytest.raises(SpikeportError, match="SP386") as error:
            capture(module, (4,))
        assert "open the .onnx" in error.value.findings[0].mend


class Drawing(nn.Module):
    """Neurons that start from random membranes."""

    def __init__(self, draw):
        super().__init__()
        self.first, self.out, self.draw = nn.Linear(6, 5), nn.Linear(5, 2), draw

    def forward(self, x):
        v = self.draw(len(x), 5)
        total = 0
        for _ in range(STEPS):
            v = 0.9 * v + self.first(x)
            z = (v > 0.5).float()
            v = v * (1 - z)
            total = total + self.out(z)
        return total


@pytest.mark.parametrize("draw", [torch.rand, torch.randn, lambda *size: 0.5 * torch.empty(*size).uniform_() - 1])
def test_a_random_start_is_refused_with_the_line_that_draws_it(draw):
    with pytest.raises(
        SpikeportError, match=r"SP380.*random numbers, test_refusals.py line \d+.*\n.*starts from zeros"
    ):
        capture(Drawing(draw).eval(), (6,), timesteps=STEPS)


class Softmaxes(nn.Module):
    """Decisions added up step by step, or one at the end, which changes none."""

    def __init__(self, each):
        super().__init__()
        self.first, self.out, self.each = nn.Linear(6, 5), nn.Linear(5, 2), each

    def forward(self, x):
        v = torch.zeros(len(x), 5)
        m, total = torch.zeros(len(x), 2), 0
        for _ in range(STEPS):
            v = 0.9 * v + self.first(x)
            z = (v > 0.5).float()
            v = v * (1 - z)
            m = 0.8 * m + self.out(z)
            total = total + (torch.softmax(m, 1) if self.each else m)
        return total if self.each else torch.softmax(total, 1)


def test_a_softmax_of_each_step_is_not_said_to_change_no_decision():
    with pytest.raises(SpikeportError, match="evaluate that again") as caught:
        capture(Softmaxes(True).eval(), (6,), timesteps=STEPS)
    assert "changes no decision" not in str(caught.value)
    assert capture(Softmaxes(False).eval(), (6,), timesteps=STEPS).timesteps == STEPS
