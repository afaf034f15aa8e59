"""What capture knows of a tensor while the module runs: sums of nodes' outputs, and how time and features lie in it.

A `Symbol` is ``sum of coefficient * product of factors + constant``, elementwise over a node's features. A factor is
what leaves a node at a step, or the membrane of a hand-written neuron at a step. ``axes`` says, for each axis of the
tensor, which axes lie in it, the last running fastest: "T", "B", or the number of a feature axis; () is an axis of
size 1. [B, T, C * H * W] is ``(("B",), ("T",), (0, 1, 2))``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np

from spikeport.graph import Array, Shape

Form = TypeVar("Form")
Label = str | int
Axes = tuple[tuple[Label, ...], ...]

#: why a layer cannot take what is no sum of nodes
STRANGER = "its input does not come from the network's input, as far as can be followed"
#: what a block of steps is that no layer sends
DIFFERENT = "gets values of different layers, or of different features of one, at each step"
#: products that a loop with memory of several steps makes, of which what follows is no finding of its own
PAST = "multiplies spikes of different steps, or of more than two layers"
THREE = "multiplies three values that depend on the input"
#: what to do about them
REFRACTORY = (
    "where neurons rest for some steps after a spike, make them a module of their own and register it: "
    "register_neuron, with a converter that returns spikeport.tracing.refractory(...)"
)
#: the step of a factor that runs along the tensor's time axis
ALL = -1


class Unsupported(Exception):  # noqa: N818  (a reason on its way to a finding, never seen outside)
    """Why an operation cannot become part of a graph."""

    def __init__(self, reason: str, code: str = "SP380", mend: str = "", *, whole: bool = False) -> None:
        super().__init__(reason)
        self.code, self.mend = code, mend
        self.whole = whole  #: whether it says all there is to say, so that what follows need not be examined
        self.form: object = None  #: what another operation may make something of together with this one


SAY_STEPS = "pass timesteps=T (--timesteps T)"  #: the mend where only the number of timesteps is missing


@dataclass(frozen=True, order=True)
class Out:
    """What leaves a node at a step; step None where it is the same at every step."""

    node: str
    step: int | None


@dataclass(frozen=True)
class Membrane:
    """What a hand-written neuron layer compared with its threshold at a step, before the reset."""

    node: str
    step: int


Factor = Out | Membrane
Product = frozenset[Factor]


@dataclass(frozen=True, eq=False)
class Bound:
    """How a step's membrane is held from below (`ends`)."""

    kind: Literal["kept", "whole"]
    low: Array
    factor: Array  #: of what is kept, in what is compared


@dataclass(frozen=True, eq=False)
class Strange:
    """What a function gave that a graph cannot hold. It may cancel: (spikes - smooth).detach() + smooth are spikes."""

    causes: frozenset[int]
    form: object = None  #: what another operation may make something of together with the one that gave it


