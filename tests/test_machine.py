"""Machine code on disk is not used after anything that was compiled into it has changed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from spikeport import machine
from spikeport.engine.cpu import advance, kernels
from spikeport.machine import llvm
from spikeport.training import kernels as training_kernels


def test_another_vector_is_other_machine_code(tmp_path):
    """numba keeps a loop under a name that every file of the rooms goes into, not the loop's own file alone."""
    for room, name in (
        ("engine", "loops.py"),
        ("engine", "vectors.py"),
        ("training", "kernels.py"),
        ("machine", "llvm.py"),
    ):
        (tmp_path / room).mkdir(exist_ok=True)
        (tmp_path / room / name).write_text("1")
    before = machine.sources(tmp_path)
    assert machine.sources(tmp_path) == before
    for room, name in (("engine", "vectors.py"), ("machine", "llvm.py")):
        (tmp_path / room / name).write_text("2")
        assert machine.sources(tmp_path) != before
        before = machine.sources(tmp_path)


def test_the_toolkit_is_part_of_that_name():
    package = Path(machine.__file__).parent.parent
    hashed = {path for room in machine.ROOMS for path in (package / room).rglob("*.py")}
    assert {Path(llvm.__file__), Path(advance.__file__), Path(training_kernels.__file__)} <= hashed


def test_loops_are_kept_under_that_name():
    for loop in (kernels.loihi, training_kernels.moments):
        assert loop.py_func.__qualname__.endswith(machine.SOURCES)


def test_a_loop_runs_where_nothing_can_be_kept(monkeypatch):
    """As numba has it for a read-only place: an error when caching is asked for."""
    asked = []

    def njit(**options):
        asked.append("cache" in options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda loop: loop

    monkeypatch.setattr(machine, "njit", njit)
    assert machine.compiled(lambda x: x + 1)(1) == 2
    assert asked == [True, False]


def test_the_first_loop_that_is_compiled_is_told_once_and_kept_code_never(tmp_path):
    """The same program twice, with a cache of its own: the second time nothing is compiled."""
    code = """
        import numpy as np
        from spikeport import process
        calls = []
        process.told.compiling = lambda: calls.append(1)
        from spikeport.engine.cpu import layout
        for kind in (np.uint8, np.int32):
            x = np.ones((1, 3, 5), kind)
            layout.turn(x, np.empty((1, 5, 3), kind), 0, 1)
        print(len(calls))
    """
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    run = [sys.executable, "-c", textwrap.dedent(code)]
    said = [subprocess.run(run, capture_output=True, text=True, env=environment, check=True).stdout for _ in range(2)]
    assert said == ["1\n", "0\n"]
