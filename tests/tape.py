"""Stands for a CUDA graph on a CPU: takes down PyTorch's operations and the launches of kernels, and repeats them.

As a graph it repeats the same on the same memory, whatever Python would do by then; what is new in it is poisoned
before, as uninitialised memory may hold anything; and it refuses what a card refuses while it is taken down: reading a
value, and a tensor whose size follows from values. What ran while it was taken down is undone, for there nothing runs.
"""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from guards import POISON, as_bytes

READS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


def refuse(func, args):
    """Raise RuntimeError, as a capture does, for one that waits for the card or is given a value of Python's."""
    by_number = "index" in func.name() and all(
        each.dtype not in (torch.bool, torch.uint8) for each in args[1] if each is not None
    )
    if any(tag in func.tags for tag in READS) and not by_number:
        raise RuntimeError(f"{func} needs values while it is taken down")
    if func is torch.ops.aten.lift_fresh.default:
        raise RuntimeError("a value of Python's becomes a tensor while it is taken down")


def tensors(*values):
    """All tensors in there."""
    return [each for each in tree_leaves(values) if isinstance(each, torch.Tensor)]


def memory(tensor):
    """Where it lies."""
    return tensor.untyped_storage().data_ptr()


class Tape(TorchDispatchMode):
    """Call it with a launch: what comes back repeats it. ``names``: what was taken down, in its order."""

    def __init__(self):
        super().__init__()
        self.calls, self.names, self.before, self.own = [], [], {}, set()

    def __call__(self, launch):
        with kernels_to(self._launched), self:
            launch()
        for tensor, value in self.before.values():  # nothing runs while it is taken down
            tensor.copy_(value)
        return self.again

    def again(self):
        """Repeat all of it."""
        with torch.no_grad():
            for call in self.calls:
                call()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        refuse(func, args)
        written = [
            value
            for value, declared in zip(args, func._schema.arguments, strict=False)
            if declared.alias_info is not None and declared.alias_info.is_write
        ]
        self._keep(tensors(written))
        out = func(*args, **kwargs)
        given = {memory(each) for each in tensors(args, kwargs)}
        fresh = [each for each in tensors(out) if memory(each) not in given]
        self.own |= {memory(each) for each in fresh}
        if written or fresh:
            self.names.append(func.name())
            self.calls.append(lambda: _repeat(func, args, kwargs, fresh, tensors(out)))
        return out

    def _launched(self, name, launch, given):
        """A kernel: it may write to all that it is given."""
        with _disable_current_modes():
            self._keep(tensors(given))
            launch()
        self.names.append(name)
        self.calls.append(launch)

    def _keep(self, values):
        """The values of tensors from outside, before the first of them is written."""
        for each in values:
            if memory(each) not in self.own and memory(each) not in self.before:
                whole = as_bytes(each.untyped_storage())
                self.before[memory(each)] = whole, whole.clone()


def _repeat(func, args, kwargs, fresh, out):
    if "empty" in func.name():
        for each in fresh:
            as_bytes(each.untyped_storage()).fill_(POISON)
        return
    now = tensors(func(*args, **kwargs))
    for old, new in zip(out, now, strict=True):
        if any(old is each for each in fresh):
            old.copy_(new)


class Watch(TorchDispatchMode):
    """Sees every operation; ``moved`` are those that bring values from one kind of memory to another."""

    def __init__(self):
        super().__init__()
        self.seen, self.moved = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        refuse(func, args)
        out = func(*args, **(kwargs or {}))
        self.seen += 1
        if len({each.device for each in tensors(args, kwargs, out)}) > 1:
            self.moved.append(func.name())
        return out


@contextmanager
def kernels_to(hear):
    """Within, launches of Triton's kernels go to ``hear(name, launch, what is given)``."""
    from triton.runtime.jit import KernelInterface

    before = KernelInterface.__getitem__

    def heard(kernel, grid):
        name = getattr(kernel, "base_fn", getattr(kernel, "fn", kernel)).__name__
        return lambda *args, **named: hear(name, lambda: before(kernel, grid)(*args, **named), (args, named))

    KernelInterface.__getitem__ = heard
    try:
        yield
    finally:
        KernelInterface.__getitem__ = before
