"""Whatever happens to a Lava run, it ends with one coded error, and leaves no process and no shared memory behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.environments import VARIABLE
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi
from spikeport.target import Availability, Request
from spikeport_targets.entering import entering
from spikeport_targets.lava import Lava
from spikeport_targets.lava.child import ENVIRONMENT, execute
from spikeport_targets.lava.lowering import lower
from spikeport_targets.lava.target import LavaTarget

needs_lava = pytest.mark.skipif(not Lava().availability().ready, reason=Lava().availability().why)


def small(steps=4, size=3):
    nodes = {
        "input": Input((size,), low=0, high=1),
        "fc": Linear(np.full((2, size), 10, np.int8)),
        "lif": LIF((2,), decay=np.asarray(4096), threshold=np.arange(steps) + 5, bias=np.asarray(0), compare=">"),
    }
    return Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2))


def planned(samples=2):
    graph = small()
    return lower(graph, entering(graph, np.ones((samples, 3))), membranes=lambda name: False)


def left_behind(pid):
    """Segments, processes and folders of the Lava runs that a process started: all carry its number."""
    mark = f"psm_spikeport_{pid}_"
    segments = [file.name for file in Path("/dev/shm").glob(f"{mark}*")]
    workers = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if mark.encode() in command and state != "Z":
                workers.append(entry.name)
    folders = [path.name for path in Path(tempfile.gettempdir()).glob(f"spikeport-lava-{pid}-*")]
    return segments, workers, folders


def all_gone(pid, seconds=120):
    """Whether in the end nothing is left behind; a busy machine takes its time to end processes."""
    until = time.monotonic() + seconds
    while any(left_behind(pid)) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(left_behind(pid))


@pytest.fixture
def nothing_left():
    yield
    assert all_gone(os.getpid()), left_behind(os.getpid())


def test_a_lava_that_is_not_installed_is_said_with_the_way_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    available = Lava().availability()
    assert not available.ready
    assert "lava-nc==0.10.0" in available.mend
    assert "spikeport targets --install lava" in available.mend
    with pytest.raises(SpikeportError, match="--ignore-requires-python") as caught:
        Lava().run(small(), np.ones((1, 3)), Request())
    assert caught.value.code == "SP600"


def test_a_numpy_that_breaks_lavas_ports_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(np, "__version__", "2.4.0")
    monkeypatch.setattr(metadata, "version", lambda name: "0.10.0")
    available = Lava().availability()
    assert not available.ready
    assert "numpy<2.4" in available.mend


def test_an_environment_of_its_own_takes_over_where_lava_is_not_beside_spikeport(monkeypatch):
    """The same spikes; numpy is the environment's, and nothing that lies beside our packages is seen from there."""
    if ENVIRONMENT.interpreter() is None:
        pytest.skip(f"Lava has no environment of its own: {ENVIRONMENT.command}")
    beside = Lava().run(small(), np.ones((2, 3)), Request(trains=True)) if LavaTarget().beside().ready else None
    monkeypatch.setattr(LavaTarget, "beside", lambda self: Availability(False, "", "not here", "no way"))
    assert Lava().availability().ready
    apart, ours = (run(small(), np.ones((2, 3)), Request(trains=True)) for run in (Lava().run, simulate))
    for record in filter(None, (beside, ours)):
        assert np.array_equal(apart.trains["lif"].unpack(), record.trains["lif"].unpack())
        assert np.array_equal(apart.outputs, record.outputs)
    assert apart.trains["lif"].unpack().any()


