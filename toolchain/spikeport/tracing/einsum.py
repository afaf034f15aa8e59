"""torch.einsum as the layers that it is: a matrix over some axes, a product of two matrices of values, other axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spikeport.graph import Array
from spikeport.tracing import operations
from spikeport.tracing.call import Call
from spikeport.tracing.layers import product
from spikeport.tracing.symbols import Label, Symbol, Unsupported


def einsum(call: Call) -> Symbol:
    """einsum(equation, x, weight), einsum(equation, x, y) or einsum(equation, x)."""
    equation = call.get(0, "equation")
    operands = list(call.args[1:])
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = list(operands[0])
    if not isinstance(equation, str) or len(operands) > 2 or "." in equation:
        raise Unsupported("has an equation that is not one of two operands and plain letters")
    terms, result = _letters(equation)
    if any(len(set(term)) < len(term) for term in (*terms, result)):
        raise Unsupported("takes a diagonal")
    known = [call.symbol(value) for value in operands]
    followed = [(x, term) for x, term in zip(known, terms, strict=True) if x is not None]
    if len(operands) == 1:
        return _ordered(followed[0][0], terms[0], result)
    if len(followed) == 2:
        return _of_two(call, followed, result)
    weight = next((value, term) for value, x, term in zip(operands, known, terms, strict=True) if x is None)
    constant = call.constant(weight[0])
    assert constant is not None
    return _weighed(call, *followed[0], constant, weight[1], result)


def _letters(equation: str) -> tuple[list[str], str]:
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:  # torch: the letters that stand once, in alphabetical order
        right = "".join(sorted(letter for letter in set(left) - {","} if left.count(letter) == 1))
    return terms, right


def _ordered(x: Symbol, term: str, result: str) -> Symbol:
    """The axes named by ``term`` in the order of ``result``."""
    if set(term) != set(result):
        raise Unsupported("adds up over axes; use sum or mean")
    return x.viewed(tuple(x.axes[term.index(letter)] for letter in result))


def _weighed(call: Call, x: Symbol, term: str, weight: Array, letters: str, result: str) -> Symbol:
    """A matrix [out, in] over the axes that are in ``term`` and ``letters`` and not in the result."""
    inside = [letter for letter in term if letter in letters and letter not in result]
    new = [letter for letter in letters if letter not in inside]
    if not inside or len(new) != 1 or new[0] in term or new[0] not in result:
        raise Unsupported("is no matrix over some of its axes")
    rest = [letter for letter in term if letter not in inside]
    group: tuple[Label, ...] = tuple(label for letter in inside for label in x.axes[term.index(letter)])
    y = x.viewed((*(x.axes[term.index(letter)] for letter in rest), group))
    order = [letters.index(letter) for letter in (*new, *inside)]
    matrix = np.ascontiguousarray(weight.transpose(order)).reshape(weight.shape[order[0]], -1)
    return _ordered(product(call, y, matrix, None), "".join((*rest, *new)), result)


def _of_two(call: Call, parts: Sequence[tuple[Symbol, str]], result: str) -> Symbol:
    """x @ y over the one axis that is in both and not in the result."""
    (x, first), (y, second) = parts
    inside = [letter for letter in first if letter in second and letter not in result]
    both = [letter for letter in first if letter in second and letter in result]
    rows, columns = ([n for n in term if n not in inside and n not in both] for term in (first, second))
    if len(inside) != 1 or len(rows) != 1 or len(columns) != 1:
        raise Unsupported("is no product of two matrices")
    left = _ordered(x, first, "".join((*both, *rows, *inside)))
    right = _ordered(y, second, "".join((*both, *inside, *columns)))
    return _ordered(operations.matrix_product(call, left, right), "".join((*both, *rows, *columns)), result)


HANDLERS: dict[str, Callable[[Call], Any]] = {"einsum": einsum}
