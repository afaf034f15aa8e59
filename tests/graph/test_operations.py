"""Operations: what each computes, operands in their order, edges that follow, and ranges that hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import (
    OPERATIONS,
    Concat,
    Dilate,
    Gate,
    Graph,
    Input,
    MatMul,
    Maximum,
    Range,
    Repeat,
    Reshape,
    Scale,
    Slice,
    StepAffine,
    Sum,
    definition,
)

A, B = np.arange(6.0).reshape(1, 1, 2, 3), np.array([[[[1.0, 0, 1]]]])
TWO = ("a", "b")
CHAIN = (("x", "double"), ("double", "all"))


@pytest.mark.parametrize(
    ("node", "operands", "expected"),
    [
        (Concat(operands=TWO), [A, B], [[0, 1, 2], [3, 4, 5], [1, 0, 1]]),
        (Concat(operands=TWO), [B, A], [[1, 0, 1], [0, 1, 2], [3, 4, 5]]),
        (Concat(axis=1, operands=TWO), [A, A[..., :1]], [[0, 1, 2, 0], [3, 4, 5, 3]]),
        (Gate(operands=TWO), [A, B], [[0, 0, 2], [3, 0, 5]]),
        (MatMul(operands=TWO), [A, np.swapaxes(A, 2, 3)], [[5, 14], [14, 50]]),
        (Dilate((2,), (1,)), [A], [[0, 0, 1, 0, 2, 0], [3, 0, 4, 0, 5, 0]]),
        (Maximum((2,), (1,), (1,)), [-A], [[0, 0, -1, -2], [-3, -3, -4, -5]]),
        (Maximum((2,), (2,), (0,)), [A], [[1], [4]]),
        (Repeat((1, 2)), [B], [[1, 1, 0, 0, 1, 1]]),
        (Reshape((1, 0), (6,)), [A], [0, 3, 1, 4, 2, 5]),
        (Slice(1, 3, axis=1), [A], [[1, 2], [4, 5]]),
        (StepAffine(np.array([2]), np.array([[1, -1]])), [A], [[1, 3, 5], [5, 7, 9]]),
        (Sum((1,)), [A], [[3], [12]]),
    ],
)
def test_what_an_operation_computes(node, operands, expected):
    y = node.compute(*operands)
    assert y[0, 0].tolist() == expected
    assert node.output_shape(*(x.shape[2:] for x in operands)) == y.shape[2:]


def test_an_operand_that_is_the_same_at_every_step_meets_each_step_of_the_other():
    still, moving = np.ones((1, 2, 2, 2)), np.arange(24.0).reshape(3, 2, 2, 2)
    for kind in (Concat, Gate, MatMul):
        node = kind(operands=TWO)
        each = [node.compute(still, moving[t : t + 1]) for t in range(3)]
        assert np.array_equal(node.compute(still, moving), np.concatenate(each))


def test_a_gain_and_a_bias_of_its_own_at_every_step():
    """y[t] = gain[t] x[t] + bias[t]; of a value that is the same at every step, too, and of a part of the steps."""
    node = StepAffine(np.array([1, 2, -1]), np.array([[0, 0], [3, 3], [1, 1]]))
    still = np.array([[[5.0, 7.0]]])
    assert node.compute(still)[:, 0].tolist() == [[5, 7], [13, 17], [-4, -6]]
    assert node.during(slice(1, 2)).compute(still)[:, 0].tolist() == [[13, 17]]
    assert node.additions(still != 0).tolist() == [0, 2, 2]
    assert node.reach([(2,)], Range(0, 4)) == Range(-4, 11)


def graph(node=None, edges=(("x", "double"), ("x", "all"), ("double", "all")), **more):
    nodes = {
        "x": Input((2,)),
        "double": Scale(np.float32(2)),
        "all": node or Concat(operands=("double", "x", "double")),
    }
    return Graph(nodes | more, edges, 1)


def test_operands_have_an_order_that_edges_have_not():
    x = np.array([[1.0, 5.0]], np.float32)
    assert definition.run(graph(), x).outputs.tolist() == [[2, 10, 1, 5, 2, 10]]
    assert graph().operands("all") == (("double",), ("x",), ("double",))
    assert graph().operands("double") == (("x",),)
    assert graph() != graph(Concat(operands=("x", "double", "double")))


def test_operands_follow_nodes_that_come_and_go():
    one = graph().insert("one", Scale(np.float32(1)), ("double", "all"))
    assert one["all"].operands == ("one", "x", "one")
    assert one.bypass("one") == graph()
    less = graph().bypass("double")
    assert less["all"].operands == ("x", "x", "x")
    assert less.edges == (("x", "all"),)


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: Concat(operands=("a",)), "SP119"),
        (lambda: Sum((0,), operands=TWO), "SP119"),
        (lambda: graph(Concat(operands=("x", "x"))), "SP119"),
        (lambda: graph(Concat(operands=("double", "x", "other"))), "SP119"),
        (lambda: graph(edges=(("x", "double"), ("double", "all"))), "SP119"),
        (lambda: graph(edges=(("x", "double"), ("double", "all"), ("x", "all"), ("double", "all"))), "SP110"),
        (lambda: graph(MatMul(operands=("double", "x"))), "SP106"),
        (lambda: graph(Concat(axis=1, operands=("double", "x"))), "SP106"),
        (lambda: Gate(operands=TWO).output_shape((2, 3), (3,)), "SP106"),
        (lambda: Reshape((0, 0), (4,)).output_shape((2, 2)), "SP106"),
        (lambda: Slice(0, 3).output_shape((2, 2)), "SP106"),
        (lambda: Maximum((2,), (1,), (2,)), "SP105"),
        (lambda: StepAffine(np.array(1), np.array([1])), "SP101"),
        (lambda: StepAffine(np.array([1]), np.array([[1, 2, 3]])).output_shape((2, 2)), "SP104"),
        (lambda: graph(StepAffine(np.array([1]), np.array([1, 2])), edges=CHAIN), "SP113"),
        (lambda: Dilate((0,), (0,)).output_shape((2, 2)), "SP106"),
        (lambda: Sum(()).output_shape((2, 2)), "SP106"),
        (lambda: Repeat((2,)).output_shape((2, 2)), "SP106"),
    ],
)
def test_what_cannot_be_is_refused(build, code):
    with pytest.raises(SpikeportError) as caught:
        build()
    assert code in {finding.code for finding in caught.value.findings}


def test_an_operand_cannot_become_a_sum():
    nodes = {
        "x": Input((2,)),
        "y": Scale(np.float32(3)),
        "one": Scale(np.float32(1)),
        "gate": Gate(operands=("one", "x")),
    }
    edges = (("x", "y"), ("x", "one"), ("y", "one"), ("one", "gate"), ("x", "gate"))
    with pytest.raises(SpikeportError) as caught:
        Graph(nodes, edges, 1).bypass("one")
    assert caught.value.code == "SP119"


@pytest.mark.parametrize("kind", OPERATIONS)
def test_the_range_of_an_operation_holds_and_is_reached(kind):
    """All corners of [-2, 3] and [-1, 4]: the largest and the smallest value are among them."""
    node = {
        Concat: Concat(operands=TWO),
        Dilate: Dilate((2,), (0,)),
        Gate: Gate(operands=TWO),
        MatMul: MatMul(operands=TWO),
        Maximum: Maximum((2,), (1,), (1,)),
        Repeat: Repeat((2, 1)),
        Reshape: Reshape((1, 0), (2,)),
        Slice: Slice(0, 1),
        StepAffine: StepAffine(np.array([2]), np.array([[0]])),
        Sum: Sum((0, 1)),
    }[kind]
    shapes = [(1, 2), (2, 1) if kind is MatMul else (1, 2)][: len(node.operands) or 1]
    ranges = [Range(-2, 3), Range(-1, 4)][: len(shapes)]
    corners = itertools.product(*([x.low, x.high] for x, shape in zip(ranges, shapes, strict=True) for _ in range(2)))
    values = []
    for corner in corners:
        parts = [np.array(corner[2 * n : 2 * n + 2], float).reshape(1, 1, *shape) for n, shape in enumerate(shapes)]
        values.append(node.compute(*parts))
    assert node.reach(shapes, *ranges) == Range(int(np.min(values)), int(np.max(values)))
