"""A job on its way to another process, which is ours: it reads nothing that somebody else may have written."""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Never

from spikeport.findings import fail
from spikeport.jobs.job import Job


def write(job: Job) -> bytes:
    """The job as bytes. Raises SP950 where something that it carries exists in this process only."""
    text = io.BytesIO()
    pickler = pickle.Pickler(text)
    pickler.dispatch_table = copyreg.dispatch_table | {MappingProxyType: _read_only}
    try:
        pickler.dump(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        _fails(job.name, error)
    return text.getvalue()


def read(message: bytes) -> Job:
    """The job. Raises SP950 where its function, or a class of what it carries, is not to be found from here."""
    try:
        job = pickle.loads(message)
    except (ImportError, AttributeError, pickle.UnpicklingError) as error:
        _fails("", error)
    assert isinstance(job, Job)
    return job


def _read_only(mapping: Mapping[Any, Any]) -> tuple[Any, ...]:
    return _again, (dict(mapping),)


def _again(values: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(values)


def _fails(name: str, error: Exception) -> Never:
    what = f"a job cannot be read by another process ({type(error).__name__}: {error})"
    fail("SP950", what, where=name, mend="name models by files, or run it --on here")
