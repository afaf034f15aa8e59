"""Machine code on disk is not used after anything that was compiled into it has changed."""

from __future__ import annotations

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
