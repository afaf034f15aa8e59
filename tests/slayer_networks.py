"""Random networks of SLAYER's blocks (lava-dl 0.6.0), and their export; SLAYER is given, for it is in no extra."""

from __future__ import annotations

import h5py
import numpy as np
import torch


def slayers(slayer, seed):
    """Networks of SLAYER's blocks by name, each with events [T, *shape], or [*shape] that are a bias."""
    torch.manual_seed(seed)
    block = slayer.block.cuba

    def cuba(**changed):
        usual = {"threshold": 1.25, "current_decay": 0.3, "voltage_decay": 0.1, "requires_grad": True}
        return {**usual, **changed}

    def seen(*shape):
        return torch.rand(*shape).lt(0.3).long().numpy()

    each = cuba(shared_param=False)
    yield (
        "dense",
        [block.Dense(cuba(), 30, 40, weight_scale=4), block.Dense(cuba(), 40, 10, weight_scale=4)],
        seen(25, 30),
    )
    yield "decays a neuron", [block.Dense(each, 30, 40, weight_scale=4)], seen(25, 30)
    yield "delays", [block.Dense(cuba(), 30, 40, weight_scale=4, delay=True)], seen(40, 30)
    yield "feeding back", [block.Recurrent(cuba(), 12, 9, weight_scale=4)], seen(30, 12)
    yield (
        "affine",
        [block.Dense(cuba(), 12, 9, weight_scale=4), block.Affine(cuba(), 9, 5, weight_scale=4)],
        seen(30, 12),
    )
    sliding = {"stride": (2, 1), "padding": (1, 0), "weight_scale": 6}
    maps = [
        block.Input(cuba()),
        block.Conv(cuba(), 2, 8, 3, **sliding),
        block.Conv(each, 8, 4, 3, groups=2, dilation=2),
    ]
    maps += [block.Flatten(), block.Dense(cuba(), 16, 5, weight_scale=8)]
    yield "convolutions", maps, seen(2, 9, 10) * 20


def beyond(slayer, seed):
    """Networks that netx does not run: pools, and channels of maps that are late. The last layer is dense."""
    torch.manual_seed(seed)
    block, strong = slayer.block.cuba, {"weight_scale": 6}
    usual = {"threshold": 1.25, "current_decay": 0.3, "voltage_decay": 0.1, "requires_grad": True}
    last = block.Dense(usual, 24, 5, weight_scale=8)
    maps = [block.Conv(usual, 2, 4, 3, padding=1, **strong), block.Pool(usual, 2, **strong), block.Flatten(), last]
    yield "pools", maps, torch.rand(30, 2, 4, 6).lt(0.3).long().numpy()
    maps = [
        block.Conv(usual, 2, 4, 3, padding=1, delay=True, **strong),
        block.Conv(usual, 4, 4, 3, delay=True, **strong),
    ]
    yield (
        "channels that are late",
        [*maps, block.Flatten(), block.Dense(usual, 32, 5, weight_scale=8)],
        (torch.rand(30, 2, 4, 6).lt(0.3).long().numpy()),
    )


def export(blocks, x, path):
    """As SLAYER's networks export themselves, once they have seen a sample, which sets their shapes."""
    frames = torch.from_numpy(np.broadcast_to(x, (8, *x.shape)).copy() if x.ndim == 3 else x).float()
    value = frames.movedim(0, -1)[None]
    with torch.no_grad():
        for each in blocks:
            value = each(value)
            if getattr(each, "delay", None) is not None:
                each.delay.delay.data = torch.randint(0, 7, each.delay.delay.shape).float()
    with h5py.File(path, "w") as file:
        for number, each in enumerate(blocks):
            each.export_hdf5(file.create_group(f"layer/{number}"))
