"""Machine code on disk is not used after anything that was compiled into it has changed."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from spikeport import machine
from spikeport.engine.cpu import cycle, fire, gather, kernels, layout, listing, matrix, sums, tally, windows
from spikeport.machine import keys
from spikeport.training import kernels as training_kernels

LOOPS = (cycle, fire, gather, kernels, layout, listing, matrix, sums, tally, windows, training_kernels)
LOIHI = Path(kernels.__file__)

#: files of a made-up package, and what each imports
MADE_UP = {
    "engine/cpu/loops.py": ("from spikeport.engine.cpu.vectors import add", "from spikeport.machine import compiled"),
    "engine/cpu/vectors.py": ("from spikeport.machine.llvm import spread", "from spikeport.engine import neuron"),
    "engine/cpu/others.py": ("from spikeport.machine import compiled", "import numpy"),
    "engine/cpu/__init__.py": ("from spikeport.engine.cpu import loops, others",),
    "engine/neuron.py": (),
    "training/kernels.py": ("from spikeport.machine import compiled, llvm",),
    "machine/__init__.py": (),
    "machine/llvm.py": (),
}


@pytest.fixture
def package(tmp_path):
    for name, lines in MADE_UP.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "others"),
    [
        ("engine/cpu/loops.py", set()),
        ("engine/cpu/others.py", set()),
        ("training/kernels.py", set()),
        ("engine/neuron.py", set()),  # Python, which no loop is compiled from
        ("engine/cpu/vectors.py", {"engine/cpu/loops.py"}),
        ("machine/llvm.py", {"engine/cpu/loops.py", "engine/cpu/vectors.py", "training/kernels.py"}),
        ("machine/__init__.py", {"engine/cpu/loops.py", "engine/cpu/others.py", "training/kernels.py"}),
    ],
)
def test_a_change_in_a_file_changes_its_key_and_those_of_files_that_compile_it_in(package, changed, others):
    def all_keys():
        keys.key.cache_clear()
        return {name: keys.key(package / name, package) for name in MADE_UP if not name.endswith("cpu/__init__.py")}

    before = all_keys()
    assert all_keys() == before
    (package / changed).write_text((package / changed).read_text() + "\n# another line\n")
    after = all_keys()
    assert {name for name in after if after[name] != before[name]} == {changed, *others}


def test_a_loop_outside_of_the_package_has_a_key_of_all_that_it_imports(package):
    file = package.parent / "test_loops.py"
    file.write_text("from spikeport.engine.cpu import loops\n")
    cpu, machine = package / "engine" / "cpu", package / "machine"
    assert keys.sources(file, package) >= {file, cpu / "loops.py", cpu / "vectors.py", machine / "llvm.py"}
    assert package / "engine" / "neuron.py" not in keys.sources(file, package)


def test_the_key_of_the_neurons_holds_no_sums_and_that_of_training_nothing_of_the_engine():
    assert {path.name for path in keys.sources(LOIHI)} == {
        *("kernels.py", "advance.py", "lanes.py", "loihi_step.py", "real_step.py", "moves.py", "structures.py"),
        *("__init__.py", "keys.py", "llvm.py"),
    }
    assert {path.name for path in keys.sources(Path(training_kernels.__file__))} == {
        *("kernels.py", "__init__.py", "keys.py", "llvm.py")
    }


def loops():
    """Every compiled loop, with the file that it stands in."""
    return [
        (Path(module.__file__), loop)
        for module in LOOPS
        for loop in vars(module).values()
        if hasattr(loop, "py_func") and loop.py_func.__module__ == module.__name__
    ]


def test_loops_are_kept_under_the_key_of_their_file():
    kept = loops()
    assert {loop.py_func.__name__ for _, loop in kept} >= {
        "neurons",
        "fed_back",
        "events",
        "fire",
        "by_place",
        "moments",
    }
    for path, loop in kept:
        assert loop.py_func.__qualname__.endswith(keys.key(path))


def found(name):
    """Where a module stands; None where what is in front of its last dot is no package, or has none of that name."""
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None


def test_what_a_loop_names_comes_from_the_files_of_its_key():
    """By the interpreter's own finder: nothing of the package that a loop's code names lies outside."""
    for path, loop in loops():
        names = set(loop.py_func.__code__.co_names)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("spikeport"):
                for name in names & {alias.asname or alias.name for alias in node.names}:
                    spec = found(f"{node.module}.{name}") or found(node.module)
                    assert Path(spec.origin) in keys.sources(path), (loop.py_func.__name__, node.module)


DENSE = """
    import numpy as np
    from numba.core import event
    from spikeport.engine import simulate
    from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout

    class Names(event.Listener):
        def on_start(self, event):
            loop = event.data["dispatcher"].py_func
            if loop.__module__.startswith("spikeport"):
                print(loop.__module__.rsplit(".", 1)[1], loop.__name__)
        def on_end(self, event):
            pass

    event.register("numba:compile", Names())
    def dense(inputs, hidden):
        lif = LIF((hidden,), np.int32(2048), np.full(4, 5, np.int32), compare=">", gain=np.int32(1))
        nodes = {"input": Input((inputs,), low=0, high=1)}
        nodes |= {"fc1": Linear(np.ones((hidden, inputs), np.int8)), "lif1": lif}
        nodes |= {"fc2": Linear(np.ones((hidden, hidden), np.int8)), "lif2": lif}
        nodes |= {"head": Linear(np.ones((10, hidden), np.int8)), "out": Readout((10,), np.ones(4, np.int32))}
        graph = Graph.chain(nodes, timesteps=4, arithmetic=Loihi(LOIHI2))
        simulate(graph, np.zeros((8, inputs), int))  # nothing fires: events are added, whatever the processor

    dense(16, 20)
    print("larger")
    dense(64, 64)
"""


def test_a_tiny_integer_graph_compiles_neurons_alone_and_a_larger_one_one_loop_for_all_events(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    run = [sys.executable, "-c", textwrap.dedent(DENSE)]
    said = subprocess.run(run, capture_output=True, text=True, env=environment, check=True).stdout
    tiny, larger = ([line.split() for line in part.splitlines()] for part in said.split("larger\n"))
    assert {name for _, name in tiny} == {"neurons", "step", "of_step", "load", "keep"}, (
        "the loop of neurons, and what it calls"
    )
    assert {module for module, _ in tiny + larger} == {"kernels", "fire", "sums", "windows", "listing"}
    assert [name for _, name in larger].count("fire") == 1
    assert [name for _, name in tiny + larger].count("neurons") == 1, "not those of real numbers"


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
