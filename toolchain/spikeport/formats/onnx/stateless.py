"""What has no state, in ONNX: synapses, pools and the like, in floats or in exact integers.

Integers run as int32 between nodes. A synapse is a float32 product where every sum stays below 2**24 and is exact in
any order, for which onnxruntime takes a fraction of ConvInteger's time. Else it is ConvInteger or MatMulInteger, where
its input fits 8 bits (shifted to unsigned ones where it can be negative, which ONNX calls the zero point; so are the
weights of convolutions, which onnxruntime takes signed only from 1.25 on).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.formats.onnx.layout import Layout, Value
from spikeport.graph import Conv, Flatten, Linear, Node, Norm, Pool, Range, Scale, Synapse, over_neurons
from spikeport.graph.hosted import by_host
from spikeport.graph.ranges import sums

EXACT = 2**24  #: integers up to here are exact in float32
#: largest unsigned input of a product with signed bytes: without VNNI, x86 adds two of them in 16 bits, which saturate
#: (VPMADDUBSW; onnxruntime's MatMulInteger, "Quantize ONNX models", on the data types of weights)
SIGNED = 128


def linear(self: Layout, name: str, node: Linear, x: Value) -> Value:
    """A matrix product."""
    x = self.as_batch(x)
    if self.integers:
        return _integer(self, name, node, x, {})
    inputs = [x.name, self.array(name, "weight", node.weight)]
    if node.bias is not None:
        inputs.append(self.array(name, "bias", node.bias))
    return Value(self.builder.op("Gemm", inputs, name, transB=1), x.form, self.graph.shapes[name])


def conv(self: Layout, name: str, node: Conv, x: Value) -> Value:
    """A convolution."""
    x = self.as_batch(x)
    window: dict[str, Any] = {
        "strides": node.stride,
        "pads": [*node.padding] * 2,
        "dilations": node.dilation,
        "group": node.groups,
        "kernel_shape": node.kernel,
    }
    if self.integers:
        return _integer(self, name, node, x, window)
    inputs = [x.name, self.array(name, "weight", node.weight)]
    if node.bias is not None:
        inputs.append(self.array(name, "bias", node.bias))
    return Value(self.builder.op("Conv", inputs, name, **window), x.form, self.graph.shapes[name])


def _integer(self: Layout, name: str, node: Synapse, x: Value, window: dict[str, Any]) -> Value:
    """The sum and its shift by the exponent, towards minus infinity."""
    entering = self.entering(name)
    bounds = sums(self.summed, name, self.ranges)
    weight, exponent = _weight(self, name, node, np.dtype(np.int8 if _in_bytes(self, entering, bounds) else np.float32))
    total = _product(self, name, x, entering, bounds, weight, window)
    build = self.builder
    if exponent > 0:
        total = build.op("Mul", [total, build.constant(2**exponent)], name)
    elif exponent < 0:
        divisor = build.constant(2**-exponent)
        rest = build.op("Mod", [total, divisor], f"{name}/rest")  # of the divisor's sign: never negative
        total = build.op("Div", [build.op("Sub", [total, rest], f"{name}/whole"), divisor], name)
    return Value(total, x.form, self.graph.shapes[name])


def _weight(self: Layout, name: str, node: Synapse, dtype: np.dtype[Any]) -> tuple[str, int]:
    """The mantissas that are summed, and the exponent that is left for the sum."""
    build, each = self.builder, self.profile is not None and self.profile.weight_shift == "each"
    if not each or node.exponent >= 0 or by_host(self.graph, name):
        return self.array(name, "weight", node.weight, dtype), node.exponent
    exact = build.cast(self.array(name, "weight", node.weight, np.int8), np.float32, f"{name}/mantissas")
    shifted = build.op("Mul", [exact, build.constant(2.0**node.exponent, np.float32)], f"{name}/shifted")
    whole = build.op("Floor", [shifted], f"{name}/floored")
    return (whole if dtype == np.float32 else build.cast(whole, dtype, f"{name}/weights")), 0


def _in_bytes(self: Layout, entering: Range, total: Range) -> bool:
    """Whether a product runs in whole bytes, which few tools know and none is fast at, and not in float32."""
    return entering.byte and (self.old or total.size > EXACT)


def _product(
    self: Layout, name: str, x: Value, entering: Range, total: Range, weight: str, window: dict[str, Any]
) -> str:
    """The sum of products as int32; ``weight`` is int8 where it runs in bytes, else float32."""
    build = self.builder
    if not window:
        weight = build.op("Transpose", [weight], f"{name}/transposed", perm=[1, 0])
    if _in_bytes(self, entering, total):
        offset = 128 if entering.low < 0 else 0
        lifted = build.op("Add", [x.name, build.constant(offset)], f"{name}/lifted") if offset else x.name
        inputs = [build.cast(lifted, np.uint8, f"{name}/entering"), weight]
        inputs += [build.constant(offset, np.uint8, "zero_point")] if offset else []
        if not self.old and (window or entering.high + offset > SIGNED):
            shifted = build.op(
                "Add", [build.cast(weight, np.int32, f"{name}/wide"), build.constant(128)], f"{name}/raised"
            )
            inputs = [inputs[0], build.cast(shifted, np.uint8, f"{name}/unsigned")]
            inputs += [build.constant(zero, np.uint8, "zero_point") for zero in (offset, 128)]
        return build.op("ConvInteger" if window else "MatMulInteger", inputs, f"{name}/sums", **window)
    if total.size > EXACT:
        fail(
            "SP206",
            f"sums may reach {total.size}, too large for exact integer arithmetic in ONNX",
            where=f"node {name!r}",
            mend="quantise with fewer bits",
        )
    inputs = [build.cast(x.name, np.float32, f"{name}/entering"), weight]
    products = build.op("Conv" if window else "MatMul", inputs, f"{name}/products", **window)
    return build.cast(products, np.int32, f"{name}/sums")


def pool(self: Layout, name: str, node: Pool, x: Value) -> Value:
    """A pool; a sum is a convolution with ones, and so is an average whose padding is wider than onnxruntime takes."""
    x = self.as_batch(x)
    window: dict[str, Any] = {"kernel_shape": node.kernel, "strides": node.stride, "pads": [*node.padding] * 2}
    shape = self.graph.shapes[name]
    average = node.kind == "average"
    if average and all(side < size for side, size in zip(node.padding, node.kernel, strict=True)):
        return Value(self.builder.op("AveragePool", [x.name], name, count_include_pad=1, **window), x.form, shape)
    # nine times an average of nine would not be exact
    ones = np.ones((x.shape[0], 1, *node.kernel))
    window |= {"group": x.shape[0]}
    if not self.integers:
        weight = self.builder.constant(ones, wish=f"{name}/ones")
        output = self.builder.op("Conv", [x.name, weight], f"{name}/sums" if average else name, **window)
        if average:
            share = self.builder.constant(1 / np.prod(node.kernel))
            output = self.builder.op("Mul", [output, share], name)
        return Value(output, x.form, shape)
    entering = self.entering(name)
    total = self.ranges[name]
    weight = self.builder.constant(ones, np.int8 if _in_bytes(self, entering, total) else np.float32, f"{name}/ones")
    return Value(_product(self, name, x, entering, total, weight, window), x.form, shape)


def flatten(self: Layout, name: str, node: Flatten, x: Value) -> Value:
    """All axes into one."""
    x = self.as_batch(x)
    output = self.builder.op("Flatten", [x.name], name, axis=1)
    return Value(output, x.form, self.graph.shapes[name])


def scale(self: Layout, name: str, node: Scale, x: Value) -> Value:
    """A product with constants."""
    factor = self.array(name, "factor", over_neurons(node.factor, x.shape))
    return Value(self.builder.op("Mul", [x.name, factor], name), x.form, x.shape)


def norm(self: Layout, name: str, node: Norm, x: Value) -> Value:
    """Batch normalisation."""
    x = self.as_batch(x)
    gamma, beta, mean, var = (self.array(name, key, getattr(node, key)) for key in node.arrays)
    if node.scale != 1.0:
        gamma = self.builder.op("Mul", [gamma, self.builder.constant(node.scale)], f"{name}/scaled")
    inputs = [x.name, gamma, beta, mean, var]
    return Value(self.builder.op("BatchNormalization", inputs, name, epsilon=node.eps), x.form, x.shape)


RULES: dict[type[Node], Callable[[Any, str, Any, Any], Value]] = {
    Linear: linear,
    Conv: conv,
    Pool: pool,
    Flatten: flatten,
    Scale: scale,
    Norm: norm,
}
