"""Operations of random graphs: one rule each, which puts it behind the last node, beside other layers where it fits."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Concat, Dilate, Gate, MatMul, Maximum, Repeat, Reshape, Scale, Slice, StepAffine, Sum

LARGEST = 150  #: values of a node; what multiplies maps would grow without end


def operate(maker):
    """A random operation behind the last node, or none where none fits."""
    if maker.beside:  # an operand is one node
        maker.add("sum", Scale(np.asarray(1 if maker.numbers.integers else 1.0)))
    RULES[maker.numbers.pick(*RULES)](maker)


def put(maker, build, operands):
    """A node with operands (name, shape), in this order, behind the last one."""
    node = build(tuple(operand for operand, _ in operands))
    name = f"{type(node).__name__.lower()}{len(maker.nodes)}"
    maker.nodes[name] = node
    maker.edges += [(operand, name) for operand in dict.fromkeys(operand for operand, _ in operands)]
    maker.last, maker.shape = name, node.output_shape(*(shape for _, shape in operands))


def others(maker, fits):
    """The last node, and layers whose shapes fit."""
    last = (maker.last, maker.shape)
    return [last, *(each for each in maker.seen if each != last and fits(each[1]))]


def one_of(maker, fits):
    choices = others(maker, fits)
    return choices[maker.rng.integers(len(choices))]


def concat(maker):
    axis = int(maker.rng.integers(len(maker.shape)))

    def rest(shape):
        return shape[:axis] + shape[axis + 1 :] if len(shape) == len(maker.shape) else None

    operands = [one_of(maker, lambda shape: rest(shape) == rest(maker.shape)), (maker.last, maker.shape)]
    if maker.numbers.maybe():
        operands.reverse()
    put(maker, lambda names: Concat(axis=axis, operands=names), operands)


def dilate(maker):
    axes = len(maker.shape) - 1
    node = Dilate(*(tuple(int(n) for n in maker.rng.integers(low, low + 2, axes)) for low in (1, 0)))
    if axes and np.prod(node.output_shape(maker.shape)) <= LARGEST:
        maker.add("dilate", node)


def gate(maker):
    """With a layer of the same shape, or with what is left of the values by a sum over some axes."""
    first = (maker.last, maker.shape)
    if maker.numbers.maybe():
        second = one_of(maker, lambda shape: shape == maker.shape)
    else:
        node = summing(maker)
        second = maker.aside("total", node, (first[0], None)), node.output_shape(first[1])
    put(maker, lambda names: Gate(operands=names), [first, second])


def matmul(maker):
    """The values times themselves or another layer, turned."""
    shape = maker.shape
    if len(shape) < 2:
        return
    other, _ = one_of(maker, lambda each: each == shape)
    axes = tuple(range(len(shape)))
    turned = Reshape((*axes[:-2], axes[-1], axes[-2]), (*shape[:-2], shape[-1], shape[-2]))
    name = maker.aside("turned", turned, (other, None))
    operands = [(maker.last, shape), (name, turned.shape)]
    if maker.numbers.maybe():
        operands.reverse()
    put(maker, lambda names: MatMul(operands=names), operands)


def largest(maker):
    axes = len(maker.shape) - 1
    kernel, stride = (tuple(int(n) for n in maker.rng.integers(1, 4, axes)) for _ in range(2))
    padding = tuple(int(maker.rng.integers(0, k)) for k in kernel)
    if axes and all(n + 2 * p >= k for n, p, k in zip(maker.shape[1:], padding, kernel, strict=True)):
        maker.add("maximum", Maximum(kernel, stride, padding))


def repeat(maker):
    counts = tuple(int(n) for n in maker.rng.integers(1, 3, len(maker.shape)))
    if np.prod(counts) * np.prod(maker.shape) <= LARGEST:
        maker.add("repeat", Repeat(counts))


def reshape(maker):
    """Another order of the axes, then some of them joined, or the first taken apart."""
    order = tuple(int(n) for n in maker.rng.permutation(len(maker.shape)))
    shape = tuple(maker.shape[axis] for axis in order)
    if maker.numbers.maybe() and len(shape) > 1:
        shape = (shape[0] * shape[1], *shape[2:])
    elif shape[0] % 2 == 0 and len(shape) < 3:
        shape = (2, shape[0] // 2, *shape[1:])
    maker.add("reshape", Reshape(order, shape))


def cut(maker):
    axis = int(maker.rng.integers(len(maker.shape)))
    start, stop = sorted(int(n) for n in maker.rng.choice(maker.shape[axis] + 1, 2, replace=False))
    maker.add("slice", Slice(start, stop, axis))


def affine(maker):
    """Gains are powers of two, or whole; gain and bias each one a step, a channel or a neuron."""
    n = maker.numbers

    def rows(draw):
        shape = n.pick((), maker.shape[:1], maker.shape)
        return np.stack([draw(shape) for _ in range(n.steps)])

    if n.integers:
        gain, bias = rows(lambda size: n.whole(size, -2, 4)), rows(lambda size: n.whole(size, -9, 9))
    else:
        gain, bias = (rows(lambda size, top=top: n.fraction(size, -top, top, 2)) for top in (4, 8))
    maker.add("stepaffine", StepAffine(gain, bias))


def summing(maker):
    count = int(maker.rng.integers(1, len(maker.shape) + 1))
    return Sum(tuple(int(n) for n in maker.rng.permutation(len(maker.shape))[:count]))


RULES = {
    Concat: concat,
    Dilate: dilate,
    Gate: gate,
    MatMul: matmul,
    Maximum: largest,
    Repeat: repeat,
    Reshape: reshape,
    Slice: cut,
    StepAffine: affine,
    Sum: lambda maker: maker.add("sum", summing(maker)),
}
