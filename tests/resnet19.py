"""A graph of the size of ResNet-19 as spiking networks use it: 128, 256 and 512 channels, 32 x 32 input."""

from __future__ import annotations

import numpy as np

from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool, Readout

T = 4
BLOCKS = ((128, 3, 1), (256, 3, 2), (512, 2, 2))  #: channels, blocks, stride of the first


def resnet19():
    """12.7 million parameters in 17 convolutions, 2 projections and 2 linear layers; random numbers."""
    rng = np.random.default_rng(0)
    nodes, edges = {"input": Input((3, 32, 32))}, []
    state = {"last": "input", "shape": (3, 32, 32)}

    def add(name, node, source=None):
        edges.append((source or state["last"], name))
        nodes[name] = node
        return name

    def conv(name, outputs, stride=1, kernel=3, source=None, shape=None):
        channels, height, width = shape or state["shape"]
        weight = rng.standard_normal((outputs, channels, kernel, kernel), np.float32) * np.float32(0.05)
        pad = kernel // 2
        node = Conv(weight, np.zeros(outputs, np.float32), stride=(stride, stride), padding=(pad, pad))
        add(name, node, source)
        return outputs, (height - 1) // stride + 1, (width - 1) // stride + 1

    def lif(name, shape):
        state["last"] = add(name, LIF(shape, np.float32(0.5), rng.uniform(0.5, 1, T).astype(np.float32)))
        state["shape"] = shape

    shape = conv("conv1", 128)
    state["last"] = "conv1"
    lif("lif1", shape)
    for index, (channels, blocks, first) in enumerate(BLOCKS):
        for block in range(blocks):
            stride = first if block == 0 else 1
            name, source, before = f"layer{index + 1}.{block}", state["last"], state["shape"]
            shape = conv(f"{name}.conv1", channels, stride)
            state["last"] = f"{name}.conv1"
            lif(f"{name}.lif1", shape)
            shape = conv(f"{name}.conv2", channels)
            state["last"] = f"{name}.conv2"
            lif(f"{name}.lif2", shape)
            if before == shape:
                edges.append((source, f"{name}.lif2"))
            else:
                conv(f"{name}.project", channels, stride, 1, source, before)
                edges.append((f"{name}.project", f"{name}.lif2"))
    state["last"] = add("pool", Pool("average", (8, 8), (8, 8)))
    state["last"] = add("flat", Flatten())
    state["last"] = add("fc1", Linear(rng.standard_normal((256, 512), np.float32), np.zeros(256, np.float32)))
    lif("lif_fc", (256,))
    state["last"] = add("fc2", Linear(rng.standard_normal((10, 256), np.float32), np.zeros(10, np.float32)))
    add("out", Readout((10,), np.full(T, 1 / T, np.float32)))
    return Graph(nodes, tuple(edges), T)


def parameters(graph):
    """How many numbers the synapses hold."""
    return sum(
        node.weight.size + (0 if node.bias is None else node.bias.size)
        for node in graph.nodes.values()
        if isinstance(node, Conv | Linear)
    )


PARAMETERS = 12_692_746  #: of `resnet19()`
