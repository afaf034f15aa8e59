"""Loops, scans, branches and lists of ONNX models written out: onnxruntime runs the model, we a row of operators."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from spikeport.tracing.symbols import SAY_STEPS, Unsupported
from spikeport.tracing.written_out import loops, row
from spikeport.tracing.written_out.module import OnnxModule
from spikeport.tracing.written_out.straight import RULES, straight

f4 = np.float32
SHAPE = (4, 2, 3)  #: of x


def parsed(body, entering="float[4, 2, 3] x", opset=17):
    """A model of the input x and the output y."""
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({entering}) => (float y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def ours(model, x, timesteps=None):
    whole, arrays = straight(model, {}, timesteps)
    kinds = {operator.op_type for operator in whole.graph.node}
    assert not kinds & set(RULES)
    return OnnxModule(whole, arrays)(torch.from_numpy(x)).numpy()


def same(model, x=None):
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(f4) if x is None else x
    session = InferenceSession(model.SerializeToString())
    made = ours(model, x)
    np.testing.assert_array_equal(made, session.run(None, {"x": x})[0])
    return made


LOOP = """
    n = Constant <value_int = {times}> ()
    c = Constant <value = bool {{ {begins} }}> ()
    y, all = Loop <body = b (int64 i, bool go, float[2, 3] s) => (bool more, float[2, 3] t, float[2, 3] u) {{
        part = Gather (x, i)
        half = Constant <value_float = 0.5> ()
        kept = Mul (s, half)
        t = Add (kept, part)
        u = Neg (t)
        last = Constant <value_int = {last}> ()
        more = Less (i, last)
    }}> (n, c, start)
"""
START = "zero = Constant <value_int = 0> () start = Gather (x, zero)"


@pytest.mark.parametrize(
    ("times", "begins", "last", "runs"), [(4, 1, 9, 4), (4, 1, 1, 2), (1, 1, 9, 1), (0, 1, 9, 0), (4, 0, 9, 0)]
)
def test_a_loop_runs_so_often(times, begins, last, runs):
    """As the number says, or until its body says no; of no time what it carries is as it was."""
    body = START + LOOP.format(times=times, begins=begins, last=last)
    if not runs:
        body = body.replace("y, all = Loop", "y = Loop").replace(", float[2, 3] u)", ")").replace("u = Neg (t)", "")
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(f4)
    state = x[0]
    for time in range(runs):
        state = f4(0.5) * state + x[time]
    np.testing.assert_array_equal(same(parsed(body), x), state)


def test_what_each_time_of_a_loop_makes_is_stacked():
    swapped = LOOP.replace("y, all =", "all, y =")
    assert same(parsed(START + swapped.format(times=4, begins=1, last=9))).shape == SHAPE


@pytest.mark.parametrize("said", ["", "scan_input_directions = [1],", "scan_output_directions = [1],"])
@pytest.mark.parametrize(("along", "shape"), [("", "2, 3"), ("scan_input_axes = [1],", "4, 3")])
@pytest.mark.parametrize("out", ["", "scan_output_axes = [1],", "scan_output_axes = [-1],"])
def test_a_scan_over_any_axis_both_ways(said, along, shape, out):
    axis = 1 if along else 0
    model = parsed(f"""
        zero = Constant <value_int = 0> () start = Gather <axis = {axis}> (x, zero)
        end, y = Scan <num_scan_inputs = 1, {said} {along} {out}
            body = b (float[{shape}] s, float[{shape}] p) => (float[{shape}] t, float[{shape}] u) {{
                half = Constant <value_float = 0.5> ()
                kept = Mul (s, half)
                t = Add (kept, p)
                u = Neg (t)
            }}> (start, x)""")
    same(model)


def test_a_loop_within_a_loop_and_what_both_take_from_outside():
    model = parsed("""
        n = Constant <value_int = 3> () m = Constant <value_int = 2> () c = Constant <value = bool {1}> ()
        zero = Constant <value_int = 0> () start = Gather (x, zero)
        y = Loop <body = outer (int64 i, bool go, float[2, 3] s) => (bool more, float[2, 3] t) {
            part = Gather (x, i)
            t = Loop <body = inner (int64 j, bool on, float[2, 3] v) => (bool again, float[2, 3] w) {
                sum = Add (v, part)
                at = Add (i, j)
                other = Gather (x, at)
                w = Mul (sum, other)
                again = Identity (on)
            }> (m, c, s)
            more = Identity (go)
        }> (n, c, start)""")
    same(model)


@pytest.mark.parametrize("which", [0, 1])
def test_a_branch_that_a_constant_chooses(which):
    same(
        parsed(f"""
        c = Constant <value = bool {{ {which} }}> ()
        n = Neg (x)
        y = If <then_branch = a () => (float[4, 2, 3] p) {{ p = Abs (x) }},
                else_branch = b () => (float[4, 2, 3] q) {{ q = Identity (n) }}> (c)""")
    )


@pytest.mark.parametrize(
    "body",
    [
        "a = Neg (x) q = SequenceConstruct (x, a) y = ConcatFromSequence <axis = 1> (q)",
        "a = Neg (x) q = SequenceConstruct (x, a) y = ConcatFromSequence <axis = -1, new_axis = 1> (q)",
        """a = Neg (x) e = SequenceEmpty () q = SequenceInsert (e, x) n = Constant <value_int = -1> ()
           r = SequenceInsert (q, a, n) y = ConcatFromSequence <axis = 0> (r)""",
        """a = Neg (x) q = SequenceConstruct (x, a, x) n = Constant <value_int = -2> () r = SequenceErase (q, n)
           y = ConcatFromSequence <axis = 0> (r)""",
        "a = Neg (x) q = SequenceConstruct (x, a) r = SequenceErase (q) y = ConcatFromSequence <axis = 0> (r)",
        "q = SplitToSequence <axis = 1> (x) n = Constant <value_int = -1> () y = SequenceAt (q, n)",
        "q = SplitToSequence <axis = 2, keepdims = 0> (x) n = Constant <value_int = 1> () y = SequenceAt (q, n)",
        """s = Constant <value_int = 1> () q = SplitToSequence <axis = -1, keepdims = 0> (x, s)
           n = Constant <value_int = 1> () y = SequenceAt (q, n)""",
        """s = Constant <value_int = 2> () q = SplitToSequence <axis = 2> (x, s)
           n = Constant <value_int = 1> () y = SequenceAt (q, n)""",
        """s = Constant <value_ints = [1, 2, 1]> () q = SplitToSequence (x, s)
           n = Constant <value_int = 1> () y = SequenceAt (q, n)""",
        """q = SplitToSequence (x) n = SequenceLength (q) f = Cast <to = 1> (n) y = Mul (x, f)""",
    ],
)
def test_lists(body):
    same(parsed(body))


def test_a_value_that_may_be_none():
    same(
        parsed("""
        o = Optional (x) h = OptionalHasElement (o) f = Cast <to = 1> (h)
        v = OptionalGetElement (o) y = Mul (v, f)""")
    )


def test_names_that_look_like_ours_are_others():
    """`@` is what our own names begin with, where no name of the model holds one."""
    model = parsed(START + LOOP.format(times=4, begins=1, last=9))
    plain = straight(model, {}, None)[0]
    theirs = next(name for each in plain.graph.node for name in each.output if name.startswith("@"))
    for operator in model.graph.node:
        operator.input[:] = [theirs if name == "start" else name for name in operator.input]
        operator.output[:] = [theirs if name == "start" else name for name in operator.output]
    same(model)


COUNTED = """
    shape = Shape (x) at = Constant <value_int = {axis}> () n = Gather (shape, at)
    c = Constant <value = bool {{1}}> ()
    y = Loop <body = b (int64 i, bool go, float[2, 3] s) => (bool more, float[2, 3] t) {{
        part = Gather <axis = {axis}> (x, i)
        t = Add (s, part)
        more = Identity (go)
    }}> (n, c, start)
