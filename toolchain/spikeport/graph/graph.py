"""The Graph: what a network *is*. Frozen, and validated when it is built."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph.adaptive import ALIF, no_adaptation
from spikeport.graph.arithmetic import Arithmetic
from spikeport.graph.edges import edge_findings
from spikeport.graph.inputs import input_findings
from spikeport.graph.loihi import Loihi
from spikeport.graph.node import Node, Shape
from spikeport.graph.operation import Operation, named, renamed
from spikeport.graph.plumbing import Delay, Input
from spikeport.graph.real import Real
from spikeport.graph.rules import number_findings, sized, unknown
from spikeport.told import Told

N = TypeVar("N", bound=Node)
Edge = tuple[str, str]


@dataclass(frozen=True, eq=False, repr=False)
class Graph(Told):
    """Named nodes and edges; several edges into one node add (the SEW ADD, and NIR's rule), but for an `Operation`
    that names its operands.

    Layer-synchronous: within a sample all layers see the same t = 0 ... timesteps-1, and state is zero before t = 0.
    There is one `Input`, and one node without successor, the output; or several, which `named_outputs` puts in order.

    Raises `SpikeportError` with every problem at once: SP106 shapes, SP110 edges, SP111 cycles, SP112 input or output,
    SP113 schedule length, SP114 numbers that are not finite, SP115 numbers beyond the arithmetic's format, SP116
    thresholds that the format cannot vary, SP117 an input beyond its messages.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    timesteps: int
    arithmetic: Arithmetic = field(default_factory=Real)
    after_end: Literal["error", "hold", "cycle"] = "error"  #: how schedules continue past `timesteps`
    provenance: Mapping[str, Any] = field(default_factory=dict)  #: where the graph comes from; JSON values
    named_outputs: tuple[str, ...] = ()  #: of a graph with two or more: their nodes, the one that decides first

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))
        object.__setattr__(self, "edges", tuple((str(a), str(b)) for a, b in self.edges))
        object.__setattr__(self, "named_outputs", tuple(map(str, self.named_outputs)))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))
        edges = edge_findings(self.nodes, self.edges, self.named_outputs)
        findings = [*self._step_findings(), *edges, *self._number_findings()]
        if set(self.nodes).issuperset(end for edge in self.edges for end in edge):  # else nothing can follow the edges
            findings += [*self._cycle_findings(), *self._known_shapes[1], *self._message_findings()]
        if findings:
            raise SpikeportError(findings)

    def facts(self) -> Iterator[tuple[str, str]]:
        """What ``repr`` and a notebook show: ends, steps, numbers, and how many nodes of each kind."""
        kinds = Counter(type(node).__name__ for node in self.nodes.values() if not isinstance(node, Input))
        yield "input", f"{list(self.entry.shape)} {self.entry.coding}"
        yield "nodes", ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        yield "output", ", ".join(str(list(self.shapes[name])) for name in self.outputs)
        yield "timesteps", str(self.timesteps)
        yield "arithmetic", repr(self.arithmetic)

    @classmethod
    def chain(cls, nodes: Mapping[str, Node], timesteps: int, **facts: Any) -> Graph:
        """A graph of nodes in a row, each entering the next."""
        return cls(nodes, tuple(pairwise(nodes)), timesteps, **facts)

    # -- reading ------------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.order)

    def __eq__(self, other: object) -> bool:
        """Equal to the bit: nodes, edges (in any order), timesteps and arithmetic. Provenance does not count."""
        if not isinstance(other, Graph):
            return NotImplemented
        facts = ("timesteps", "arithmetic", "after_end", "named_outputs")
        return (
            all(getattr(self, name) == getattr(other, name) for name in facts)
            and sorted(self.edges) == sorted(other.edges)
            and dict(self.nodes) == dict(other.nodes)
        )

    __hash__ = None  # type: ignore[assignment]

    def sources(self, name: str) -> tuple[str, ...]:
        """The nodes whose outputs enter ``name``, in the order of the edges; they add unless it names `operands`."""
        return self._neighbours[0][name]

    def operands(self, name: str) -> tuple[tuple[str, ...], ...]:
        """What enters a node, operand by operand: the nodes that add up to each. All but operations have one."""
        names = named(self.nodes[name])
        return tuple((source,) for source in names) or (self.sources(name),)

    def targets(self, name: str) -> tuple[str, ...]:
        """The nodes that the output of ``name`` enters."""
        return self._neighbours[1][name]

    def nodes_of(self, *kinds: type[N]) -> dict[str, N]:
        """The nodes of some types, in the order in which data reach them."""
        return {name: node for name in self.order if isinstance(node := self.nodes[name], kinds)}

    @cached_property
    def input(self) -> str:
        """Name of the input node."""
        return next(name for name, node in self.nodes.items() if isinstance(node, Input))

    @cached_property
    def entry(self) -> Input:
        """The input node."""
        return next(node for node in self.nodes.values() if isinstance(node, Input))

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output nodes: of one its own, of several as they are named."""
        return self.named_outputs or tuple(name for name in self.nodes if not self.targets(name))

    @property
    def output(self) -> str:
        """Name of the output node, of several the first: by it a sample is decided."""
        return self.outputs[0]

    @cached_property
    def recurrent(self) -> bool:
        """Whether some node feeds back on itself, so that the graph must be run step by step."""
        return len(self._sorted(cut_delays=False)) < len(self.nodes)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names so that each node follows its sources; in a recurrent graph a Delay, which shows the past, need not."""
        return self._sorted(cut_delays=self.recurrent)

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of what leaves each node, without time and batch."""
        return self._known_shapes[0]

    def input_shape(self, name: str) -> Shape:
        """Shape of what enters a node; of several operands the first one's."""
        sources = self.operands(name)[0]
        return self.shapes[sources[0]] if sources else self.shapes[name]

    # -- changing: every method returns a new graph -------------------------------------------------------------------

    def with_(self, **changes: Any) -> Graph:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def replace(self, changes: Mapping[str, Node]) -> Graph:
        """Put other nodes in the place of some."""
        unknown = sorted(set(changes) - set(self.nodes))
        if unknown:
            fail("SP110", f"no node is called {', '.join(map(repr, unknown))}")
        return replace(self, nodes={**self.nodes, **changes})

    def bypass(self, name: str) -> Graph:
        """Take a node out and connect its sources to its targets; of an output its source is one then.

        SP119 where they would add up to an operand, SP112 where a named output would be no node without successor.
        """
        edges: list[Edge] = []
        nodes = {n: node for n, node in self.nodes.items() if n != name}
        for target in self.targets(name):
            nodes[target] = renamed(self.nodes[target], name, self.sources(name))
        for edge in self.edges:
            if edge[1] == name:
                edges += [(edge[0], target) for target in self.targets(name)]
            elif edge[0] != name:
                edges.append(edge)
        once = {name for name, node in nodes.items() if named(node)}  # may name one operand twice, by one edge
        edges = [edge for n, edge in enumerate(edges) if edge[1] not in once or edge not in edges[:n]]
        sources = self.sources(name)
        outputs = [end for each in self.named_outputs for end in (sources if each == name else (each,))]
        return replace(self, nodes=nodes, edges=tuple(edges), named_outputs=tuple(outputs))

    def insert(self, name: str, node: Node, edge: Edge) -> Graph:
        """Put a node into an edge."""
        if name in self.nodes:
            fail("SP110", f"there is a node {name!r} already")
        edges = tuple(e for old in self.edges for e in ([(old[0], name), (name, old[1])] if old == edge else [old]))
        behind = {edge[1]: renamed(self.nodes[edge[1]], edge[0], (name,))} if edge in self.edges else {}
        return replace(self, nodes={**self.nodes, **behind, name: node}, edges=edges)

    # -- checking -----------------------------------------------------------------------------------------------------

    @cached_property
    def _neighbours(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        sources: dict[str, list[str]] = {name: [] for name in self.nodes}
        targets: dict[str, list[str]] = {name: [] for name in self.nodes}
        for a, b in self.edges:
            sources[b].append(a)
            targets[a].append(b)
        return {n: tuple(v) for n, v in sources.items()}, {n: tuple(v) for n, v in targets.items()}

    def _sorted(self, *, cut_delays: bool) -> tuple[str, ...]:
        """As many nodes as can be put behind all their sources, the edges into delays left out if ``cut_delays``."""

        def cut(name: str) -> bool:
            return cut_delays and isinstance(self.nodes[name], Delay)

        waiting = {name: 0 if cut(name) else len(self.sources(name)) for name in self.nodes}
        ready = deque(name for name, count in waiting.items() if count == 0)
        order: list[str] = []
        while ready:
            name = ready.popleft()
            order.append(name)
            for target in self.targets(name):
                waiting[target] -= 1
                if waiting[target] == 0 and not cut(target):
                    ready.append(target)
        return tuple(order)

    def _shape_of(self, name: str, node: Node, shapes: Mapping[str, Shape]) -> Shape:
        operands = self.operands(name)
        for group in operands:
            if len({shapes[source] for source in group}) > 1:
                detail = ", ".join(f"{source!r} {shapes[source]}" for source in group)
                fail("SP106", f"adds values of different shapes: {detail}", mend="all that add must have one shape")
        entering = [shapes[group[0]] if group else () for group in operands]
        return node.output_shape(*entering) if isinstance(node, Operation) else node.output_shape(entering[0])

    def _step_findings(self) -> Iterable[Finding]:
        if self.timesteps < 1:
            yield Finding("SP113", f"timesteps is {self.timesteps}", mend="a network runs at least one timestep")

    def _cycle_findings(self) -> Iterable[Finding]:
        stuck = sorted(set(self.nodes) - set(self.order))
        if stuck:
            yield Finding(
                "SP111",
                f"a cycle without delay passes through {', '.join(map(repr, stuck))}",
                why="at one timestep each of these would need its own result.",
                mend="put a Delay of at least one step into the feedback edge",
            )

    @cached_property
    def _known_shapes(self) -> tuple[Mapping[str, Shape], tuple[Finding, ...]]:
        """Shapes of what can be reached, and where they do not agree; what lies behind that would only repeat it."""
        shapes: dict[str, Shape] = {name: node.shape for name, node in self.nodes.items() if isinstance(node, Delay)}
        findings: list[Finding] = []
        for name in (*(n for n in self.order if n not in shapes), *shapes):
            node, sources = self.nodes[name], {*self.sources(name), *named(self.nodes[name])}
            if not all(source in shapes for source in sources) or not (sources or isinstance(node, Input)):
                continue
            try:
                shapes[name] = sized(self._shape_of(name, node, shapes))
            except SpikeportError as error:
                findings += [replace(finding, where=f"node {name!r}") for finding in error.findings]
        return MappingProxyType(shapes), tuple(findings)

    def _message_findings(self) -> Iterable[Finding]:
        if isinstance(self.arithmetic, Loihi):
            for name in self.nodes_of(Input):
                yield from input_findings(self, name, self.arithmetic.profile)

    def _number_findings(self) -> Iterable[Finding]:
        for name, node in self.nodes.items():
            beyond = (*unknown(node, self.arithmetic), *self.arithmetic.findings(node))
            for finding in (*number_findings(node, self.timesteps), *beyond):
                yield replace(finding, where=f"node {name!r}")
            if isinstance(node, ALIF) and self.arithmetic.whole:
                yield replace(no_adaptation(node), where=f"node {name!r}")
