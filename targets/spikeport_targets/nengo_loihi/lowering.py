"""From a Graph to a `Plan`: a block a layer, synapses and axons for every way, relays where messages must wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spikeport.graph import DECAY_ONE, LIF, STATE_SHIFT, Array, CubaLIF, Graph, Node, Synapse, over_neurons
from spikeport.graph import schedule_over_neurons as over_steps
from spikeport.graph.meaning import apply
from spikeport.graph.shifts import shift_each
from spikeport_targets.nengo_loihi.plan import Axons, Block, Plan, Synapses
from spikeport_targets.nengo_loihi.routes import Route, Timing, is_current, layers, routes, timing
from spikeport_targets.nengo_loihi.unrolled import messages, slots, synapses

FORGETS = DECAY_ONE - 1  #: decay_u of a current that lasts one step, decay_v of a membrane (12 bits each)
NEVER = 2**23 - 1  #: a threshold that no membrane passes: the largest membrane itself


def lower(graph: Graph, stream: Array, *, membranes: Callable[[str], bool]) -> Plan:
    """The network for ``stream`` [N, T, *input] in units of the input. ``graph`` is one that `check` accepts."""
    ways, _ = routes(graph)
    times = timing(graph, ways)
    plan = Plan(graph.timesteps, graph.timesteps + max(times.depth.values()), stream.reshape(*stream.shape[:2], -1))
    lowering = Lowering(graph, shift_each(graph), plan, times)
    for name in layers(graph):
        lowering.layer(name, graph.nodes[name], membranes(name))
    for way in ways:
        if is_current(graph, way):
            lowering.current(way, stream)
        else:
            lowering.connect(way)
    return plan


@dataclass
class Lowering:
    """A plan in the making."""

    graph: Graph
    summed: Graph  #: the same, with the weights that are added
    plan: Plan
    times: Timing
    blocks: dict[str, int] = field(default_factory=dict)
    relays: dict[tuple[int, int], int] = field(default_factory=dict)  #: (block, steps later) -> block
    known: dict[tuple[str, str, str], int] = field(
        default_factory=dict
    )  #: synapses by synapse, layer and, with none, source

    def layer(self, name: str, node: Node, membrane: bool) -> None:
        """The block of a layer. Where the network ends, the host takes its sums before an accumulator holds them."""
        size = int(np.prod(self.graph.shapes[name]))
        if isinstance(node, LIF):
            kept = ("spikes", "membrane") if membrane else ("spikes",)
            numbers = _numbers(node)
        else:
            kept, numbers = ("sums",), _without_memory(size, self.graph.timesteps, NEVER)
        self.blocks[name] = len(self.plan.blocks)
        self.plan.blocks.append(Block(name, size, self.times.depth[name], kept, numbers))

    def connect(self, way: Route) -> None:
        """Synapses and axons of one way; the same synapses serve all that lead into them."""
        size = int(np.prod(self.graph.shapes[way.source]))
        into = self._synapses(way)
        if into is None:
            return
        wait = self.times.relays(way)
        table = slots(*messages(self.graph, way), size)
        if way.source == self.graph.input:
            self.plan.axons.append(Axons(-1, wait, into, table))
        else:
            self.plan.axons.append(Axons(self._later(self.blocks[way.source], wait), 0, into, table))

    def _synapses(self, way: Route) -> int | None:
        """None where a kernel meets padding only."""
        key = (way.synapse, way.target, "" if way.synapse else f"{way.source} {way.before}")
        if key not in self.known:
            entries = synapses(self.graph, way)
            if not len(entries.inputs):
                return None
            shape = self.graph.input_shape(way.synapse) if way.synapse else self.graph.shapes[way.target]
            rows = int(np.prod(shape))
            node = self.graph.nodes.get(way.synapse)
            exponent = node.exponent if isinstance(node, Synapse) else 0
            arrays = {key: np.asarray(value, np.int32) for key, value in vars(entries).items()}
            self.known[key] = len(self.plan.synapses)
            self.plan.synapses.append(Synapses(self.blocks[way.target], rows, exponent, arrays))
        return self.known[key]

    def _later(self, block: int, steps: int) -> int:
        """The block that fires as ``block`` did so many steps ago: a chain of relays, shared by all who wait for it."""
        if steps == 0:
            return block
        if (block, steps) not in self.relays:
            before = self._later(block, steps - 1)
            size = self.plan.blocks[block].size
            self.relays[block, steps] = relay = len(self.plan.blocks)
            self.plan.blocks.append(
                Block("", size, 0, (), _without_memory(size, self.graph.timesteps, 1 << STATE_SHIFT))
            )
            each = np.arange(size, dtype=np.int32)
            twos = {"inputs": each, "outputs": each, "mantissas": np.full(size, 2, np.int32)}
            self.plan.synapses.append(Synapses(relay, size, 0, twos))
            self.plan.axons.append(Axons(before, 0, len(self.plan.synapses) - 1, each[None]))
        return self.relays[block, steps]

    def current(self, way: Route, stream: Array) -> None:
        """What the host adds to the sums of a layer at each step, formed as the graph says."""
        x = stream.astype(np.float64)
        for name in (*way.before, *([way.synapse] if way.synapse else [])):
            x = x.reshape(*x.shape[:2], *self.graph.input_shape(name))
            x = apply(self.summed.nodes[name], x, self.graph.arithmetic)
        x = x.reshape(*x.shape[:2], -1).astype(np.int64)
        if way.wait:
            x = np.concatenate([np.zeros_like(x[:, : way.wait]), x[:, : -way.wait]], axis=1)
        block = self.blocks[way.target]
        self.plan.currents[block] = self.plan.currents.get(block, np.zeros_like(x)) + x


def _numbers(node: LIF) -> dict[str, Array]:
    """What a layer's compartments hold."""
    threshold = np.broadcast_to(over_steps(node.threshold, node.shape), (node.timesteps, *node.shape))
    kept = _each(node.current_decay, node) if isinstance(node, CubaLIF) else np.zeros(node.size, np.int64)
    return {
        "threshold": threshold.astype(np.int64).reshape(node.timesteps, -1) << STATE_SHIFT,
        "bias": _each(node.bias, node),
        "decay_v": DECAY_ONE - _each(node.decay, node),
        "decay_u": FORGETS - kept,
    }


def _each(value: Array, node: LIF) -> Array:
    """[neurons]."""
    return np.broadcast_to(over_neurons(value, node.shape), node.shape).astype(np.int64).ravel()


def _without_memory(size: int, steps: int, threshold: int) -> dict[str, Array]:
    forgets = np.full(size, FORGETS, np.int64)
    return {
        "threshold": np.full((steps, size), threshold, np.int64),
        "bias": np.zeros(size, np.int64),
        "decay_v": forgets,
        "decay_u": forgets,
    }
