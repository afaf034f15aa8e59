"""What a target is, and where targets are found (entry-point group ``spikeport.targets``)."""

from __future__ import annotations

import math
import time
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from spikeport.findings import Finding, fail
from spikeport.graph import LIF, Array, Graph, Loihi, Peak, Samples, Synapse
from spikeport.nearest import choose
from spikeport.record import Record
from spikeport.spike_train import Train

if TYPE_CHECKING:
    from spikeport.mapping import Mapping as ChipMapping

GROUP = "spikeport.targets"

Progress = Callable[[int, int], None]  #: called with samples done and samples in all


def silent(done: int, total: int) -> None:
    """The progress that shows nothing."""


def begins(progress: Progress, what: str) -> None:
    """Tell whoever watches that a part begins which counts nothing: it gets a line of its own, if anything is shown."""
    show = getattr(progress, "begins", None)
    if show is not None:
        show(what)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a target can run here, and if not, why and how to get it."""

    ready: bool
    version: str = ""
    why: str = ""
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a run should bring back besides outputs and spike counts, and within which limits."""

    trains: bool | tuple[str, ...] = False  #: spike trains: all, none, or of the layers named
    membranes: bool | tuple[str, ...] = False  #: membranes after the reset, likewise
    events: bool = False  #: event counts for the cost models
    batch: int | None = None  #: samples at once; None lets the target choose
    seconds: float | None = None  #: time limit; None is the target's own
    memory: int | None = None  #: bytes that the samples at once may take; None is the target's own
    progress: Progress = silent
    device: str = "cpu"  #: which processor computes: cpu, cuda, cuda:1, or auto; see `devices`

    def keeps_train(self, layer: str) -> bool:
        """Whether the spike trains of a layer are asked for."""
        return self.trains if isinstance(self.trains, bool) else layer in self.trains

    def keeps_membrane(self, layer: str) -> bool:
        """Whether the membranes of a layer are asked for."""
        return self.membranes if isinstance(self.membranes, bool) else layer in self.membranes

    def kept(self, trains: Mapping[str, Train]) -> dict[str, Train]:
        """The spike trains that are asked for."""
        return {name: train for name, train in trains.items() if self.keeps_train(name)}

    def check_layers(self, graph: Graph) -> None:
        """Raise SP515 where spike trains or membranes are asked for of what is no spiking layer."""
        asked = {name for each in (self.trains, self.membranes) if not isinstance(each, bool) for name in each}
        unknown = sorted(asked - set(graph.nodes_of(LIF)))
        if unknown:
            fail(
                "SP515",
                f"no spiking layer is called {', '.join(map(repr, unknown))}",
                mend=choose(unknown[0], graph.nodes_of(LIF)),
            )

    def samples_at_once(self, graph: Graph, usual: int) -> int:
        """How many samples a target without a budget of its own takes: what was asked for, or its ``usual`` number.

        A memory budget is held against all values of a sample at all steps, 4 bytes each: an upper bound.
        """
        if self.batch is not None:
            return self.batch
        if self.memory is None:
            return usual
        return max(1, self.memory // (4 * graph.timesteps * sum(math.prod(shape) for shape in graph.shapes.values())))

    def check_time(self, begun: float, done: int, total: int) -> None:
        """Between two batches of a run that began at ``begun`` (perf_counter): raise SP512 past the time limit."""
        elapsed = time.perf_counter() - begun
        if self.seconds is not None and elapsed > self.seconds:
            fail(
                "SP512",
                f"the run was stopped after {elapsed:.1f} s, {done} of {total} samples done",
                mend="run fewer samples, raise the limit, or keep finished parts: --out and --resume",
            )


FAST = 1e10  #: multiply-adds a second of a batched engine, float32 on two cores (5e9 to 5e10 measured)
SLOW = 1e8  #: of a target that does not say how long it takes


def expected_seconds(graph: Graph, rate: float = FAST) -> float:
    """About how long one sample takes at ``rate`` multiply-adds a second: its dense products over all timesteps."""
    synapses = graph.nodes_of(Synapse)
    products = sum(node.weight.size * math.prod(graph.shapes[name][1:]) for name, node in synapses.items())
    return graph.timesteps * products / rate


Show = Literal["membranes", "events", "integers"]
#: what a target shows that does not say it: records with the membranes that are asked for
USUAL: frozenset[Show] = frozenset({"membranes"})


class Target(Protocol):
    """Something that runs a Graph.

    What its records can hold besides outputs, spike counts and trains it says in ``shows``, a set of `Show`:
    "membranes" where they are asked for, "events" where it counts them itself, "integers" where its numbers are whole
    and nothing rounds (`USUAL` where it has no such attribute).

    It may also have ``devices``, the kinds of processors that it computes on (the CPU alone where it does not say),
    ``seconds_a_sample(graph)``, about how long one takes, by which long runs are cut into parts
    (`expected_seconds` at the rate `SLOW` where it has none), ``profile``, the name of the number format for which a
    whole run quantises the network that it gets (loihi2 where it has none), ``processes(graph)``, see
    `spikeport.check`, ``environment``, an `Environment` of its own, which ``spikeport targets --install`` makes, and
    ``limits_memory``, True where ``Request.memory`` is a limit of all its processes, which runs side by side share.
    """

    name: str

    def availability(self) -> Availability:
        """Whether it can run here; never raises, never takes long."""

    def check(self, graph: Graph) -> list[Finding]:
        """Every node that it cannot run, or runs as something else; empty when all is well."""

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        """Run samples: [B, *input] for `direct` coding, [T, B, *input] for `events`.

        Raises `SpikeportError` with the errors of `check`, or if the target is not available.
        """


def devices(name: str) -> frozenset[str]:
    """The kinds of processors that the target of a name computes on. Raises SP501."""
    return frozenset({"cpu"}) if name == "pytorch" else getattr(target(name), "devices", frozenset({"cpu"}))


def shows(name: str) -> frozenset[Show]:
    """What the target of a name shows; PyTorch's modules, which no target runs, show nothing. Raises SP501."""
    return frozenset() if name == "pytorch" else getattr(target(name), "shows", USUAL)


class Account(Protocol):
    """What somebody else's model of a chip says of a run, all samples together."""

    @property
    def energy(self) -> Mapping[str, float]:
        """In joule, by part; ``total`` is the sum."""

    @property
    def seconds(self) -> float:
        """Time of the chip."""


@runtime_checkable
class Replays(Protocol):
    """A target that can also play recorded spike trains through its own model of a chip."""

    def replay(self, mapping: ChipMapping, samples: Array, record: Record, *, seconds: float | None = None) -> Account:
        """Its account of the run that ``record`` holds, with all spike trains; ``seconds`` limit the time it takes."""


class Registry(UserDict[str, Target]):
    """Targets by name; one that was declared is imported when it is first asked for."""

    def __init__(self, declared: Mapping[str, EntryPoint]) -> None:
        super().__init__()
        self._declared = {**declared}

    def __getitem__(self, name: str) -> Target:
        if name in self._declared:
            self.data[name] = self._declared.pop(name).load()()
        return self.data[name]

    def __setitem__(self, name: str, target: Target) -> None:
        self._declared.pop(name, None)
        self.data[name] = target

    def __contains__(self, name: object) -> bool:
        return name in self._declared or name in self.data

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._declared, *self.data}))

    def __len__(self) -> int:
        return len(self._declared) + len(self.data)


