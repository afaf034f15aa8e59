"""What a core of Speck can be told, whatever its memory: the shapes of kernels, strides, pools and maps."""

from __future__ import annotations

from collections.abc import Iterator

from spikeport.graph import Conv, Graph, Linear, Pool

#: sinabs 3.1.3, validate_memory_speck.py: kernels up to 16 x 16, 1024 features, strides of 1, 2, 4 and 8
KERNEL, FEATURES, STRIDES = 16, 1024, (1, 2, 4, 8)
POOLS = (1, 2, 4)  #: the same: sums over squares of so many


def beyond(graph: Graph) -> Iterator[tuple[str, str]]:
    """Each node with what a core could not be told of it."""
    for name, node in graph.nodes.items():
        if isinstance(node, Conv):
            yield from ((name, why) for why in _conv(node))
        elif isinstance(node, Linear) and max(node.weight.shape) > FEATURES:
            yield name, f"{max(node.weight.shape)} features, a core has {FEATURES}"
        elif isinstance(node, Pool) and (
            len(set(node.kernel)) != 1 or node.kernel[0] not in POOLS or node.stride != node.kernel or any(node.padding)
        ):
            yield name, f"a pool over {node.kernel} in steps of {node.stride}, not over a square of 1, 2 or 4"


def _conv(node: Conv) -> Iterator[str]:
    if len(node.kernel) != 2 or len(set(node.kernel)) != 1 or node.kernel[0] > KERNEL:
        yield f"a kernel of {node.kernel}, not a square of up to {KERNEL}"
    if any(step not in STRIDES for step in node.stride):
        yield f"strides of {node.stride}, not 1, 2, 4 or 8"
    if node.groups != 1 or any(size != 1 for size in node.dilation):
        yield "groups or a dilation, which cores do not have"
    if node.channels > FEATURES:
        yield f"{node.channels} features, a core has {FEATURES}"
