"""Children that a reader begins for a codec, as forks of a small warm process: the same code, without its imports.

Half a second a child would make ten thousand mutants an hour and a half; a fork of torch's process takes 20 ms.
"""

from __future__ import annotations

import io
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from itertools import count

MEMORY, SECONDS = 2**30, 5  #: bytes that a child may take beyond what it begins with; seconds of the processor
subprocess_run = subprocess.run
numbers = count()


class Nursery:
    """``python -m hostile.forks``: ``[number, options, input, out, err, seconds]`` in, ``[number, status]`` out."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-m", "hostile.forks"], **pipes)

    def run(self, command, *, timeout, input=b"", **options):
        """In place of `subprocess.run` for ``python -c TEXT ...`` and ``python -m MODULE ...``."""
        if command[0] != sys.executable or command[1] not in ("-c", "-m"):
            return subprocess_run(command, timeout=timeout, **options)
        asked = os.getpid() * 2**20 + next(numbers)  # one that asked before may have ended before its answer came
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
            self.process.stdin.write(
                json.dumps([asked, command[1:], input.decode(), out.name, err.name, timeout]) + "\n"
            )
            self.process.stdin.flush()
            answers = (json.loads(self.process.stdout.readline()) for _ in iter(int, 1))
            status = next(status for number, status in answers if number == asked)
            if status is None:
                raise subprocess.TimeoutExpired(command, timeout)
            return subprocess.CompletedProcess(command, status, out.read(), err.read())


class Once:
    """In place of `apart.Codec`: a child for each file, so that one file's end is no other's."""

    def read(self, path):
        """As `apart.Codec.read`."""
        words, asked = [sys.executable, "-m", "spikeport_models.datasets.apart"], json.dumps(str(path)).encode()
        done = subprocess.run(words, input=asked, timeout=60)
        first, _, rest = done.stdout.partition(b"\n")
        answer = json.loads(first) if done.returncode == 0 else {"error": f"status {done.returncode}"}
        if "error" in answer:
            raise ValueError(f"the codec ended on it: {answer['error']}")
        return rest


def _status(options: list[str], text: str, out: str, err: str) -> int:
    """In the fork: how the command ends."""
    for number, name in ((1, out), (2, err)):
        os.dup2(os.open(name, os.O_WRONLY), number)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.argv, sys.stdin = ["-c", *options[2:]], io.StringIO(text)
    warnings.simplefilter("ignore")
    from spikeport.memory import taken

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, -1))
    resource.setrlimit(resource.RLIMIT_AS, (taken() + MEMORY, -1))
    try:
        if options[0] == "-c":
            exec(options[1], {"__name__": "__main__"})
        else:
            runpy.run_module(options[1], run_name="__main__", alter_sys=False)
        return 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _waited(child: int, seconds: float) -> int | None:
    """The exit status of a child; None where its time is over, after its end."""
    late = []

    def alarm(*_):
        late.append(True)
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _, status = os.waitpid(child, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return None if late else os.waitstatus_to_exitcode(status)


def main() -> None:
    """Entry point."""
    for name in ("h5py", "numpy", "aedat", "spikeport.reading", "spikeport_models.datasets"):
        with suppress(ImportError):
            import_module(name)
    for line in sys.stdin:
        number, options, text, out, err, timeout = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_status(options, text, out, err))
        print(json.dumps([number, _waited(child, timeout)]), flush=True)


if __name__ == "__main__":
    main()
