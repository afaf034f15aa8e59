"""Jobs in worker processes of this machine; whichever of them ends, however it ends, its job begins again elsewhere."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Self

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.jobs import message
from spikeport.jobs.executor import Ended, Queue
from spikeport.jobs.job import Job
from spikeport.jobs.store import Store
from spikeport.process import most_memory, processors

DEATHS = 8  #: of workers at one job, after which it has failed: it takes too much memory, or crashes
BIRTHS = 3  #: nurseries that end before a worker is born, after which there is no use in another
TAIL = 1500  #: characters of what workers wrote that an error shows
ROOT = str(Path(__file__).parents[2])  #: where this package lies
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(eq=False)
class Worker:
    """A process at the other end of a socket, and the job that it has."""

    end: Connection
    pid: int | None = None  #: None until it is born
    job: Job | None = None
    silent: bool = False  #: its end is closed, and its death not yet told


AGAIN = -1  #: the turn of a job whose worker died: before all others


class Processes:
    """``count`` workers, all processors unless said, each with its share of the machine's processors."""

    def __init__(self, store: Store, count: int | None = None) -> None:
        self.store = store
        self.workers = count or processors()
        self.queue = Queue()
        self.over: deque[Ended] = deque()
        self.there: list[Worker] = []
        self.unborn: deque[Worker] = deque()
        self.deaths: Counter[str] = Counter()
        self.nursery: subprocess.Popen[bytes] | None = None
        self.births = BIRTHS

    def __enter__(self) -> Self:
        self.log = tempfile.TemporaryFile()  # what workers write, until this ends
        return self

    def __exit__(self, *_: object) -> None:
        if self.nursery is not None:
            self.control.close()  # it ends every worker
            try:
                self.nursery.wait(10)
            except subprocess.TimeoutExpired:
                self.nursery.kill()
                self.nursery.wait()
        for worker in self.there:
            worker.end.close()
        self.log.close()
        self.store.clean()

    def submit(self, job: Job, turn: int = 0) -> None:
        self.queue.add(job, turn)
        self._hand_out()

    def ended(self) -> Ended:
        while not self.over:
            self._hand_out()
            ends = {worker.end: worker for worker in self.there if worker.job is not None and not worker.silent}
            for ready in wait([self.control, *ends]):
                if ready is self.control:
                    self._hear()
                elif isinstance(ready, Connection) and ready in ends:
                    self._answered(ends[ready])
        return self.over.popleft()

    def _hand_out(self) -> None:
        """Give jobs to idle workers, as long as there is room for what they need."""
        while self.queue and (worker := self._idle()) is not None:
            taken = [each.job.needs for each in self.there if each.job is not None]
            free = (
                self.workers - sum(needs.cpus for needs in taken),
                most_memory() - sum(needs.memory for needs in taken),
            )
            job = next(
                (j for j in self.queue if not taken or (j.needs.cpus <= free[0] and j.needs.memory <= free[1])), None
            )
            if job is None:
                return
            self.queue.remove(job)
            self._hand(job, worker)

    def _hand(self, job: Job, worker: Worker) -> None:
        try:
            text = message.write(job)
        except SpikeportError as error:
            self.over.append(Ended(job, error.findings))
            return
        worker.job = job
        with suppress(BrokenPipeError, ConnectionResetError):  # its death will be told
            worker.end.send_bytes(text)

    def _idle(self) -> Worker | None:
        """A worker without a job, born if need be; None where there are as many as may be."""
        idle = next((worker for worker in self.there if worker.job is None and not worker.silent), None)
        if idle is not None or len(self.there) >= self.workers:
            return idle
        if self.nursery is None:
            self._start()
        ours, theirs = socket.socketpair()
        with suppress(BrokenPipeError, ConnectionResetError):  # the nursery's death will be noticed
            socket.send_fds(self.control, [b"+"], [theirs.fileno()])
        theirs.close()
        worker = Worker(Connection(ours.detach()))
        with suppress(BrokenPipeError, ConnectionResetError):
            worker.end.send(str(self.store.place.absolute()))
        self.there.append(worker)
        self.unborn.append(worker)
        return worker

    def _start(self) -> None:
        """Start a nursery that has imported what the waiting jobs call."""
        self.births -= 1
        if self.births < 0:
            fail(
                "SP957",
                "no worker can be started",
                why=self._said(),
                mend="see what this Python can import: spikeport doctor",
            )
        self.control, theirs = socket.socketpair()
        threads = str(max(1, processors() // self.workers))
        places = [place or os.getcwd() for place in sys.path]
        self.nursery = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "spikeport.jobs.nursery",
                str(theirs.fileno()),
                str(self.workers),
                json.dumps(places),
                *self._modules(),
            ],
            env=os.environ
            | dict.fromkeys(THREADS, threads)
            | {"PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), ROOT])},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,  # Ctrl-C reaches the driver alone
        )
        theirs.close()
        self.heard = b""

    def _modules(self) -> Iterator[str]:
        return iter(dict.fromkeys(job.call.__module__ for job in self.queue))

    def _hear(self) -> None:
        """What the nursery tells: births and deaths, or its own end."""
        try:
            text = self.control.recv(1 << 16)
        except ConnectionResetError:
            text = b""
        if not text:
            self._alone()
            return
        *lines, self.heard = (self.heard + text).split(b"\n")
        for told in map(json.loads, lines):
            if "born" in told:
                self.unborn.popleft().pid = told["born"]
                self.births = BIRTHS
            else:
                dead = next(worker for worker in self.there if worker.pid == told["died"])
                self._buried(dead, told["status"])

    def _answered(self, worker: Worker) -> None:
        try:
            findings = worker.end.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            worker.silent = True
            return
        assert worker.job is not None
        self.over.append(Ended(worker.job, findings))
        worker.job = None

    def _buried(self, worker: Worker, status: int) -> None:
        """A worker is gone; its job, unless it was answered before, is for another one."""
        while worker.job is not None and not worker.silent and worker.end.poll():
            self._answered(worker)
        self.there.remove(worker)
        worker.end.close()
        job = worker.job
        if job is None:
            return
        self.deaths[job.key] += 1
        if self.deaths[job.key] < DEATHS:
            self.queue.add(job, AGAIN)
            return
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        what = f"{DEATHS} workers ended while they ran it, the last by {how}"
        mend = "SIGKILL is usually the system's, for want of memory: run fewer at once, --on processes:1"
        self.over.append(Ended(job, (Finding("SP956", what, job.name, self._said(), mend),)))

    def _alone(self) -> None:
        """The nursery is gone, and its workers end by themselves; the next job starts another."""
        assert self.nursery is not None
        self.control.close()
        status = self.nursery.wait()
        self.nursery = None
        for worker in list(self.there):
            while worker.job is not None and not worker.silent:  # until it answers, or its end closes
                self._answered(worker)
            self._buried(worker, status)
        self.unborn.clear()

    def _said(self) -> str:
        """The end of what workers wrote."""
        self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, self.log.tell() - TAIL))
        return self.log.read().decode(errors="replace").strip()
