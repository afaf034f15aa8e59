"""What a module does last to its scores is left out, where it changes no decision, and told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from exported import export
from spikeport import capture
from spikeport.findings import SpikeportError
from spikeport.verbs.load import load_model

T = 4


class Net(nn.Module):
    """Scores that ``last`` is done to."""

    def __init__(self, last=lambda scores: scores):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.out, self.last = nn.Linear(6, 9), nn.Linear(9, 5), last

    def forward(self, x):
        v, scores = torch.zeros(x.shape[0], 9), 0.0
        for _ in range(T):
            v = 0.75 * v + self.fc(x)
            z = (v > 0.5).float()
            v = v * (1 - z)
            scores = scores + self.out(z)
        return self.last(scores)


LAST = {
    "softmax": nn.Softmax(1),
    "log_softmax": lambda scores: nn.functional.log_softmax(scores, dim=-1),
    "sigmoid": torch.sigmoid,
    "argmax": lambda scores: scores.argmax(1),
    "softmax, then argmax": lambda scores: scores.softmax(-1).argmax(-1),
    "max": lambda scores: scores.max(1).indices,
}


@pytest.mark.parametrize("name", LAST)
def test_the_graph_has_the_scores_that_enter_it(name):
    module = Net(LAST[name])
    graph = capture(module, (6,))
    assert graph == capture(Net(), (6,))
    assert any(f"last, {name}, was left out" in note for note in graph.provenance["notes"])
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    scores = torch.from_numpy(spikeport.simulate(graph, x.numpy()).outputs)
    assert len(scores.argmax(1).unique()) > 1
    torch.testing.assert_close(module.last(scores), module(x), check_dtype=False)


def test_the_module_itself_runs_without_it():
    """Beside other targets its result is that of the graph."""
    model = spikeport.load_model((Net(LAST["softmax"]), (6,)))
    assert [finding.code for finding in model.findings].count("SP242") >= 1
    x = np.random.default_rng(2).standard_normal((20, 6)).astype(np.float32)
    theirs, ours = (spikeport.simulate(model, x, target=name).outputs for name in ("pytorch", "reference"))
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


def turned(scores):
    """The least probable class becomes the first: written into the result."""
    return scores.softmax(1).mul_(-1)


def turned_unseen(scores):
    """Written past torch's counter of versions."""
    probabilities = scores.softmax(1)
    probabilities.data = -probabilities.data
    return probabilities


def turned_before(scores):
    """Written into what entered, behind it."""
    probabilities = scores.softmax(1)
    scores.mul_(-1)
    return probabilities


@pytest.mark.parametrize("behind", [lambda p: p.detach(), lambda p: p.cpu(), lambda p: p.contiguous()])
def test_what_only_hands_it_on_is_left_out_too(behind):
    graph = capture(Net(lambda scores: behind(scores.softmax(1))), (6,))
    assert graph.provenance["left_out"] == {"0": ["softmax"]}


@pytest.mark.parametrize(
    "last",
    [
        nn.Softmax(0),  # over samples
        lambda scores: scores.argmax(),
        lambda scores: scores.unsqueeze(2).softmax(2),  # 1 whatever it is
        lambda scores: scores[:, :4].unflatten(1, (2, 2)).softmax(2),  # of pairs, each by itself
        lambda scores: 2 * scores.softmax(1),
        lambda scores: scores.softmax(1) + scores,
        lambda scores: torch.sigmoid(scores) * scores,
        lambda scores: scores.softmax(1).view(-1),
        lambda scores: scores.max(1).values,
        turned,
        turned_before,
        turned_unseen,
    ],
)
def test_what_decides_otherwise_is_refused(last):
    with pytest.raises(SpikeportError) as caught:
        capture(Net(last), (6,))
    assert caught.value.code == "SP380"


def test_one_output_is_no_decision_between_classes():
    class One(Net):
        def forward(self, x):
            return torch.sigmoid(super().forward(x)[:, :1])

    class Squeezed(One):
        def forward(self, x):
            return super().forward(x).squeeze(1)

    net = One()
    assert capture(Squeezed(), (6,)) == capture(net, (6,)).with_(provenance=capture(Squeezed(), (6,)).provenance)
    note = capture(net, (6,)).provenance["notes"][-1]
    assert "it is above 0.5 where that is above 0" in note
    with pytest.raises(SpikeportError, match="the network has one") as caught:
        spikeport.evaluate((net, (6,)), (np.zeros((3, 6), np.float32), np.array([0, 1, 1])))
    assert caught.value.code == "SP247"


def test_steps_that_are_decided_one_by_one_are_refused():
    """The class with the most probability over all steps need not be the one with the most score."""

    class Steps(Net):
        def forward(self, x):
            v, scores = torch.zeros(x.shape[1], 9), []
            for frame in x:
                v = 0.75 * v + self.fc(frame)
                z = (v > 0.5).float()
                v = v * (1 - z)
                scores.append(self.out(z))
            return torch.softmax(torch.stack(scores), -1)

    with pytest.raises(SpikeportError, match="softmax"):
        capture(Steps(), (6,), timesteps=3, forward="sequence")


def test_of_several_results_each_is_told():
    graph = capture(Net(lambda scores: {"p": scores.softmax(1), "q": torch.sigmoid(scores), "r": scores}), (6,))
    assert graph.provenance["left_out"] == {"p": ["softmax"], "q": ["sigmoid"]}
    assert "softmax of 'p' and sigmoid of 'q'" in graph.provenance["notes"][-1]


@pytest.mark.parametrize("name", LAST)
def test_an_onnx_file_that_ends_so(name, tmp_path):
    path = tmp_path / "a.onnx"
    export(Net(LAST[name]), torch.randn(1, 6), path, newer=False, open_axis=None)
    model = load_model(path)
    assert model.graph.nodes[model.graph.output] == capture(Net(), (6,)).nodes["readout"]
    called = {"max": "argmax"}.get(name, name)  # as the exporter writes it
    assert any(f"last, {called}, was left out" in finding.what for finding in model.findings)
