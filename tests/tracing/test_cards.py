"""Modules that put tensors on a card themselves, captured where there is none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikeport.engine.run import Engine
from spikeport.tracing import capture

T = 4

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")


class Placed(nn.Module):
    """Neurons whose state and spikes ``put`` places."""

    def __init__(self, put):
        super().__init__()
        torch.manual_seed(2)
        self.first, self.out, self.put = nn.Linear(6, 5), nn.Linear(5, 2), put

    def forward(self, x):
        v = self.put(torch.zeros(len(x), 5))
        total = 0
        for _ in range(T):
            v = 0.9 * v + self.first(x)
            z = self.put((v > 0.5).float())
            v = v * (1 - z)
            total = total + self.out(z)
        return total


WAYS = {
    "cuda()": lambda y: y.cuda(),
    "cuda(0, non_blocking)": lambda y: y.cuda(0, non_blocking=True),
    "to a name": lambda y: y.to("cuda:0"),
    "to a device": lambda y: y.to(device=torch.device("cuda")),
    "made there": lambda y: y + torch.zeros(y.shape, device="cuda"),
}


@pytest.mark.parametrize("way", WAYS)
def test_they_stay_on_the_processor_and_a_note_says_so(way):
    graph = capture(Placed(WAYS[way]).eval(), (6,), timesteps=T)
    here = Placed(lambda y: y)
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(1)) * 3
    with torch.no_grad():
        torch.testing.assert_close(torch.as_tensor(Engine(graph).simulate(x.numpy()).outputs), here(x))
    assert any("without a card they stayed on the processor" in note for note in graph.provenance["notes"])


def test_a_module_that_places_nothing_gets_no_such_note():
    graph = capture(Placed(lambda y: y.to("cpu")).eval(), (6,), timesteps=T)
    assert not any("card" in note for note in graph.provenance.get("notes", ()))
