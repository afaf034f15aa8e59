"""The command line: one command a verb, made of the verb's own function."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Collection
from importlib import import_module
from typing import Annotated

import typer

from spikeport import __version__, ahead, ending, plugins, process
from spikeport.findings import SpikeportError, require
from spikeport.terminal import console, refusals, show
from spikeport.terminal.usage import Verbs
from spikeport.text import printable
from spikeport.verbs import VERBS

ABOUT = "From a trained PyTorch spiking network to Loihi arithmetic, with proof that it is still the same network."
COMPLETING = "_SPIKEPORT_COMPLETE"  #: set by a shell that asks how a line may go on


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"spikeport {__version__}")
        raise typer.Exit


def _options(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no remarks.")] = False,
    plugin: Annotated[list[str] | None, typer.Option("--plugin", help="A .py file with plug-ins; run first.")] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    console.settings.quiet = quiet
    for file in plugin or ():
        plugins.run_file(file)


def build(words: Collection[str] | None = None) -> typer.Typer:
    """The application with every verb. Of ``words``, where they are given, only the verbs among them are imported.

    torch takes seconds to import, and the list of verbs needs none of it.
    """
    app = typer.Typer(
        cls=Verbs,
        help=ABOUT,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, short in VERBS.items():
        written = name.replace("_", "-")
        if words is None or written in words:
            _add(app, name, written, short)
        else:
            app.command(written, short_help=short)(lambda: None)
    return app


def _add(app: typer.Typer, name: str, written: str, short: str) -> None:
    with process.loading():
        from spikeport.terminal.command import command, texts
        from spikeport.terminal.results import shown

        verb = getattr(import_module(f"spikeport.verbs.{name}"), name)
    help, examples = texts(verb)
    app.command(written, short_help=short, help=help, epilog=examples)(command(verb, shown(name)))


def general_first(words: list[str]) -> list[str]:
    """The arguments with --quiet and --plugin FILE in front of the verb, wherever they were written."""
    quiet = [word for word in words if word in ("--quiet", "-q")]
    rest = [part for word in words if word not in quiet for part in _apart(word)]
    first: list[str] = []
    while "--plugin" in rest:
        at = rest.index("--plugin")
        require(at + 1 < len(rest), "SP323", "--plugin names no file", mend="--plugin FILE.py")
        first += rest[at : at + 2]
        del rest[at : at + 2]
    return [*quiet[:1], *first, *rest]


def _apart(word: str) -> tuple[str, ...]:
    """``--plugin=FILE`` as the two words that it stands for."""
    option, equals, file = word.partition("=")
    return (option, file) if equals and option == "--plugin" else (word,)


def _completed() -> list[str]:
    """The words of the line that a shell asks to complete: of its verb alone the options are needed."""
    return " ".join(os.environ.get(name, "") for name in ("_TYPER_COMPLETE_ARGS", "COMP_WORDS")).split()


def _interrupted(end: BaseException) -> None:
    """Say, after an interrupt, which typer turned into an exit, how much of a run in parts is finished."""
    cause: BaseException | None = end
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    text = f"interrupted: {cause}" if str(cause or "") else "interrupted"
    print(printable(text), file=sys.stderr)


def main() -> None:
    """Entry point. Exit status: 0 done, 1 a gate failed, 2 an error with its code, 130 interrupted, 143 terminated."""
    if threading.current_thread() is threading.main_thread():
        ending.watch()
    process.furnish()
    process.settle(trains=not process.TRAINING.isdisjoint(sys.argv[1:]))
    process.told.compiling = console.compiling
    sys.exit(ending.of(_command, _interrupted))


def _command() -> int:
    """Run what the command line says; its exit status."""
    words = sys.argv[1:]
    console.settings.json = "--json" in words
    try:
        with plugins.named(), refusals.coded(), ahead.compiling(words):
            app = build(_completed() if COMPLETING in os.environ else words)
            ending.moment.running = True
            app(args=general_first(words))
    except SpikeportError as error:
        if console.settings.json:
            show.as_json({"errors": error.findings})
        for finding in error.findings:
            print(printable(str(finding)), file=sys.stderr)
        return 2
    except SystemExit as end:
        if end.code == ending.INTERRUPTED:
            raise
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    return 0
