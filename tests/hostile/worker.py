"""Reads mutants in forks of one warm Python, each with 5 s of its processor's time and 1 GB beyond what it begins with.

A fork reads one mutant after another and says how each ended; where it dies or does not come back, the next goes on.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from hostile import forks
from hostile.formats import FORMATS, mutant
from hostile.originals import File

SECONDS, MEMORY, PATIENCE = 5, 2**30, 60  #: of the processor; bytes; seconds by the clock, whatever else runs
LONGEST = 8_000  #: characters of what is said of one file


def outcome(name: str, path: Path) -> str:
    """ "read", the code of the error, or what is wrong with the end that reading came to."""
    from spikeport.findings import SpikeportError

    try:
        FORMATS[name].read(path)
    except SpikeportError as error:
        text = "".join(str(finding) for finding in error.findings)
        return error.code if len(text) <= LONGEST * len(error.findings) else f"SAYS {len(text)} characters"
    except BaseException as error:
        last = [frame for frame in traceback.extract_tb(error.__traceback__) if "spikeport" in frame.filename][-1:]
        place = f" at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
        return f"CRASH {type(error).__name__}{place}: {str(error)[:150]}"
    return "read"


def wrong(ended: str) -> bool:
    """Whether an end is none that is promised."""
    return not (ended == "read" or ended.startswith("SP"))


def run(name: str, seeds: list[int]) -> Iterator[tuple[int, str]]:
    """How each mutant ended, in order."""
    with tempfile.TemporaryDirectory() as folder:
        originals = FORMATS[name].originals(Path(folder))
        yield from judged(name, seeds, lambda seed: mutant(name, originals, seed), Path(folder))


def judged(name: str, seeds: list[int], make: Callable[[int], File], folder: Path) -> Iterator[tuple[int, str]]:
    """How each file ended that ``make`` makes of a number, in order."""
    done = 0
    while done < len(seeds):
        for ended in _fork(name, make, seeds[done:], folder):
            yield seeds[done], ended
            done += 1


def _fork(name, make, seeds, folder) -> Iterator[str]:
    """The ends that one fork says; the last is its own where it does not reach the end of the seeds."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(here)
        os.setsid()  # a codec's child that hangs ends with it, and does not keep the pipe open
        _child(name, make, seeds, folder, there)
    os.close(there)
    said = 0
    try:
        with os.fdopen(here) as lines:
            while said < len(seeds):
                if not select.select([lines], [], [], PATIENCE)[0]:
                    os.killpg(child, signal.SIGKILL)
                line = lines.readline()
                if not line:
                    break
                said += 1
                yield json.loads(line)
    finally:  # also where the rest is not wanted
        if said < len(seeds):
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if said < len(seeds):
        yield f"DIED of signal {-status}" if status != -signal.SIGXCPU else f"TOOK more than {SECONDS} s"


def _child(name, make, seeds, folder, pipe) -> None:
    """In the fork: does not return."""
    from spikeport.memory import taken

    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    try:
        for seed in seeds:
            ending, data = make(seed)
            place = folder / f"m{seed}"
            place.mkdir()
            path = place / f"m{ending}"
            path.write_bytes(data)
            spent = resource.getrusage(resource.RUSAGE_SELF)
            resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + 1 + SECONDS, -1))
            resource.setrlimit(resource.RLIMIT_AS, (taken() + MEMORY, -1))
            ended = outcome(name, path)
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            shutil.rmtree(place)
            os.write(pipe, (json.dumps(ended) + "\n").encode())
    finally:
        os._exit(0)  # also here: what unwinds in a fork takes its parent's folder away


def warm(names: list[str]) -> None:
    """Import what reading needs, once. On one thread: a fork would wait for ever for those that torch leaves behind."""
    import torch

    from spikeport.verbs.load import load_data
    from spikeport_models.datasets import apart

    torch.set_num_threads(1)
    if subprocess.run is forks.subprocess_run:
        subprocess.run = forks.Nursery().run
        apart._codec = lambda process: forks.Once()
    assert load_data is not None
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for number, (ending, data) in enumerate(FORMATS[name].originals(Path(folder))):
                place = Path(folder) / str(number)
                place.mkdir()
                (place / f"m{ending}").write_bytes(data)
                ended = outcome(name, place / f"m{ending}")
                assert ended == "read", (name, ending, ended)


def main() -> None:
    """``python -m hostile.worker``: lines of JSON ``[format, seeds]`` in, a line for each mutant out, then ``null``."""
    for line in sys.stdin:
        name, seeds = json.loads(line)
        warm([name])
        for seed, ended in run(name, seeds):
            print(json.dumps([seed, ended]), flush=True)
        print("null", flush=True)


if __name__ == "__main__":
    main()
