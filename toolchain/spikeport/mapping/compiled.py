"""Layers cut as a vendor's compiler cuts them, by rules that its public logs show.

A map is cut into columns, a power of two of them a core, with all channels and rows. A matrix is cut into as many parts
as its memory is over the limit, and these again until they fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil, prod

from spikeport.mapping.chip import Chip
from spikeport.mapping.layers import Layer, Projection
from spikeport.mapping.tiling import HARD, WORD, Tile, best_tile, filled


def compiled_tile(
    layer: Layer, after: list[tuple[Projection, Tile]], chip: Chip, weight_bits: int, *, shared: bool
) -> Tile | None:
    """The tile of a layer; None where a core cannot hold a single neuron.

    ``shared``: a matrix's synapses take as few bits as the logs show. Else as many, and a layer that is cut takes one
    core more than the rule says, as the compiler took for one. A map of which no column fits is cut as by `best_tile`.
    """
    assert chip.compiled is not None
    bits = chip.compiled.synapse_bits

    def tile(*shape: int) -> Tile:
        cut = filled(layer, shape, after, chip, round(bits.low if shared else bits.high), shared=True)
        kernels = sum(_kernels(each) for each in layer.projections if each.axes)
        if not kernels:
            return cut
        matrices = replace(layer, projections=tuple(each for each in layer.projections if not each.axes))
        memory = filled(matrices, shape, [], chip, round(bits.low), shared=True).used["synapse_memory"]
        return replace(cut, used={**cut.used, "synapse_memory": memory + -(-kernels * weight_bits // WORD) * WORD})

    if len(layer.shape) > 1:
        widths = (2**power for power in reversed(range(layer.shape[-1].bit_length())))
        columns = (tile(*layer.shape[:-1], width) for width in widths)
        fits = next((each for each in columns if not each.over(chip, HARD)), None)
        return fits or best_tile(layer, after, chip, weight_bits, shared=True)
    return _cut(layer.neurons, tile, chip, extra=not shared)


def _cut(neurons: int, tile: Callable[[int], Tile], chip: Chip, *, extra: bool) -> Tile | None:
    parts = 1
    while (over := max(tile(ceil(neurons / parts)).used[name] / chip[name] for name in HARD)) > 1:
        if parts == neurons:
            return None
        parts = min(neurons, parts * ceil(over))
    return tile(ceil(neurons / min(neurons, parts + (extra and parts > 1))))


def _kernels(projection: Projection) -> int:
    """Weights of a convolution, each once."""
    return projection.inputs * projection.outputs * projection.groups * prod(axis.taps for axis in projection.axes)