@dataclass(frozen=True, eq=False)
class Symbol:
    """A tensor that comes from the network's input. Two symbols are the same only where they are one object."""

    terms: Mapping[Product, Array]  #: coefficients, float64 [], [C] or [*shape]
    shape: Shape  #: of the node's features
    axes: Axes
    constant: Array = field(default_factory=lambda: np.zeros(()))  #: [], [C] or [*shape]
    causes: frozenset[int] = frozenset()  #: numbers of the findings about what it comes from
    before: tuple[Symbol, Array, Array] | None = None  #: this = slope * symbol + offset, slope and offset constants
    place: tuple[str, bool, str] | None = None  #: the module that made it, whether it has no parts, and the operation
    strange: Mapping[Strange, Array] = field(default_factory=dict)  #: factors of strange values; ``causes`` has theirs
    sound: frozenset[int] = frozenset()  #: where there are any: the causes besides theirs

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", MappingProxyType(dict(self.terms)))

    @property
    def labels(self) -> tuple[Label, ...]:
        """Every axis in the order of memory."""
        return tuple(label for group in self.axes for label in group)

    @property
    def timed(self) -> bool:
        """Whether the tensor has an axis of time."""
        return "T" in self.labels

    @property
    def steady(self) -> bool:
        """Whether it is the same at every step."""
        return all(factor.step is None for factor in self.factors())

    def factors(self) -> list[Factor]:
        """Every factor of every term."""
        return [factor for product in self.terms for factor in product]

    def steps(self) -> set[int | None]:
        """The steps that its factors belong to."""
        return {factor.step for factor in self.factors()}

    def at(self, step: int, axes: Axes) -> Symbol:
        """One step of a block."""
        terms = {frozenset(_at(factor, step) for factor in product): c for product, c in self.terms.items()}
        return Symbol(terms, self.shape, axes, self.constant, self.causes)

    def viewed(self, axes: Axes) -> Symbol:
        """The same values in another order of axes."""
        return replace(self, axes=axes, before=None, place=None)

    def fresh(self) -> Symbol:
        """The same values as another object: the result of an operation of its own."""
        return replace(self, before=None, place=None)


def _at(factor: Factor, step: int) -> Factor:
    return replace(factor, step=step) if factor.step == ALL else factor


@dataclass(frozen=True, eq=False)
class Steps:
    """A block over time whose steps are different sums, step by step; None where nothing was written yet (zeros)."""

    steps: tuple[Symbol | None, ...]  #: without the axis of time
    axis: int  #: where the axis of time lies

    @property
    def causes(self) -> frozenset[int]:
        """Findings about any of the steps."""
        return frozenset().union(*(s.causes for s in self.steps if s is not None))


@dataclass(frozen=True)
class State:
    """What a neuron module returned besides its spikes, to be given back to it at the next step."""

    module: int
    step: int


@dataclass(frozen=True)
class Lost:
    """A tensor behind something unsupported; the findings tell why."""

    causes: frozenset[int] = frozenset()
    counted: bool = False  #: whether it is as long as values say


Known = Symbol | Steps | State | Lost


def form_of(x: Symbol, kind: type[Form]) -> Form | None:
    """The form of a symbol that is one strange value of that kind; None where it is anything else."""
    forms = [strange.form for strange, factor in x.strange.items() if factor.ndim == 0 and factor == 1]
    return forms[0] if len(x.strange) == len(forms) == 1 and isinstance(forms[0], kind) else None


def causes_of(known: Iterable[Known | None]) -> frozenset[int]:
    """The findings that stand behind any of them."""
    return frozenset().union(*(k.causes for k in known if k is not None and not isinstance(k, State)))


# -- coefficients -----------------------------------------------------------------------------------------------------


def over(value: Array, shape: Shape) -> Array:
    """A coefficient [], [C] or [*shape] so that it broadcasts over the features."""
    return value.reshape(-1, *(1,) * (len(shape) - 1)) if value.ndim == 1 and len(shape) > 1 else value


def compact(value: Array) -> Array:
    """[] or [C] where that says it all."""
    if value.ndim == 0:
        return value
    if value.size and (value == value.flat[0]).all():
        return np.asarray(value.flat[0])
    flat = value.reshape(value.shape[0], -1)
    return np.array(flat[:, 0]) if (flat == flat[:, :1]).all() else value


def times(a: Array, b: Array, shape: Shape) -> Array:
    """The product of two coefficients."""
    if a.ndim == 0 or b.ndim == 0 or a.ndim == b.ndim:
        return np.asarray(a * b)
    return compact(np.broadcast_to(over(a, shape) * over(b, shape), shape))


def plus(a: Array, b: Array, shape: Shape) -> Array:
    """The sum of two coefficients."""
    if a.ndim == b.ndim:
        return np.asarray(a + b)
    return compact(np.broadcast_to(over(a, shape) + over(b, shape), shape))
