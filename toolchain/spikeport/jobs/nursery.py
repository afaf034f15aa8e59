"""The process in which workers are born: it has imported what they need, and runs nothing itself.

    driver ── socket ──► nursery ── fork ──► workers, each the leader of a process group
       └───────────────── socket ────────────┘

The driver sends the end of a socket for each worker that it wants, and is told of each worker's birth and death. When
the driver is gone, however it ended, the nursery ends every group; when the nursery is gone, each worker its own.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module

from spikeport.jobs.worker import work

WATCH = 0.5  #: seconds between two looks of a worker after its nursery


def main() -> None:
    """Serve the driver at the other end of the socket on file descriptor ``argv[1]``.

    ``argv[2]`` is how many workers there may be, ``argv[3]`` where the driver finds modules, and what follows are those
    to import. Python's own come first, since a folder of the user's may hold a file with the name of one.
    """
    driver = socket.socket(fileno=int(sys.argv[1]))
    count = int(sys.argv[2])
    sys.path += [place for place in json.loads(sys.argv[3]) if place not in sys.path]
    for name in sys.argv[4:]:
        import_module(name)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    workers: dict[int, int] = {}  # the number of each, by its process
    try:
        while True:
            ready = select.select([driver.fileno(), wake], [], [])[0]
            if wake in ready:
                os.read(wake, 1024)
            _bury(driver, workers)
            if driver.fileno() in ready:
                message, fds, _, _ = socket.recv_fds(driver, 1, 1)
                if not message:
                    return
                number = next(n for n in range(len(workers) + 1) if n not in workers.values())
                workers[_born(driver, fds[0], number, count, wake, woken)] = number
    finally:
        for pid in workers:
            _end_group(pid)


def _born(driver: socket.socket, end: int, number: int, count: int, *others: int) -> int:
    """Fork the worker ``number`` of ``count``, which serves the socket ``end``; tells the driver its process."""
    nursery, pid = os.getpid(), os.fork()
    if pid:
        os.close(end)
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # both do it, whichever comes first
        _tell(driver, {"born": pid})
        return pid
    status = 1
    try:
        with suppress(PermissionError):
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        driver.close()
        for other in others:
            os.close(other)
        _keep_to(number, count)
        threading.Thread(target=_watch, args=(nursery,), daemon=True).start()
        work(end)
        status = 0
    finally:
        os._exit(status)


def _keep_to(number: int, count: int) -> None:
    """Keep a worker, and all that it starts, to its share of the processors that there are for ``count``.

    What runs as many small processes that wait for one another, as Lava does, takes a quarter less of a processor's
    time where they do not move, and two such workers take turns on two processors otherwise.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    there = sorted(os.sched_getaffinity(0))
    share = there[len(there) * number // count : len(there) * (number + 1) // count]
    os.sched_setaffinity(0, share or {there[number % len(there)]})


def _watch(nursery: int) -> None:
    """End this process's group as soon as the nursery is gone."""
    while os.getppid() == nursery:
        time.sleep(WATCH)
    _end_group(os.getpid())


def _bury(driver: socket.socket, workers: dict[int, int]) -> None:
    """Tell the driver of the workers that ended, after the rest of their groups has ended too."""
    for pid in list(workers):
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            _end_group(pid)
            del workers[pid]
            _tell(driver, {"died": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(driver: socket.socket, message: dict[str, int]) -> None:
    driver.sendall(json.dumps(message).encode() + b"\n")


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    with suppress(BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        main()
