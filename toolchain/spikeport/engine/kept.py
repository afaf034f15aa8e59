"""What a run keeps of its steps, as a record holds it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.neuron import Counted
from spikeport.graph import Array
from spikeport.record import Counts, Train


def total(parts: list[Counted]) -> dict[str, int]:
    """The overflows of some steps, by kind."""
    if not any(each.overflows for each in parts):
        return {}
    kinds = {kind for each in parts for kind in each.overflows}
    return {kind: sum(each.overflows.get(kind, 0) for each in parts) for kind in sorted(kinds)}


def joined_counts(parts: list[Counted]) -> Counts:
    """Spikes of consecutive steps."""
    return parts[0].spikes if len(parts) == 1 else np.concatenate([part.spikes for part in parts])


def packed(parts: list[Tensor]) -> Train:
    """Spikes of consecutive steps, a bit each; a card packs them itself, so that an eighth is copied."""
    return Train.pack(joined(parts)) if parts[0].device.type == "cpu" else packed_there(torch.cat(parts))


def over_time(parts: list[Train]) -> Train:
    """One train of consecutive steps."""
    if len(parts) == 1:
        return parts[0]
    return Train((sum(part.shape[0] for part in parts), *parts[0].shape[1:]), np.concatenate([p.bits for p in parts]))


def packed_there(spikes: Tensor) -> Train:
    """`Train.pack` on the device where the spikes are."""
    flat = spikes.flatten(2).to(torch.uint8)
    flat = torch.nn.functional.pad(flat, (0, -flat.shape[2] % 8)).reshape(*flat.shape[:2], -1, 8)
    worth = torch.tensor([1 << bit for bit in reversed(range(8))], dtype=torch.uint8, device=flat.device)
    return Train(tuple(spikes.shape), (flat * worth).sum(3, dtype=torch.uint8).cpu().numpy())


def joined(parts: list[Tensor]) -> Array:
    """Values of consecutive steps."""
    return torch.cat([part.contiguous() for part in parts]).cpu().numpy()


def widened(membranes: Array) -> Array:
    """Integers as int64, whichever kernel made them."""
    return membranes.astype(np.int64) if membranes.dtype.kind == "i" else membranes
