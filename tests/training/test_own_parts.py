"""Parts that a file brings: rules, losses, schedules; what is checked of them, and what a checkpoint needs of them."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from data_files import code
from spikeport import plugins
from spikeport.findings import SpikeportError
from spikeport.training import LIF, DsAtgo, Fixed, Method, checkpoint, objective, shipped
from spikeport.training.augment import augment
from spikeport.training.catalogue import method
from spikeport.training.loop import rate_at
from spikeport.training.recipe import facts_of, parse
from tiny_training import TINY, network

FILE = """
from dataclasses import dataclass
from typing import Annotated, ClassVar
from pydantic import Field
from spikeport.plugins import plugin
from spikeport.training import DsAtgo

@plugin("methods", "top")
@dataclass(frozen=True, slots=True)
class Top(DsAtgo):
    name: ClassVar[str] = "top"
    watches: ClassVar[bool] = True
    part: Annotated[float, Field(gt=0, lt=1)] = 0.5
    def watch(self, u, decay):
        return self.part * u.max(), u.std() + decay

@plugin("schedules", "half")
@dataclass(frozen=True)
class Half:
    def __call__(self, step, per_epoch, epochs):
        return 0.5 ** step
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "_own", {})
    (tmp_path / "top.py").write_text(FILE)
    return plugins.run_file(tmp_path / "top.py")


def test_a_rule_sees_every_membrane_of_its_step(own):
    torch.manual_seed(0)
    neuron = LIF(method("top", part=0.25, momentum=1.0), 2, decay=0.5).double()
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    spikes = neuron(x)
    v = x[0] * (x[0] < x[0].max() / 4)
    expected = torch.stack([x[0].max() / 4, (0.5 * v + x[1]).max() / 4])
    assert torch.equal(neuron.threshold, expected)
    assert torch.equal(spikes[0], (x[0] >= expected[0]).double())
    assert code(LIF(method("top", per_channel=True), 2, channels=3), x.float()) == "SP323"


def test_a_checkpoint_loads_where_nobody_knows_its_method(own, tmp_path, monkeypatch):
    recipe = parse({**TINY, "method": "top", "schedule": "half", "method_options": {"part": 0.3}})
    assert rate_at(3, 10, recipe) == 0.125
    module = network(recipe)
    module(torch.rand(20, 1, 8, 8))
    checkpoint.save(tmp_path / "a.safetensors", module, facts_of(recipe, (1, 8, 8), "direct", 3))
    monkeypatch.setattr(plugins, "_own", {})
    again, facts = shipped.load(tmp_path / "a.safetensors")
    x = torch.rand(9, 1, 8, 8)
    assert facts["method"] == "top"
    assert torch.equal(again(x), module.eval()(x))


@pytest.mark.parametrize(
    ("fields", "expected", "words"),
    [
        ({"method": "top", "method_options": {"part": 1.5}}, "SP313", "part"),
        ({"method": "half"}, "SP313", "no method 'half'"),
        ({"schedule": "haf"}, "SP312", "did you mean half"),
        ({"schedule": "half", "schedule_options": {"every": 2}}, "SP312", "no option 'every'"),
        ({"loss": "tett"}, "SP312", "did you mean tet"),
        ({"loss_options": {"smoothing": 1.0}}, "SP312", "smoothing"),
        ({"also": {"imm": 0.1}}, "SP312", "did you mean im"),
        ({"augmentations": {"blur": {}}}, "SP312", "no augmentation 'blur'"),
        ({"method_options": {"shape": "gauss"}}, "SP313", "should be one of rectangular"),
        ({"architecture": {"neuron": "lff"}}, "SP316", "did you mean lif"),
    ],
)
def test_what_cannot_be_is_refused_by_name(own, fields, expected, words):
    with pytest.raises(SpikeportError, match=words) as caught:
        network(parse({**TINY, **fields}))
    assert caught.value.code == expected


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0")
    assert code(plugins.run_file, tmp_path / "bad.py") == "SP323"
    assert code(plugins.run_file, tmp_path / "none.py") == "SP323"
    assert code(plugins.plugin, "method", "x") == "SP323"


def test_what_a_part_forgets_is_told(monkeypatch):
    """A momentum, to watch, a number, a tensor: each ended in an error of Python's."""
    monkeypatch.setattr(plugins, "_own", {})

    @plugins.plugin("methods", "bare")
    @dataclass(frozen=True, slots=True)
    class Bare(Method):
        adaptive: ClassVar[bool] = True

    plugins.plugin("schedules", "still")(lambda step, per_epoch, epochs: None)
    plugins.plugin("augmentations", "lost")(lambda x, generator: None)
    assert code(method, "bare") == "SP313"
    still, lost = parse({**TINY, "schedule": "still"}), parse({**TINY, "augmentations": {"lost": {}}})
    assert code(rate_at, still.epochs * 100, 1, still) == "SP323"
    assert code(augment, torch.zeros(2, 1, 8, 8), torch.Generator(), lost) == "SP323"
    assert code(getattr, objective.Outcome(None, None, None, None, None), "layers") == "SP323"


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("kind", [Fixed(threshold=0.3), DsAtgo(per_channel=True)], ids=["layer", "channel"])
def test_losses_of_membranes_are_their_equations(reset, kind):
    """Two layers by hand in float64; the gradient is that of u with its resets held."""
    torch.manual_seed(1)
    layers = [LIF(kind, 3, decay=0.5, reset=reset, channels=4).double() for _ in range(2)]
    currents = [torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True) for _ in layers]
    module = torch.nn.ModuleList(layers)
    wanted = {name: objective.of(name, {}, {}) for name in ("im", "rmp")}
    with objective.watching(module, wanted["im"]) as seen:
        for layer, x in zip(layers, currents, strict=True):
            layer(x)
    squares, errors = [], []
    for layer, x in zip(layers, currents, strict=True):
        v, u, s = 0, [], []
        for t in range(3):
            u.append(0.5 * v + x[t])
            s.append(seen[layers.index(layer)].spikes[t].detach())
            v = u[t] * (1 - s[t]) if reset == "zero" else u[t] - layer.threshold[t] * s[t]
        u, s, theta = torch.stack(u), torch.stack(s), layer.threshold.reshape(3, 1, -1)
        squares.append((u.mean() - theta.mean()) ** 2)
        errors.append(((u / theta - s) ** 2).mean())
    outcome = objective.Outcome(module, None, None, None, seen)
    for name, by_hand in (("im", squares), ("rmp", errors)):
        ours, theirs = wanted[name](outcome), sum(by_hand) / 2
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
        for a, b in zip(
            torch.autograd.grad(ours, currents), torch.autograd.grad(theirs, currents, retain_graph=True), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-15)
