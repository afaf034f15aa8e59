"""Commands ended at random moments by KILL, INT and TERM: files whole or absent, going on bit-equal, nothing left.

    PYTHONPATH=tests python -m hostile.kills [VERB ...] [--count 300] [--seed 0] [--cold]

Commands run in forks of one warm Python, with ``--cold`` in a Python of their own, whose imports are ended too; the
moment is drawn from the time that the command takes undisturbed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostile.kill_files import prepare

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
OURS = f"{os.sep}spikeport{os.sep}"  #: in the path of each file of ours
SHORT = ("--set", "epochs=2", "--set", "architecture.channels=[4, 8]", "--set", "architecture.hidden=16")


@dataclass(frozen=True)
class Command:
    """A command that writes, how it goes on after it was ended, and what is the same in the end."""

    words: Sequence[str]
    again: Sequence[str]
    out: str
    facts: Callable[[Path], object]


def record_facts(place: Path) -> object:
    """All that a record says but its seconds."""
    from spikeport.record import Record

    record = Record.load(place / "record.npz")
    trains = {name: train.bits.tobytes() for name, train in record.trains.items()}
    return record.outputs.tobytes(), trains, {name: counts.tolist() for name, counts in record.spike_counts.items()}


def training_facts(place: Path) -> object:
    """The tensors of the best epoch and of the last."""
    from spikeport.training import checkpoint

    tensors = [checkpoint.read(place / name)[0] for name in ("best.safetensors", "last.safetensors")]
    return [{name: tensor.numpy().tobytes() for name, tensor in each.items()} for each in tensors]


def compared(place: Path) -> object:
    """What is counted of a comparison."""
    facts = json.loads((place / "comparison.json").read_text())
    return facts["by_layer"], facts["spike_mismatches"], facts["argmax_agreement"]


def bytes_of(path: Path) -> object:
    """A file's digest."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def accuracies(place: Path) -> object:
    """What is counted of a run."""
    facts = json.loads((place / "result.json").read_text())
    return facts["accuracy"], facts["firing_rate"], facts["thresholds"]


def said(place: Path) -> object:
    """What a command last said of an accuracy."""
    return re.findall(r"[0-9.]+% of [0-9]+ samples", (place.parent / "said.txt").read_text())[-1:]


def commands() -> dict[str, Command]:
    """By verb."""
    simulate = ("simulate", "model.nir", "--input", "x.npy", "--out", "record", "--trains")
    report = ("report", "made")
    train = ("train", "digits-conv", *SHORT, "--out", "train")
    compare = ("compare", "model.nir", "model.onnx", "--data", "x.npy", "--out", "compared")
    quantize = ("quantize", "digits-conv", "--data", "digits", "--calibration", "32", "--out", "q.int.nir")
    run = ("run", "plan.toml", "--out", "run")
    evaluate = ("evaluate", "model.nir", "--data", "labelled.npz", "--out", "evaluated")
    sweep = ("sweep", "sweep.toml", "--out", "sweep")
    return {
        "export": _same("export", "m.nir"),
        "simulate": Command(simulate, (*simulate, "--resume"), "record", record_facts),
        "report": Command(report, report, "made/report.html", bytes_of),
        "compare": Command(compare, compare, "compared", compared),
        "train": Command(train, (*train, "--resume"), "train", training_facts),
        "quantize": Command(quantize, quantize, "q.int.nir", bytes_of),
        "evaluate": Command(evaluate, (*evaluate, "--resume"), "evaluated", said),
        "run": Command(run, run, "run", accuracies),
        "sweep": Command(sweep, sweep, "sweep/table.csv", bytes_of),
    }


def _same(verb: str, out: str) -> Command:
    words = (verb, "digits-conv", "--out", out)
    return Command(words, words, out, bytes_of)


