"""A worker: takes jobs from a socket, one at a time, and answers why each failed, or nothing."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from spikeport.findings import Finding, SpikeportError
from spikeport.jobs import message
from spikeport.jobs.executor import attempt
from spikeport.jobs.store import Store


def work(end: int) -> None:
    """Serve the socket of this file descriptor until the driver closes its end."""
    driver = Connection(end)
    store = Store(Path(driver.recv()))
    while True:
        try:
            text = driver.recv_bytes()
        except (EOFError, OSError):
            return
        driver.send(_done(text, store))


def _done(text: bytes, store: Store) -> tuple[Finding, ...]:
    try:
        job = message.read(text)
    except SpikeportError as error:
        return error.findings
    return attempt(job, store.perform)
