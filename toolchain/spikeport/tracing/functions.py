"""What capture must know of torch's functions besides what they become: which read values, which make constants."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SUPPORTED = (
    "Conv and ConvTranspose of 1, 2 and 3 axes, Linear, BatchNorm1d, BatchNorm2d, BatchNorm3d (in evaluation), "
    "AvgPool, AdaptiveAvgPool and MaxPool of 1, 2 and 3 axes, Upsample, padding, Flatten, Dropout, Identity (in "
    "evaluation), their functional forms; +, -, multiples by constants, products with spikes; reshapes, permutations, "
    "stacking over time; concatenation, selection and repetition of features, products of spike maps and matrices; "
    "mean and sum over axes; hand-written neurons: a membrane that decays, a comparison with a threshold, a reset, a "
    "second state beside the membrane; the neurons, tdBN, Repeat and Readout of spikeport.training; registered neurons"
)

#: packages whose lines are not the user's
LIBRARIES = {"torch", "spikeport", "importlib", "norse", "sinabs", "snntorch", "spikingjelly", "contextlib"}

#: functions whose result does not depend on the values of their arguments
FACTORIES = {
    "zeros",
    "ones",
    "full",
    "zeros_like",
    "ones_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "eye",
    "empty",
    "empty_like",
    "new_empty",
    "arange",
    "linspace",
}

#: functions that draw random numbers
DRAWS = {
    *("rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "normal", "bernoulli", "poisson"),
    *("multinomial", "uniform_", "normal_", "bernoulli_", "random_", "exponential_"),
}

#: functions that take the values of their first argument, and of the others the form or the type alone
LIKE = {"to", "type_as", "view_as", "reshape_as", "expand_as"}

#: functions that change nothing about the values
IDENTITIES = {
    "detach",
    "detach_",
    "clone",
    "contiguous",
    "to",
    "float",
    "double",
    "type_as",
    "cpu",
    "cuda",
    "requires_grad_",
    "get_data",
    "identity",
    "positive",
    "alias",
    "type",
}


def name_of(func: Any) -> str:
    """The name of a torch function or method; a property is get_ and its name."""
    name = str(getattr(func, "__name__", func))
    return f"get_{func.__self__.__name__}" if name == "__get__" else name


def widened(name: str, args: Any, kwargs: Mapping[str, Any], wide: bool) -> tuple[Any, Mapping[str, Any]]:
    """The arguments with float32 as float64, so that a module's own casts do not end its run in float64."""
    if not wide:
        return args, kwargs

    def wider(value: Any) -> Any:
        return torch.float64 if value is torch.float32 else value

    return tuple(wider(value) for value in args), {key: wider(value) for key, value in kwargs.items()}


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in a nest of tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)
    elif isinstance(value, Mapping):
        yield from tensors(list(value.values()))


def in_type_of(args: Any, out: Any) -> Any:
    """A neuron's result with its spikes in the type of its input; some libraries fire in float32 whatever comes in."""
    like = next(tensors(args), None)
    if like is None:
        return out
    if isinstance(out, Tensor):
        return out.to(like.dtype)
    return (out[0].to(like.dtype), *out[1:])


def line() -> str:
    """The line of the user's code that runs now."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in LIBRARIES and not file.startswith("<frozen"):
            return f", {Path(file).name} line {frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
