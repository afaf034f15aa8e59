"""The command line: one verb a file, each a thin layer over the function of the same name in `spikeport.verbs`."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import getdoc
from typing import Annotated

import typer

from spikeport import __version__, process
from spikeport.findings import SpikeportError
from spikeport.terminal import console

#: What the list of verbs says of each, in the order in which a user meets them.
VERBS = {
    "run": "The main job, end to end.",
    "train": "Train what a recipe says.",
    "import-checkpoint": "Take over a checkpoint of the authors' code.",
    "export": "Write a model as NIR or ONNX.",
    "quantize": "Turn a model into Loihi's integers.",
    "simulate": "Run a model on an input file.",
    "evaluate": "Accuracy on a data set.",
    "compare": "Where two runs part, and why.",
    "events": "Count what every layer does.",
    "energy": "What a sample costs, model by model.",
    "fit": "Whether a model fits a chip.",
    "report": "Write a run's report again.",
    "inspect": "See a model.",
    "check": "What a target can run of it.",
    "targets": "Where a model can run.",
    "doctor": "What is installed, and how to get the rest.",
    "explain": "What an error code means.",
}

INTERRUPTED = 130  #: exit status after Ctrl-C, as shells have it: 128 and the number of the signal

app = typer.Typer(
    help="From a trained PyTorch spiking network to Loihi arithmetic, with proof that it is still the same network.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"spikeport {__version__}")
        raise typer.Exit


@app.callback()
def options(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no remarks.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    console.settings.quiet = quiet


def build() -> typer.Typer:
    """The application with every verb."""
    if not app.registered_commands:
        for verb, short in VERBS.items():
            name = verb.replace("-", "_")
            function = getattr(import_module(f"spikeport.cli.{name}"), name)
            help, _, examples = (getdoc(function) or "").partition("Examples:")
            app.command(verb, short_help=short, help=help.strip(), epilog=_examples(examples))(function)
    return app


def _examples(text: str) -> str:
    """The examples of a verb, a paragraph each, which end its help."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n\n".join(["Examples:", *lines])


def quiet_first(words: list[str]) -> list[str]:
    """The arguments with --quiet in front of the verb, wherever it was written."""
    quiet = [word for word in words if word in ("--quiet", "-q")]
    return [*quiet[:1], *(word for word in words if word not in quiet)]


def _interrupted(end: BaseException) -> str:
    """What is said after an interrupt, which typer turned into an exit: how much of a run in parts is finished."""
    cause: BaseException | None = end
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return f"interrupted: {cause}" if str(cause or "") else "interrupted"


def main() -> None:
    """Entry point. Exit status: 0 done, 1 a gate failed, 2 an error with its code, 130 interrupted."""
    process.settle()
    try:
        build()(args=quiet_first(sys.argv[1:]))
    except SpikeportError as error:
        for finding in error.findings:
            print(finding, file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print(_interrupted(end), file=sys.stderr)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