@cache
def registry() -> Registry:
    """All targets by name, built-in and plug-ins, also those whose packages are missing."""
    return Registry({entry.name: entry for entry in entry_points(group=GROUP)})


def target(name: str) -> Target:
    """The target of a name. Raises SP501 with the names there are."""
    known = registry()
    if name not in known:
        fail("SP501", f"there is no target {name!r}", mend=choose(name, known))
    return known[name]


def several_spikes(graph: Graph, who: str) -> Iterator[Finding]:
    """SP615 for each layer whose neurons may fire several times in a step, for targets whose neurons cannot."""
    for name, node in graph.nodes_of(LIF).items():
        if node.most_spikes > 1:
            yield Finding(
                "SP615",
                f"fires up to {node.most_spikes} times in a step, a neuron of {who} once",
                f"node {name!r}",
                why="what a membrane holds beyond one threshold would stay in it.",
                mend="--target reference or integer, or train neurons that fire once a step",
            )


def lower_bounds(graph: Graph, who: str) -> Iterator[Finding]:
    """SP617 for each layer whose membranes have a lower bound, for targets whose neurons know none."""
    for name, node in graph.nodes_of(LIF).items():
        if node.lower_bound is not None:
            yield Finding(
                "SP617",
                f"its membranes end at {node.lower_bound.min():g} below, a neuron of {who} has no such bound",
                f"node {name!r}",
                why="negative inputs would take them further down, and its neurons fire later.",
                mend="--target reference, integer, onnxruntime, lava or speck, or train neurons without a bound",
            )


def plain_output(graph: Graph, who: str) -> Iterator[Finding]:
    """SP132 and SP133 where a graph has several outputs, or one that is no sum, for those that read one and add up."""
    for name in graph.nodes_of(Peak):
        what = f"the output is the highest membrane over time; {who} adds up over time"
        mend = "--target reference, integer or onnxruntime; or train a network that reads a mean or the last step"
        yield Finding("SP133", what, f"node {name!r}", mend=mend)
    if len(graph.outputs) > 1:
        yield Finding(
            "SP132",
            f"{who} reads one output, the network has {', '.join(map(repr, graph.outputs))}",
            mend="--target reference, integer or onnxruntime; or export a network of one of them",
        )


def foreign_neurons(graph: Graph, who: str) -> Iterator[Finding]:
    """SP616 where the profile has neurons of another chip, for targets whose neurons are Loihi's."""
    if isinstance(graph.arithmetic, Loihi) and graph.arithmetic.profile.neuron != "loihi":
        kind = graph.arithmetic.profile.neuron.capitalize()
        yield Finding(
            "SP616",
            f"the profile {graph.arithmetic.profile.name!r} has {kind}'s neurons, {who} others",
            why="they decay by shifts, add currents late and saturate elsewhere: it would be another network.",
            mend=f"--target {kind.lower()} or integer, or quantise for another profile",
        )


def clipped_thresholds(graph: Graph) -> Iterator[Finding]:
    """SP417 for each layer whose infinite thresholds quantisation made finite, as the graph remembers."""
    clipped = dict(graph.provenance.get("quantised", {})).get("thresholds_clipped", {})
    for name, count in dict(clipped).items():
        if name in graph.nodes:
            yield Finding(
                "SP417",
                f"{count} thresholds did not fit and are the largest mantissa",
                f"node {name!r}",
                why="a membrane passes it by less than one sum.",
                severity="substituted",
            )


def check_input(graph: Graph, samples: Array) -> int:
    """Number of samples; raises SP502 if ``samples`` has not the shape and number of steps that the graph takes."""
    return Samples.of(graph, samples).number
