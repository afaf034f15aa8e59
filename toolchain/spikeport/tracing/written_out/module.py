"""An ONNX model of another tool as a torch module that runs its operators, so that it is captured like any module.

Neurons that a tool's exporter wrote out, a comparison and some sums a timestep, are read off as hand-written ones are,
and proved the same way. Parts of the module are named by what the file tells of the original's: the weights' names, the
operators' paths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from spikeport.formats.onnx.draft import attributes
from spikeport.graph import Array
from spikeport.tracing.symbols import SAY_STEPS, Unsupported
from spikeport.tracing.written_out.batches import Recorded, with_batch
from spikeport.tracing.written_out.names import label, paths
from spikeport.tracing.written_out.operator import Operator, Part, sane
from spikeport.tracing.written_out.operators import ELEMENTWISE, RULES
from spikeport.tracing.written_out.prepared import STANDARD, constant, known, prepared
from spikeport.tracing.written_out.sizes import sizes_of
from spikeport.tracing.written_out.tidy import last_uses, refuse_read, tidied

MOST_AXES = 8  #: of an input
MOST_IN_ALL = 2**32  #: values that all operators make of one batch
Values = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
OPEN = 2  #: a size that a file leaves open, in a run that shows whether it is


class OnnxModule(nn.Module):
    """The operators of a model, in their order; of several outputs it gives all, by their names.

    Raises `Unsupported` for a model whose further inputs are no states, and with the first operator that no rule knows.
    """

    def __init__(self, model: onnx.ModelProto, arrays: Mapping[str, Array], timesteps: int | None = None) -> None:
        super().__init__()
        graph = model.graph
        inputs = [info for info in graph.input if info.name not in arrays]
        self.entry, self.ends = inputs[0].name, [info.name for info in graph.output]
        self.sizes = sizes_of(inputs[0])  #: of the input
        if self.sizes[:2] == [None, None]:
            if timesteps is None:
                raise Unsupported("the input leaves its first two axes open", "SP384", SAY_STEPS)
            self.sizes[0] = timesteps
        if len(self.sizes) > MOST_AXES:
            raise Unsupported(f"the input has {len(self.sizes)} axes")
        self.folding: frozenset[Recorded] = (
            frozenset()
        )  #: reshapes behind which the batch is looked for in an axis first
        self.states = {info.name: sizes_of(info) for info in inputs[1:]}  #: further inputs of a model of one step
        kind = onnx.TensorProto.DataType.Name(inputs[0].type.tensor_type.elem_type)
        if kind not in ("FLOAT", "DOUBLE") and not becomes_float(graph.node, self.entry):
            raise Unsupported(f"the input is {kind}, and more is made of it than float32")
        #: whether float32 is what the model computes in, so that it may be run in float64 as a whole
        self.single = kind != "DOUBLE"
        self.opset = next((each.version for each in model.opset_import if each.domain in STANDARD), 17)
        self.constants: dict[str, str] = {}  #: their attributes here, by name
        self.folded = 0  #: values that were made of constants
        self.operators: list[onnx.NodeProto] = []
        self.recorded: dict[str, Recorded] = {}  #: of reshapes, by their outputs
        for name, values in arrays.items():
            self._keep(name, torch.from_numpy(np.array(values)))
        operators = tidied(graph.node, self.ends, arrays)
        refuse_read(operators, [info.name for info in inputs])
        for operator in operators:
            known(operator)
            if not self._folded(operator):
                self.operators.append(operator)
        self.last = last_uses(self.operators, self.ends)
        self.paths: dict[str, str] = {}
        self.paths = paths(self.operators, lambda name: hasattr(self, name))
        for path in sorted(set(self.paths.values())):
            self._add(path)
        self._record()

    # -- before it runs -----------------------------------------------------------------------------------------------

    def _keep(self, name: str, values: Tensor) -> None:
        """A constant; floating ones are parameters, so that they change their type with the module."""
        place = f"constant{len(self.constants)}"
        if values.is_floating_point():
            self.register_parameter(place, nn.Parameter(values, requires_grad=False))
        else:
            self.register_buffer(place, values)
        self.constants[name] = place

    def _folded(self, operator: onnx.NodeProto) -> bool:
        """Compute what depends on constants alone, once."""
        if operator.op_type == "Constant":
            self._keep(operator.output[0], constant(operator))
            return True
        if any(name and name not in self.constants for name in operator.input):
            return False
        for name, values in zip(operator.output, self._run(operator, self._held()), strict=False):
            self.folded += values.numel()
            sane([self.folded])
            self._keep(name, values.detach().clone())
        return True

    def _add(self, path: str) -> None:
        here: nn.Module = self
        for name in path.split("."):
            if name not in here._modules:
                here.add_module(name, Part())
            here = here.get_submodule(name)

    def _record(self) -> None:
        """Note the shapes of a run at the file's batch; of one that leaves it open, but runs at 1 alone, at that."""
        kind = torch.float32 if self.single else torch.float64
        sane([size or OPEN for size in self.sizes])
        if None in self.sizes:
            try:
                self._values(self._nothing(OPEN, kind))
            except (RuntimeError, IndexError):  # torch's exporter takes an example of one sample for all there is
                self.sizes = [size or 1 for size in self.sizes]
            else:
                return
        shapes: Shapes = {}
        self._values(self._nothing(1, kind), shapes=shapes)
        for place, operator in enumerate(self.operators):
            if operator.op_type == "Reshape":
                before, behind = (shapes[name] for name in (operator.input[0], operator.output[0]))
                self.recorded[operator.output[0]] = Recorded(before, behind)
            elif operator.op_type in ELEMENTWISE:
                self.operators[place] = self._narrowed(operator, shapes)

    def _nothing(self, size: int, kind: torch.dtype) -> Tensor:
        """Samples that are 0, with ``size`` where the file says none."""
        return torch.zeros([each or size for each in self.sizes], dtype=kind)

    def _narrowed(self, operator: onnx.NodeProto, shapes: Shapes) -> onnx.NodeProto:
        """An operator whose constants that are the same along an axis, as first membranes are along the batch, leave it
        to the other operand, which has it."""
        others = [shapes[name] for name in operator.input if name not in self.constants]
        if shapes[operator.output[0]] not in others:
            return operator
        whole, operator = operator, onnx.NodeProto()
        operator.CopyFrom(whole)  # the model stays as it is, and may be read again
        for place, name in enumerate(operator.input):
            values = getattr(self, self.constants[name]) if name in self.constants else None
            if values is None or not values.ndim:
                continue
            narrow = values
            for axis in range(values.ndim):
                if bool((narrow == narrow.narrow(axis, 0, 1)).all()):
                    narrow = narrow.narrow(axis, 0, 1)
            if narrow.numel() < values.numel() or narrow.numel() == 1:
                operator.input[place] = f"{name} alone"
                if operator.input[place] not in self.constants:
                    self._keep(operator.input[place], (narrow if narrow.numel() > 1 else narrow.reshape(())).clone())
        return operator

    # -- when it runs -------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        values = self._values(x)
        made = {name: values[name] for name in self.ends}
        return made if len(made) > 1 else made[self.ends[0]]

    def _held(self) -> Values:
        return {name: getattr(self, place) for name, place in self.constants.items()}

    def _values(self, x: Tensor, states: Sequence[Tensor] = (), shapes: Shapes | None = None) -> Values:
        """What the operators make of ``x``, and of states, which are 0 at the start; the last of them hold the ends.

        ``shapes`` takes those of every value, and is where a model is refused that makes more of them than a network.
        """
        batch = next((was for now, was in zip(x.shape, self.sizes, strict=False) if was not in (None, now)), None)
        states = states or [x.new_zeros((len(x), *(size or 1 for size in sizes[1:]))) for sizes in self.states.values()]
        values = self._held() | {self.entry: x} | dict(zip(self.states, states, strict=True))
        for operator in self.operators:
            part = self.get_submodule(self.paths[operator.output[0]])
            for name, made in zip(operator.output, self._run(operator, values, part, batch, x.dtype), strict=False):
                values[name] = made
            if shapes is not None:
                self._note(shapes, operator, values)
            for name in self.last[operator.output[0]]:  # a large model does not hold all of its steps
                values.pop(name, None)
        return values

    def _note(self, shapes: Shapes, operator: onnx.NodeProto, values: Values) -> None:
        shapes |= {name: tuple(values[name].shape) for name in (*operator.input, *operator.output) if name in values}
        for name in operator.output:
            sane(shapes.get(name, ()))
        sane([sum(map(math.prod, shapes.values()))], MOST_IN_ALL)

    def _run(
        self,
        operator: onnx.NodeProto,
        values: Values,
        part: nn.Module | None = None,
        batch: int | None = None,
        real: torch.dtype = torch.float32,
    ) -> Sequence[Tensor]:
        ready = prepared(operator, values, self.opset, real if self.single else torch.float32)
        rule = RULES[operator.op_type]
        if batch is not None and operator.output[0] in self.recorded:
            known_as = self.recorded[operator.output[0]]
            shape = with_batch(tuple(ready.x.shape), known_as, batch, folds=known_as in self.folding)
            ready, rule = Operator([ready.x, torch.tensor(shape)], {}), RULES["Reshape"]
        if isinstance(part, Part):
            part.operator = label(operator)
            made = part(rule, ready)
        else:
            made = rule(ready)
        return made if isinstance(made, tuple | list) else (made,)


