"""SIGINT and SIGTERM at the moments at which Python itself would print a traceback, end by the signal, or go on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = """
import atexit, os, signal, sys, time
from spikeport import ending
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts with &
ending.watch()
def come():
    os.kill(os.getpid(), signal.SIGINT)
def say(end):
    print(f"said {type(end).__name__}", file=sys.stderr)
def run(verb):
    ending.moment.running = True
    sys.exit(ending.of(verb, say))
"""
MOMENTS = {
    "imports": ("come(); time.sleep(9)", "interrupted", 130),
    "a verb": ("run(come)", "said Interrupted", 130),
    "text that is run": ("run(lambda: exec('come()'))", "said Interrupted", 130),
    "what is thrown away": (
        """
class Thrown:
    def __del__(self): come(); time.sleep(0)
def verb():
    Thrown()
    time.sleep(9)
run(verb)""",
        "said Interrupted",
        130,
    ),
    "an import that says something else": (
        """
def verb():
    try: come(); time.sleep(9)
    except KeyboardInterrupt: raise ImportError("no such module") from None
run(verb)""",
        "said ImportError",
        130,
    ),
    "the end": ("atexit.register(lambda: (come(), time.sleep(9))); run(lambda: 1)", "", 1),
    "terminated": ("run(lambda: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(9))", "", 143),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_at_any_moment_is_one_line_and_a_status(moment):
    body, said, status = MOMENTS[moment]
    done = subprocess.run([sys.executable, "-c", HEAD + body], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.strip()) == (status, said)


def test_what_is_wrong_besides_keeps_its_traceback():
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}run(lambda: 1 / 0)"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_an_interrupt_that_is_ignored_stays_so():
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nfrom spikeport import ending\nending.watch()\n"
    code += "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


LEAVING = f"""{HEAD}
atexit.register(ending.leave)
class Held:
    def __del__(self): print("taken apart")
held = [Held()]
held.append(held)  # the collector alone would find it
atexit.register(print, "the last words")
def verb():
    print("the first words")
    return 3
run(verb)
"""


def test_a_command_that_has_ended_leaves_with_all_that_it_wrote_and_takes_nothing_apart():
    done = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (3, ["the first words", "the last words"], "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_what_cannot_be_written_in_the_end_is_said_by_python():
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-c", LEAVING]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False, env=environment
        )
    assert done.returncode == 120  # as Py_FinalizeEx has it
    assert "No space left" in done.stderr