"""


@pytest.mark.parametrize(("axis", "entering"), [(0, "float[T, 2, 3] x"), (1, "float[B, T, 3] x")])
def test_an_open_axis_that_a_loop_counts_takes_the_number_of_steps(axis, entering):
    start = f"zero = Constant <value_int = 0> () start = Gather <axis = {axis}> (x, zero)"
    model = parsed(start + COUNTED.format(axis=axis), entering)
    for steps in (1, 6):
        x = np.random.default_rng(0).standard_normal((steps, 2, 3) if axis == 0 else (2, steps, 3)).astype(f4)
        theirs = InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
        np.testing.assert_array_equal(ours(model, x, steps), theirs)
    with pytest.raises(Unsupported, match=f"as often as axis {axis} of its input") as caught:
        straight(model, {}, None)
    assert (caught.value.code, caught.value.mend) == ("SP384", SAY_STEPS)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (START + LOOP.format(times=2**62, begins=1, last=2**62), "'y': Loop makes more than 1,000 operators"),
        (
            "n = Constant <value_int = 4611686018427387904> () c = Constant <value = bool {1}> () "
            "y = Loop <body = b (int64 i, bool go, float[4, 2, 3] s) => (bool go, float[4, 2, 3] s) {}> (n, c, x)",
            "does not end",
        ),
        (START + LOOP.format(times=0, begins=1, last=9), "runs no time"),
        (
            "s = ReduceSum <keepdims = 0> (x) c = Cast <to = 9> (s) "
            "y = If <then_branch = a () => (float p) { p = Abs (x) }, "
            "else_branch = b () => (float q) { q = Neg (x) }> (c)",
            "If goes by values of the input",
        ),
        ("q = SplitToSequence (x) y = Neg (q)", "takes the list 'q' for a value"),
        ("n = Constant <value_int = 0> () y = SequenceAt (x, n)", "no list that the model makes"),
        (
            "s = Constant <value_float = 1.0> () c = IsNaN (s) "
            "y = If <then_branch = a () => (float p) { p = Abs (x) }, "
            "else_branch = b () => (float q) { q = Neg (x) }> (c)",
            "operator 'c': IsNaN has no place",
        ),
    ],
)
def test_what_is_not_written_out_says_why(body, why, monkeypatch):
    for room in (row, loops):
        monkeypatch.setattr(room, "MOST_OPERATORS", 1000)
    with pytest.raises(Unsupported, match=why):
        straight(parsed(body), {}, None)
