"""The toolkit for code that is built for LLVM by hand, where its own vectoriser falls short of what a processor can do.

`intrinsic` makes a function of the compiled loops from one that builds its code; the others build parts of such code.
A tuple named ``units`` is a type: its length times `EIGHT` is the number of lanes, known when a loop is compiled, so
that what belongs together stays in registers. LLVM takes vectors of any length apart into what the processor has, so
none of this depends on one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

UNIT = 16  #: lanes of rows of weights are a multiple of this
EIGHT = 8  #: and those of neurons of this
Body = Callable[[Any, int, Any], None]
WORD, INT, SHORT, BYTE = (ir.IntType(bits) for bits in (64, 32, 16, 8))


def intrinsic(build: Callable[..., Any]) -> Any:
    """A function of the compiled loops from ``build(typing, *arguments)``, which returns signature and generator."""
    return numba.extending.intrinsic(build)


# -- values -----------------------------------------------------------------------------------------------------------


def lanes_of(units: Any) -> int:
    """The lanes that a tuple stands for."""
    return EIGHT * len(units)


def constant(kind: Any, value: int) -> Any:
    """A vector of some kind that holds the same number in each lane."""
    return ir.Constant(kind, [value] * kind.count)


def spread(builder: Any, value: Any, lanes: int) -> Any:
    """A vector that holds ``value`` in each lane."""
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined), value, INT(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(INT, lanes), [0] * lanes))


def pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, target: Any) -> Any:
    """Where ``array[at]`` lies, as a pointer to ``target``."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), target.as_pointer())


def named(builder: Any, kind: Any, value: Any) -> Any:
    """The values of a named tuple, under their names."""
    return kind.instance_class(*(builder.extract_value(value, i) for i in range(len(kind))))


def named_kinds(kind: Any) -> Any:
    """The types of a named tuple's values, under their names."""
    return kind.instance_class(*kind.types)


@intrinsic
def float_of(typing: Any, bits: Any) -> Any:
    """A float32 of its 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def bits_of(typing: Any, value: Any) -> Any:
    """The 32 bits of a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], INT)

    return types.uint32(types.float32), generate


def of_vector(builder: Any, operation: str, value: Any, result: Any) -> Any:
    """An operation of LLVM's own on a vector of integers or floats, as "floor", and of which type its ``result`` is."""
    kind = value.type
    letter = "i" if isinstance(kind.element, ir.IntType) else "f"
    bits = kind.element.width if letter == "i" else 64 if isinstance(kind.element, ir.DoubleType) else 32
    name = f"llvm.{operation}.v{kind.count}{letter}{bits}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, [kind]), name)
    return builder.call(function, [value])


# -- ways through the code --------------------------------------------------------------------------------------------


def only_where(builder: Any, condition: Any, numbers: Callable[[], list[Any]]) -> list[Any]:
    """The 64-bit ``numbers()``, computed only where a condition holds; else zeros."""
    before = builder.block
    with builder.if_then(condition):
        counted = numbers()
        counting = builder.block
    results = [builder.phi(WORD) for _ in counted]
    for result, number in zip(results, counted, strict=True):
        result.add_incoming(number, counting)
        result.add_incoming(WORD(0), before)
    return results


def chosen(
    builder: Any,
    name: str,
    cases: Sequence[int],
    case: Any,
    arguments: list[Any],
    body: Callable[[Any, int, Any], None],
) -> None:
    """Call the function of a ``case``, known when the code runs: each of ``cases`` is one, built by ``body``.

    So vectors of every length stay in registers, and a loop that uses them is compiled once for all lengths. The bodies
    are in ``body(builder, case, arguments)``; nothing happens for other cases.
    """
    done = builder.append_basic_block("chosen")
    switch = builder.switch(case, done)
    for number in cases:
        block = builder.append_basic_block("case")
        switch.add_case(ir.Constant(case.type, number), block)
        builder.position_at_end(block)
        builder.call(_function(builder.module, f"spikeport.{name}.{number}", number, arguments, body), arguments)
        builder.branch(done)
    builder.position_at_end(done)


def _function(module: Any, name: str, case: int, arguments: list[Any], body: Body) -> Any:
    """A function of the module, built when it is first asked for."""
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [each.type for each in arguments]), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    inside = ir.IRBuilder(function.append_basic_block("entry"))
    body(inside, case, function.args)
    inside.ret_void()
    return function


def carried(builder: Any, begin: Any, end: Any, values: list[Any], body: Callable[[Any, list[Any]], list[Any]]) -> Any:
    """``values = body(i, values)`` for i = begin ... end - 1, in registers; what they are in the end."""
    entry = builder.block
    loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_signed("<", begin, end), loop, done)
    builder.position_at_end(loop)
    i, inside = builder.phi(WORD), [builder.phi(value.type) for value in values]
    changed = body(i, inside)
    last = builder.block  # of the body, which may hold loops
    following = builder.add(i, WORD(1))
    for value, first, later in zip((i, *inside), (begin, *values), (following, *changed), strict=True):
        value.add_incoming(first, entry)
        value.add_incoming(later, last)
    _rolled(builder, builder.cbranch(builder.icmp_signed("<", following, end), loop, done))
    builder.position_at_end(done)
    after = [builder.phi(value.type) for value in values]
    for value, first, later in zip(after, values, changed, strict=True):
        value.add_incoming(first, entry)
        value.add_incoming(later, last)
    return after


def _rolled(builder: Any, branch: Any) -> None:
    """Keep LLVM from unrolling the loop of a branch: short runs then leave by one exit, which is mispredicted once."""
    module = builder.module
    never = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = ir.MDValue(module, [never], name=str(len(module.metadata)))
    loop.operands = (loop, never)  # a loop's name is itself
    branch.set_metadata("llvm.loop", loop)
