"""Jobs on a Ray cluster: one of this machine, or one that is there. Ray is imported when this is first used.

What a job reads goes to its node, and what it writes comes back, so that the machines need no folder in common; only
the driver writes into the store. A job whose worker or node is lost runs again elsewhere (Ray's own retries).
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from spikeport import __version__
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.jobs import message, scratch
from spikeport.jobs.executor import Ended, Queue, attempt
from spikeport.jobs.job import Job
from spikeport.jobs.processes import DEATHS
from spikeport.jobs.store import RESULT, Store
from spikeport.process import processors
from spikeport.reading import line

Files = dict[str, bytes]  #: by name
AHEAD = 4  #: jobs that are handed to the cluster for each of its CPUs
ROOM = 64  #: and at least so many
PORT, PATIENCE = 10001, 5.0  #: of Ray's clients; seconds in which a host has to answer
RECOUNT = 5.0  #: seconds after which the cluster is asked again how many CPUs it has

#: environment of Ray: no report to its authors, no warning of a default, and three tries of 2 s at a host that listens
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "2",
    "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "2",
}


class OnRay:
    """A local cluster of ``count`` CPUs, or the one at ``address`` (``ray://…``), or the one this process is in."""

    def __init__(self, store: Store, count: int | None = None, address: str | None = None) -> None:
        try:
            os.environ.update({name: word for name, word in QUIET.items() if name not in os.environ})
            import ray
        except ImportError:
            fail("SP955", "Ray is not installed", mend="pip install 'spikeport[cluster]', or --on processes")
        self.ray = ray
        self.store, self.count, self.address = store, count, address
        self.queue = Queue()
        self.jobs: dict[Any, Job] = {}  #: by the reference to what they will return
        self.place: Path | None = None
        self.begun = False
        self.counted, self.cpus = float("-inf"), 1

    @property
    def workers(self) -> int:
        if time.monotonic() > self.counted + RECOUNT:
            self.counted, self.cpus = time.monotonic(), max(1, int(self.ray.cluster_resources().get("CPU", 1)))
        return self.cpus

    def __enter__(self) -> Self:
        if not self.ray.is_initialized():
            self.begun = True
            try:
                self._begin()
            except BaseException:
                self.__exit__()  # what it has begun, and its folder
                raise
        self.task = self.ray.remote(perform)
        return self

    def __exit__(self, *_: object) -> None:
        for reference in self.jobs:
            self.ray.cancel(reference, force=True)
        if self.begun:
            self.ray.shutdown()
        if self.place is not None:
            shutil.rmtree(self.place, ignore_errors=True)
        scratch.clean(Path(tempfile.gettempdir()), "spikeport-job.*")

    def submit(self, job: Job, turn: int = 0) -> None:
        self.queue.add(job, turn)
        self._hand_out()

    def ended(self) -> Ended:
        self._hand_out()
        (reference,), _ = self.ray.wait(list(self.jobs), num_returns=1)
        job = self.jobs.pop(reference)
        try:
            findings, files, clock = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:  # after the last retry
            what = f"{DEATHS} workers ended while they ran it ({type(error).__name__})"
            return Ended(job, (Finding("SP956", what, job.name, str(error)[:1500], "see the cluster's own log"),))
        if not findings:
            self.store.take(job, files)
            self.store.clock(job.key, clock)
        return Ended(job, findings)

    def _begin(self) -> None:
        options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if self.address is None:
            home = Path(tempfile.gettempdir())
            scratch.clean(home, "ray.*")
            self.place = scratch.part(home / "ray")  # short: Ray puts sockets below it, whose paths have 107 bytes
            options |= {
                "num_cpus": self.count or processors(),
                "include_dashboard": False,
                "_temp_dir": str(self.place),
            }
        else:
            _answers(self.address)
            options |= {"address": self.address, "runtime_env": shipped()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is wrong is said below
                self.ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            what = f"no cluster answers ({str(error).strip().splitlines()[0][:200]})"
            short = "set TMPDIR to a folder whose path is shorter, as /tmp"
            longer = "; whether it asks for a token, RAY_AUTH_MODE; RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S=30 waits longer"
            longer = longer if "timeout" in what else ""
            mend = short if "AF_UNIX" in what else f"see whether it runs: ray status{longer}"
            fail("SP955", what, where=self.address or "ray", mend=mend)

    def _hand_out(self) -> None:
        room = max(ROOM, AHEAD * self.workers) - len(self.jobs)
        for _ in range(min(room, len(self.queue))):
            job = self.queue.first()
            needs: dict[str, Any] = {
                "num_cpus": job.needs.cpus,
                "num_gpus": job.needs.gpus,
                "memory": job.needs.memory or None,
            }
            needs |= {"max_retries": DEATHS - 1, "retry_exceptions": False}
            read = {(o.job.key, o.name): self.store.file(o).read_bytes() for o in job.before}
            place = None if self.place is None else str(self.place)
            reference = self.task.options(**needs).remote(message.write(job), read, __version__, place)
            self.jobs[reference] = job


def _answers(address: str) -> None:
    """Raise SP955 where nobody listens at ``ray://HOST:PORT``: Ray itself tries several times, and cannot say why.

    A cluster that has just begun refuses for some seconds.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            place = urlsplit(address)
            socket.create_connection((place.hostname or "", place.port or PORT), PATIENCE).close()
            return
        except (OSError, ValueError) as error:  # a name that is none, or a port
            if isinstance(error, ConnectionRefusedError) and time.monotonic() < until:
                time.sleep(0.2)
                continue
            why = f"{PATIENCE:g} s passed" if isinstance(error, TimeoutError) else line(error)
            mend = "see whether it runs, and which host and port it says: ray status"
            fail("SP955", f"no cluster answers ({why})", where=address, mend=mend)


def shipped() -> dict[str, Any]:
    """What goes to the nodes of a cluster: the working directory, and what the environment says to spikeport."""
    names = [name for name in os.environ if name.startswith("SPIKEPORT_")]
    return {"working_dir": os.getcwd(), "env_vars": {name: os.environ[name] for name in names}}


def perform(
    text: bytes, read: dict[tuple[str, str], bytes], version: str, place: str | None
) -> tuple[tuple[Finding, ...], Files, dict[str, Any]]:
    """On a node: run a job in a folder of its own; why it failed, its files, and when and where it ran.

    Nothing of it outlives the job here, so that nothing waits for the node's disk.
    """
    if version != __version__:
        what = f"the node {socket.gethostname()} has spikeport {__version__}, the driver {version}"
        return (Finding("SP958", what, mend="install the same version on all nodes"),), {}, {}
    try:
        job = message.read(text)
    except SpikeportError as error:
        return error.findings, {}, {}
    home = Path(place or tempfile.gettempdir())
    scratch.clean(home, "spikeport-job.*")
    folder = scratch.part(home / "spikeport-job")
    store, written = Store(folder), folder / "written"
    written.mkdir(parents=True)

    def fill(job: Job) -> None:
        (written / RESULT).write_text(store.fill(job, written), encoding="utf-8")

    try:
        for (key, name), data in read.items():
            path = store.folder(key) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        begun, clock = time.time(), time.perf_counter()
        findings = attempt(job, fill)
        about = {"begun": begun, "seconds": time.perf_counter() - clock, "host": socket.gethostname()}
        files = {str(each.relative_to(written)): each.read_bytes() for each in written.rglob("*") if each.is_file()}
        return findings, files, about
    finally:
        shutil.rmtree(folder, ignore_errors=True)