class OnnxStep(OnnxModule):
    """A model of one timestep: behind its sample the states of the last step go in, and in the same order come out."""

    def forward(  # type: ignore[override]
        self, x: Tensor, state: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        values = self._values(x, state or ())
        made = [values[name] for name in self.ends]
        return made[0], made[1:]


def module_of(model: onnx.ModelProto, arrays: Mapping[str, Array], timesteps: int | None = None) -> OnnxModule:
    """The module that a model is, of all its steps or of one. Raises `Unsupported` for inputs that are no states."""
    inputs = [info for info in model.graph.input if info.name not in arrays]
    if not inputs or not model.graph.output:
        raise Unsupported("the model has no input, or no output")
    if len(inputs) == 1:
        return OnnxModule(model, arrays, timesteps)
    states, ends = inputs[1:], list(model.graph.output)[1:]
    shapes = [[sizes_of(info)[1:] for info in infos] for infos in (states, ends)]
    if shapes[0] != shapes[1] or any(None in sizes for sizes in shapes[0]):
        what = f"the model has {len(inputs)} inputs, a network has one; those behind it would be states, and come out "
        raise Unsupported(f"{what}again behind the first output, in the same order and of the same shape")
    return OnnxStep(model, arrays)


def becomes_float(operators: Iterable[onnx.NodeProto], entry: str) -> bool:
    """Whether an input of whole numbers is cast to float32, and nothing else is made of it."""
    users = [operator for operator in operators if entry in operator.input]
    return all(user.op_type == "Cast" and attributes(user).get("to") == onnx.TensorProto.FLOAT for user in users)


def results(made: Tensor | dict[str, Tensor] | tuple[Tensor, list[Tensor]]) -> list[Tensor]:
    """What a module gave, one or several."""
    if isinstance(made, tuple):
        return [made[0], *made[1]]
    return list(made.values()) if isinstance(made, dict) else [made]
