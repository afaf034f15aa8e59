"""Children that a reader begins for a codec, as forks of the warm process: the same code, without its imports.

Half a second a child would make ten thousand mutants an hour and a half.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
import time
import traceback
import warnings


def run(command, *, timeout, **options):
    """In place of `subprocess.run` for ``python -c TEXT ...`` and ``python -m MODULE ...``; what they print is kept."""
    if command[0] != sys.executable or command[1] not in ("-c", "-m"):
        return subprocess_run(command, timeout=timeout, **options)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os._exit(_status(command))
        status = _waited(child, time.monotonic() + timeout)
        if status is None:
            raise subprocess.TimeoutExpired(command, timeout)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess(command, status, *texts)


subprocess_run = subprocess.run


def _status(command) -> int:
    """In the fork: how the command ends."""
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    sys.argv = ["-c", *command[3:]]
    warnings.simplefilter("ignore")
    try:
        if command[1] == "-c":
            exec(command[2], {"__name__": "__main__"})
        else:
            runpy.run_module(command[2], run_name="__main__", alter_sys=False)
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


def _waited(child, until):
    """The exit status of a child; None where its time is over, after its end."""
    while True:
        gone, status = os.waitpid(child, os.WNOHANG)
        if gone:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(child, 9)
            os.waitpid(child, 0)
            return None
        time.sleep(0.001)
