"""What a run keeps of its steps, as a record holds it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.later import Later
from spikeport.engine.neuron import Counted
from spikeport.graph import LIF, Array, Node
from spikeport.spike_train import Counts, Train


def total(parts: list[Counted]) -> dict[str, int]:
    """The overflows of some steps, by kind."""
    if not any(each.overflows for each in parts):
        return {}
    kinds = {kind for each in parts for kind in each.overflows}
    return {kind: sum(each.overflows.get(kind, 0) for each in parts) for kind in sorted(kinds)}


def joined_counts(parts: list[Counted]) -> Counts:
    """Spikes of consecutive steps."""
    return parts[0].spikes if len(parts) == 1 else np.concatenate([part.spikes for part in parts])


def packed(parts: list[Tensor], node: Node, *, later: bool) -> Callable[[], Train]:
    """Spikes of consecutive steps, a bit each. A card packs them itself, in its turn, which is ``later``."""
    several = isinstance(node, LIF) and node.most_spikes > 1
    if later and several:
        return Later((torch.cat(parts),), Train.pack)
    if later:
        shape, bits = (sum(map(len, parts)), *parts[0].shape[1:]), bits_there(torch.cat(parts))
        return Later((bits,), partial(Train, shape))
    train = Train.pack(joined(parts) if several else joined(parts).view(bool))
    return lambda: train


def over_time(parts: list[Train]) -> Train:
    """One train of consecutive steps."""
    if len(parts) == 1:
        return parts[0]
    if any(part.several for part in parts):
        return Train.pack(np.concatenate([part.unpack() for part in parts]))
    return Train((sum(part.shape[0] for part in parts), *parts[0].shape[1:]), np.concatenate([p.bits for p in parts]))


def bits_there(spikes: Tensor) -> Tensor:
    """The bits of `Train.pack`, on the device where the spikes are."""
    flat = spikes.flatten(2).to(torch.uint8)
    flat = torch.nn.functional.pad(flat, (0, -flat.shape[2] % 8)).reshape(*flat.shape[:2], -1, 8)
    worth = 1 << torch.arange(7, -1, -1, dtype=torch.uint8, device=flat.device)
    return (flat * worth).sum(3, dtype=torch.uint8)


def joined(parts: list[Tensor]) -> Array:
    """Values of consecutive steps."""
    return torch.cat([part.contiguous() for part in parts]).cpu().numpy()


def widened(parts: list[Array]) -> Array:
    """Membranes of consecutive steps; integers as int64, whichever kernel made them."""
    membranes = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return membranes.astype(np.int64) if membranes.dtype.kind == "i" else membranes