def test_asking_whether_lava_is_there_does_not_import_it():
    code = """
        import sys
        from spikeport_targets.lava import Lava
        Lava().availability()
        assert not [name for name in sys.modules if name.split(".")[0] == "lava"]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_the_worker_imports_neither_torch_nor_what_imports_it():
    code = """
        import sys
        from spikeport_targets.lava import worker
        worker.shim.install()
        worker.import_lava()
        assert "lava.magma.compiler.compiler" in sys.modules
        assert not {"torch", "onnx", "numba"} & set(sys.modules)
    """
    if not LavaTarget().beside().ready:
        pytest.skip(LavaTarget().beside().why)
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_every_process_of_ours_has_its_models_where_lava_and_its_child_processes_find_them():
    code = """
        import pickle
        from spikeport_targets.lava import worker
        worker.shim.install()
        worker.import_lava()
        from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
        for name, process in worker.classes().items():
            sample = object.__new__(process)
            sample._runtime = None
            models = ProcGroupDiGraphs._find_proc_models(sample)
            if process.__module__.startswith("spikeport_targets"):
                assert [pickle.loads(pickle.dumps(model)) for model in models] == models
            kinds = ("fixed_pt",) if name == "ShiftedConv" else ("fixed_pt", "floating_pt")
            assert len(models) == len(kinds), (name, models)
            assert all(sum(kind in model.tags for model in models) == 1 for kind in kinds), (name, models)
    """
    if not LavaTarget().beside().ready:
        pytest.skip(LavaTarget().beside().why)
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", textwrap.dedent(code)], check=True)


@pytest.mark.lava
@needs_lava
@pytest.mark.usefixtures("nothing_left")
def test_an_exception_inside_a_lava_process_comes_back_with_its_traceback():
    broken = planned()
    arrays = dict(broken.processes["lif"].arrays)
    arrays["decay"] = np.ones(7, np.int32)  # does not broadcast over two neurons
    object.__setattr__(broken.processes["lif"], "arrays", arrays)
    with pytest.raises(SpikeportError) as caught, execute([broken], 60, None, lambda done, total: None):
        pass
    assert caught.value.code == "SP620"
    assert "models.py" in str(caught.value)
    assert "could not be broadcast" in str(caught.value)


@pytest.mark.lava
@needs_lava
@pytest.mark.usefixtures("nothing_left")
def test_a_hang_ends_at_the_time_limit():
    endless = planned(samples=300_000)
    with pytest.raises(SpikeportError) as caught, execute([endless], 6, None, lambda done, total: None):
        pass
    assert caught.value.code == "SP621"  # without the limit, the suite's own would end this test


@pytest.mark.lava
@needs_lava
@pytest.mark.usefixtures("nothing_left")
def test_a_run_past_its_memory_is_ended():
    with pytest.raises(SpikeportError) as caught, execute([planned()], 60, 2**20, lambda done, total: None):
        pass
    assert caught.value.code == "SP622"


PARENT = """
    import signal
    import numpy as np
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts with &
    from test_failures import planned
    from spikeport_targets.lava.child import execute
    with execute([planned(samples=300_000)], 300, None, lambda done, total: done and print(done, flush=True)):
        pass
"""


def running_parent():
    """A process in the middle of a Lava run."""
    path = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().strip().isdigit()  # it is under way
    return parent


@pytest.mark.lava
@needs_lava
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_parent_that_is_killed_or_interrupted_leaves_nothing(kind):
    parent = running_parent()
    with parent:
        segments, workers, folders = left_behind(parent.pid)
        assert segments
        assert len(folders) == 1
        assert len(workers) > 5  # the worker, its fork, Lava's processes
        parent.send_signal(kind)
        parent.wait()
    assert parent.returncode != 0
    assert all_gone(parent.pid), left_behind(parent.pid)


@pytest.mark.lava
@needs_lava
def test_runs_follow_each_other_in_one_session():
    graph, samples = small(), np.eye(3)
    first, second = (Lava().run(graph, samples, Request(trains=True)) for _ in range(2))
    np.testing.assert_array_equal(first.trains["lif"].unpack(), second.trains["lif"].unpack())
    assert first.trains["lif"].unpack().any()
    assert first.seconds > 0


@pytest.mark.lava
@needs_lava
def test_progress_counts_the_samples():
    told = []
    Lava().run(small(), np.ones((50, 3)), Request(progress=lambda done, total: told.append((done, total))))
    assert told[-1] == (50, 50)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
