"""How SIGINT and SIGTERM end a command: one line, status 130 or 143, and at no moment a traceback.

While Python imports, nothing has been written yet, and the process ends at once: an exception would come out of some
module's middle. While a verb runs, an exception goes through it, which takes parts of files away. When it is over, its
status stays what it is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

FIRST = 128  #: exit statuses of signals begin here, as shells have it
INTERRUPTED = 130  #: of SIGINT
AGAIN = 0.02  #: seconds until a signal comes again that Python would have ignored


class Interrupted(KeyboardInterrupt):
    """By SIGINT.

    A class of its own: where the plain one leaves an ``exec`` of text, as dataclasses and numba do, Python 3.11 kills
    itself by the signal in the end, whoever caught it (run_eval_code_obj in pythonrun.c).
    """


class Moment:
    """Where the command is."""

    running = False  #: a verb, which clears up after itself
    by = 0  #: the signal that came meanwhile
    status: int | None = None  #: how the verb ended, once it is over


moment = Moment()


def watch() -> None:
    """Take over SIGINT, unless who started the command has it ignored, and SIGTERM. To be called in the main thread."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _came)
    signal.signal(signal.SIGTERM, _came)
    sys.unraisablehook = _unraisable


def of(verb: Callable[[], int], say: Callable[[BaseException], None]) -> int:
    """The status of a verb that returns one. After SIGINT ``say`` has the exception that came of it, whichever.

    Python looks for signals at calls: none stands between the end of the verb and what says that it is over.
    """
    try:
        status = verb()
        moment.status = status
    except BaseException as end:
        moment.status = FIRST + moment.by if moment.by else 1
        if isinstance(end, KeyboardInterrupt) or (isinstance(end, SystemExit) and end.code == INTERRUPTED):
            moment.status = INTERRUPTED
        if moment.status == 1:
            raise
        if moment.status == INTERRUPTED:
            say(end)
        return moment.status
    return status


def asked(error: BaseException) -> bool:
    """Whether an exception ends the command because somebody asked for it, and not as what some code raised."""
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or bool(moment.by)


def leave() -> None:
    """End the process here: to take apart what Python holds takes a second where torch is loaded.

    Of `atexit`'s functions the last one. Where no command has ended, or what it wrote cannot be handed on, Python goes
    its own way.
    """
    if moment.status is None:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(moment.status)


def _came(number: int, frame: object) -> None:
    if moment.status is not None:
        os._exit(moment.status)
    if not moment.running:
        if number == signal.SIGINT:
            with suppress(OSError):  # nobody listens
                os.write(2, b"interrupted\n")
        os._exit(FIRST + number)
    moment.by = number
    raise Interrupted if number == signal.SIGINT else SystemExit(FIRST + number)


def _unraisable(about: Any) -> None:
    """Again, of a signal that came where Python passes exceptions over: in a callback, as something is thrown away."""
    if moment.by and isinstance(about.exc_value, KeyboardInterrupt | SystemExit):
        if moment.status is None:
            from threading import Timer

            again = Timer(AGAIN, os.kill, (os.getpid(), moment.by))
            again.daemon = True
            again.start()
        return
    sys.__unraisablehook__(about)
