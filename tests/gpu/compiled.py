"""Launches of kernels that compile them for a card which is not there: `compiling` stands for its driver.

A kernel is given what a launch gives it, on PyTorch's device without values, and bound, specialised and compiled as
Triton does on a card, each tile that would be tried. So what a card's compiler would refuse, an argument's type, a
tile's shape, fails here, and the machine code says what it takes: registers, shared memory, what is spilled.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction, KernelInterface

#: bytes of shared memory that a block may have, by compute capability (CUDA programming guide, table of capabilities)
SHARED = {80: 163 << 10, 86: 99 << 10, 89: 99 << 10, 90: 227 << 10, 100: 227 << 10, 120: 99 << 10}
REGISTERS = 65536  #: of a processor, all of which one block may hold
WARP = 32


class Driver:
    """Of a card of compute capability ``number``: tells what is compiled for, and launches nothing."""

    def __init__(self, number):
        self.number = number

    def get_current_target(self):
        return GPUTarget("cuda", self.number, WARP)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device=None):
        return 0


@dataclass(frozen=True)
class Made:
    """A kernel in one form: what it was compiled with, and what its code takes."""

    name: str
    constants: dict  #: by argument
    lined_up: bool  #: whether 16 divides the channels of all groups and of one
    warps: int
    stages: int
    shared: int  #: bytes of a block
    registers: int  #: of a thread
    spilled: int  #: bytes of a thread's stack
    text: str  #: PTX

    @property
    def tile(self):
        """Rows, columns and depth, where it multiplies."""
        return tuple(self.constants.get(each) for each in ("bm", "bn", "bk"))

    def refusals(self, capability):
        """What a card of this capability has less of."""
        if self.shared > (least := SHARED.get(capability, min(SHARED.values()))):
            yield f"{self.shared} bytes of shared memory, a block has {least}"
        if self.registers * self.warps * WARP > REGISTERS:
            yield f"{self.registers} registers in {self.warps} warps, a processor has {REGISTERS}"


def compiled(kernel, function, constants, divisible):
    """What Triton compiled, with its resources. ``divisible``: places of arguments, and whether 16 divides them."""
    given = {each.name: constants[(each.num,)] for each in function.params if (each.num,) in constants}
    channels = next((each.num for each in function.params if each.name == "channels"), None)
    lined_up = all(divisible.get((channels, field)) for field in range(4))
    facts = kernel.metadata
    taken = facts.shared, *_resources(kernel.asm["cubin"])
    return Made(function.fn.__name__, given, lined_up, facts.num_warps, facts.num_stages, *taken, kernel.asm["ptx"])


def _resources(cubin):
    """Registers of a thread, and the bytes that it spills."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.search(r"REG:(\d+) STACK:(\d+)", text).groups()))


@contextmanager
def compiling(capability, hear, *, tiles=None, share=(0, 1)):
    """Within, each new form of a kernel that is launched is compiled, and ``hear`` gets it as `Made`.

    ``tiles``: only so many of those that a layer would try. ``share``: of (i, n) every nth form, from the one i on.
    """
    make, seen = JITFunction._do_compile, set()

    def launched(kernel, grid):
        if tiles is None or not hasattr(kernel, "prune_configs"):
            return lambda *args, **named: kernel.warmup(*args, grid=grid, **named)

        def few(*args, **named):
            kernel.nargs = dict(zip(kernel.arg_names, args, strict=False))
            for config in kernel.prune_configs(named)[:tiles]:
                kernel.fn.warmup(*args, grid=grid, **named, **config.all_kwargs())

        return few

    def made(self, key, signature, device, constants, options, divisible, warmup):
        if (self, key) in seen:
            return None
        seen.add((self, key))
        if len(seen) % share[1] != share[0]:
            return None
        kernel = make(self, key, signature, device, constants, options, divisible, warmup)
        hear(compiled(kernel, self, constants, divisible))
        return kernel

    with (
        mock.patch.object(driver, "_active", Driver(capability)),
        mock.patch.object(KernelInterface, "__getitem__", launched),
        mock.patch.object(JITFunction, "_do_compile", made),
    ):
        yield