def forked(words: Sequence[str], place: Path, cold: bool = False) -> int:
    """Begin a command in ``place``, in a new Python where it is ``cold``; returns its process."""
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until the command has taken them over
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        return child
    os.setsid()
    os.chdir(place)
    (place / "tmp").mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
    with open(place / "said.txt", "ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    if cold:
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        os.execv(sys.executable, [sys.executable, "-m", "spikeport", *words])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from spikeport.terminal.app import main

    sys.argv = ["spikeport", *words]
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # before main
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int:
    """The exit status of a process; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def whole(place: Path) -> list[str]:
    """The files below a folder that are not whole."""
    from spikeport.findings import SpikeportError
    from spikeport.formats import nir
    from spikeport.record import Record
    from spikeport.training import checkpoint

    readers = {
        ".nir": nir.read,
        ".npz": Record.load,
        ".json": lambda path: json.loads(path.read_text()),
        ".html": lambda path: path.read_text().index("</html>"),
        ".png": lambda path: path.read_bytes().index(b"IEND"),
    }
    broken = []
    for path in sorted(place.rglob("*")):
        try:
            if path.name in ("best.safetensors", "last.safetensors"):
                checkpoint.read(path)
            elif path.suffix in readers and path.name != "labelled.npz":
                readers[path.suffix](path)
        except (SpikeportError, ValueError, OSError) as error:
            broken.append(f"{path.relative_to(place)}: {error}")
    return broken


def alive(group: int) -> list[int]:
    """The processes of a session that still run, a second after its end."""
    for _ in range(20):
        numbers = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]
        running = [number for number in numbers if _session(number) == group]
        if not running:
            return []
        time.sleep(0.1)
    return running


def _session(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[3])
    except (OSError, IndexError):
        return -1


def kill(verb: str, base: Path, seconds: float, expected: object, draw: random.Random, cold: bool) -> list[str]:
    """End one command at a moment, let it go on, and say all that is not as promised."""
    command, number = commands()[verb], draw.choice(SIGNALS)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copytree(base, place, dirs_exist_ok=True)
        child = forked(command.words, place, cold)
        time.sleep(draw.uniform(0, seconds))
        os.kill(child, number)
        status = ended(child)
        wrong = [f"left running: {alive(child)}"] if alive(child) else []
        wrong += whole(place)
        begun = (place / command.out).exists()
        status_again = ended(forked(command.again if begun else command.words, place))
        if status_again == 2 and "--resume" in command.again:  # it had not come to what could go on
            status_again = ended(forked(command.words, place))
        said = (place / "said.txt").read_text(errors="replace")
        if status_again != 0:
            return [*wrong, f"status {status_again} afterwards: {said[-600:]}"]
        if "Traceback" in said and not (cold and OURS not in said):  # Python's own, before it has read a line of ours
            wrong.append(f"a traceback: {said[-600:]}")
        if command.facts(place / command.out) != expected:
            wrong.append("another result")
        left = [str(each.relative_to(place)) for each in place.rglob("*.part")]
        if number != signal.SIGKILL:
            left += [f"tmp/{each.name}" for each in (place / "tmp").iterdir()]
        wrong += [f"left over: {left}"] if left else []
        return [f"{verb}, {number.name}, status {status}: {each}" for each in wrong]


def run(verbs: Sequence[str], count: int, seed: int, cold: bool) -> tuple[dict[str, int], list[str]]:
    """How many commands of each verb were ended, and all that was not as promised."""
    draw, kills, wrong = random.Random(seed), dict.fromkeys(verbs, 0), []
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "base"
        base.mkdir()
        prepare(base)
        known = {}
        for verb in verbs:
            place = Path(name) / verb
            shutil.copytree(base, place)
            begun = time.perf_counter()
            status = ended(forked(commands()[verb].words, place, cold))
            assert status == 0, (place / "said.txt").read_text()
            known[verb] = time.perf_counter() - begun, commands()[verb].facts(place / commands()[verb].out)
        for turn in range(count):
            verb = verbs[turn % len(verbs)]
            said = kill(verb, base, *known[verb], draw, cold)
            kills[verb] += 1
            print(f"{turn + 1} of {count}: {verb}", file=sys.stderr, flush=True)
            wrong += said
            for each in said:
                print(each, flush=True)
    return kills, wrong


def warm() -> None:
    """Import what the commands need, once."""
    from importlib import import_module

    from spikeport import process

    process.settle()
    for verb in ("export", "simulate", "report", "compare", "train", "quantize", "run", "sweep", "evaluate"):
        import_module(f"spikeport.verbs.{verb}")
    for module in ("formats.nir", "formats.onnx", "terminal.app", "terminal.command"):
        import_module(f"spikeport.{module}")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verbs", nargs="*")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cold", action="store_true")
    asked = parser.parse_args()
    warm()
    kills, wrong = run(asked.verbs or [*commands()], asked.count, asked.seed, asked.cold)
    print(json.dumps({"kills": kills, "wrong": len(wrong)}))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
