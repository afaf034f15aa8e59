"""CPU time of a training step over many timesteps, beside snnTorch, Norse and SpikingJelly.

Linear(40, H), H neurons, connected among themselves or not, Linear(H, 10), mean over time, SGD; 32 samples. One
process, one thread, the libraries in turn; of each the least CPU time of three to eight steps.
"""

import time

import norse.torch as norse
import snntorch
import torch
from snntorch import surrogate
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from spikeport.training import PLIF, DsAtgo, Fixed
from spikeport.training.recurrent import Recurrent

INPUTS, CLASSES, SAMPLES, SECONDS = 40, 10, 32, 1.0
NAMES = ("fixed", "ds-atgo", "snnTorch", "Norse", "SpikingJelly")


class Network(nn.Module):
    """The layers that all have; ``cells`` take and return [T, B, H]."""

    def __init__(self, hidden, cells):
        super().__init__()
        self.first, self.cells, self.last = nn.Linear(INPUTS, hidden, bias=False), cells, nn.Linear(hidden, CLASSES)

    def forward(self, x):
        return self.last(self.cells(self.first(x))).mean(0)


class SnnTorch(nn.Module):
    """Its neurons take a step a call."""

    def __init__(self, hidden, recurrent):
        super().__init__()
        same = {"beta": 0.2, "spike_grad": surrogate.atan(), "reset_mechanism": "zero"}
        self.recurrent = recurrent
        self.cells = snntorch.RLeaky(linear_features=hidden, **same) if recurrent else snntorch.Leaky(**same)

    def forward(self, x):
        state = self.cells.init_rleaky() if self.recurrent else (self.cells.init_leaky(),)
        spikes = []
        for now in x:
            state = self.cells(now, *state)
            spikes.append(state[0])
            state = state if self.recurrent else state[1:]
        return torch.stack(spikes)


class Norse(nn.Module):
    """Its recurrent layer holds the first matrix itself."""

    def __init__(self, hidden, recurrent):
        super().__init__()
        self.cells = norse.LIFRecurrent(INPUTS, hidden) if recurrent else norse.LIF()

    def forward(self, x):
        return self.cells(x)[0]


class SpikingJelly(nn.Module):
    """In its mode of many steps."""

    def __init__(self, hidden, recurrent):
        super().__init__()
        cells = neuron.LIFNode(tau=1.25, decay_input=False)
        self.cells = layer.LinearRecurrentContainer(cells, hidden, hidden, bias=False) if recurrent else cells
        functional.set_step_mode(self.cells, "m")

    def forward(self, x):
        functional.reset_net(self.cells)
        return self.cells(x)


def networks(steps, hidden, recurrent):
    """By name."""
    methods = (Fixed(), DsAtgo())
    ours = [Recurrent(each, steps, channels=hidden) if recurrent else PLIF(each, steps) for each in methods]
    theirs = [kind(hidden, recurrent) for kind in (SnnTorch, Norse, SpikingJelly)]
    by_name = {name: Network(hidden, cells) for name, cells in zip(NAMES, (*ours, *theirs), strict=True)}
    if recurrent:
        by_name["Norse"].first = nn.Identity()
    return by_name


def least(module, x, y):
    """Milliseconds of CPU time of a step."""
    optimiser, times = torch.optim.SGD(module.parameters(), 0.01), []

    def step():
        begin = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(module(x), y).backward()
        optimiser.step()
        return time.process_time() - begin

    step()
    while len(times) < 3 or (sum(times) < SECONDS and len(times) < 8):
        times.append(step())
    return 1000 * min(times)


def main():
    torch.set_num_threads(1)
    print(f"| neurons | T | H | {' | '.join(NAMES)} |\n{'|---' * (3 + len(NAMES))}|")
    for recurrent in (True, False):
        for steps in (100, 500):
            for hidden in (128, 512):
                torch.manual_seed(0)
                x, y = (torch.rand(steps, SAMPLES, INPUTS) < 0.2).float(), torch.randint(0, CLASSES, (SAMPLES,))
                row = [f"{least(each, x, y):.1f}" for each in networks(steps, hidden, recurrent).values()]
                kind = "recurrent" if recurrent else "feed-forward"
                print(f"| {kind} | {steps} | {hidden} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
