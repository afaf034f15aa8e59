"""What an advice tells people to write exists on the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import typer.main
from sklearn.datasets import load_digits

import spikeport
from spikeport import compare, quantize
from spikeport.comparison import causes, kinds
from spikeport.comparison.kinds import Kind
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, SPECK, XYLO, Graph, Input, Linear, Loihi, Readout
from spikeport.target import Request
from spikeport.terminal.app import build

ROOT = Path(spikeport.__file__).parents[2]
#: options of pip, torchrun and other programs that messages name
OTHERS = {"--no-deps", "--ignore-requires-python", "--disable-pip-version-check", "--nproc-per-node"}
PLACES = {"--its-name", "--its-name-of"}  #: what stands for any option where options are explained
ADVICES = {kind.name: kind.advice for kind in vars(kinds).values() if isinstance(kind, Kind)}
ADVICES |= {"all bits": kinds.ALL_BITS, "shifts": kinds.SHIFTS}
ADVICES |= {f"whole sums: {name}": advice for name, advice in kinds.WHOLE_SUMS.items()}


@pytest.fixture(scope="module")
def options():
    commands = typer.main.get_command(build()).commands
    return {
        name: {flag for each in c.params for flag in (*each.opts, *each.secondary_opts)} for name, c in commands.items()
    }


@pytest.mark.parametrize("name", ADVICES)
def test_each_option_of_an_advice_is_one_of_the_verb_before_it(name, options):
    flags = re.findall(r"--[a-z][a-z-]+", ADVICES[name])
    told = re.findall(r"\b([a-z-]+) (--[a-z][a-z-]+)", ADVICES[name])
    assert [flag for _, flag in told] == flags
    assert all(flag in options[verb] for verb, flag in told)


def test_each_option_that_a_message_names_is_one_of_some_verb(options):
    known = OTHERS.union(PLACES, *options.values(), {"--help", "--version", "--quiet", "--plugin"})
    named = {}
    for path in (ROOT / "toolchain").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+[a-z]", node.value):
                    named.setdefault(flag, path.name)
    assert {flag: place for flag, place in named.items() if flag not in known} == {}


@pytest.mark.parametrize("profile", [SPECK, XYLO])
def test_chips_of_whole_sums_are_not_advised_what_they_lack(profile):
    """No second kernel beside the first, no thresholds of 64 units, no leak that more bits would make finer."""
    said = {
        kind.name: kinds.advised(kind, profile, all_bits=True).advice
        for kind in vars(kinds).values()
        if isinstance(kind, Kind)
    }
    told = " ".join(said[name] for name in ("weights", "thresholds", "truncation"))
    assert not re.search(r"--split|64 units|loihi|mantissa", told)
    assert ("1 - 2^-n" in said["decay"]) == (profile is XYLO)
    assert kinds.advised(kinds.WEIGHTS, LOIHI2, all_bits=True).advice == kinds.ALL_BITS
    assert kinds.advised(kinds.WEIGHTS, profile, all_bits=False) == kinds.WEIGHTS


def test_the_advice_for_rounded_weights_helps():
    """Four bits, then the eight that are advised, then the two mantissas that are advised for eight."""
    draw, images = np.random.default_rng(1).standard_normal, load_digits().data
    nodes = {
        "input": Input((64,)),
        "fc": Linear(np.float32(draw((64, 64)) * 0.2)),
        "lif": LIF((64,), np.float32(0.9), np.ones(8, np.float32)),
        "head": Linear(np.float32(draw((10, 64)) * 0.2)),
        "last": LIF((10,), np.float32(0.9), np.ones(8, np.float32)),
    }
    graph, x = Graph.chain(nodes, timesteps=8), np.float32(images / 16)

    def quantised(**options):
        made = quantize(graph, data=x, calibration=256, skip=("joint", "rounding"), **options)
        return compare(graph, made.graph, samples=x[:200])

    four, eight = quantised(weight_bits=4), quantised(weight_bits=8)
    assert four.causes[0].name == eight.causes[0].name == "weights"
    assert "--weight-bits 8" in four.causes[0].advice
    assert "--weight-bits" not in eight.causes[0].advice
    assert "--split" in eight.causes[0].advice
    split = quantised(weight_bits=8, split=True)
    counts = [each.parity.spike_mismatches for each in (four, eight, split)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 2 * counts[1] > 2 * counts[2]


def counted(graph, x, name, calibration=None, **options):
    """How many spikes differ after quantising; all of them are of one cause, where there are any."""
    data = x if calibration is None else calibration
    made = quantize(graph, data=data, frames=True, calibration=x.shape[1], **options)
    comparison = compare(graph, made.graph, samples=x, frames=True)
    assert {cause.name for cause in comparison.causes} <= {name}
    return comparison.parity.spike_mismatches


def test_the_advice_for_truncated_membranes_helps():
    """Weights and thresholds are integers, the decay 15/16: only the leak rounds; each bit halves what that does."""
    draw, steps = np.random.default_rng(0), 60
    nodes = {"input": Input((30,), coding="events")}
    for name, shape in (("a", (32, 30)), ("b", (10, 32))):
        weight = np.float32(draw.integers(-1, 2, shape))
        weight[:, 0] = 1
        nodes |= {
            f"{name}.fc": Linear(weight),
            name: LIF(shape[:1], np.float32(15 / 16), np.full(steps, np.float32(3.5))),
        }
    graph, x = Graph.chain(nodes, timesteps=steps), np.float32(draw.random((steps, 50, 30)) < 0.3)
    skip = ("rounding", "joint", "bias", "thresholds", "normalise", "decay")
    tried = {bits: counted(graph, x, "truncation", weight_bits=bits, profile="int", skip=skip) for bits in (3, 4, 8)}
    assert tried[3] > 1.5 * tried[4] > 15 * tried[8]
    assert counted(graph, x, "truncation", weight_bits=3, profile="loihi2", skip=skip) < tried[3] / 15


def test_the_advice_for_saturated_membranes_helps():
    """Sixteen steps of inhibition go beyond 24 bits, and calibration has not seen them."""
    draw, steps = np.random.default_rng(0), 36
    weight = np.float32(draw.uniform(0.5, 1, (4, 200)) * np.repeat([-1, 1], 100))
    lif = LIF((4,), np.float32(1), np.full(steps, np.float32(10)))
    nodes = {"input": Input((200,), coding="events"), "fc": Linear(weight), "lif": lif}
    graph, x = Graph.chain(nodes, timesteps=steps), np.float32(draw.random((steps, 4, 200)) < 0.9)
    x[:16, :, 100:] = x[16:, :, :100] = 0
    excited = np.where(np.arange(200) < 100, np.float32(0), x)
    skip = ("joint", "rounding", "bias")

    def saturated(**options):
        return counted(graph, x, "saturation", profile="int", skip=skip, **options)

    assert saturated(calibration=excited) > 4
    assert saturated(calibration=excited, weight_bits=7) == saturated(calibration=x) == 0


def test_a_run_against_itself_has_no_cause_and_truncation_parts_no_two_integer_networks():
    def graph(threshold):
        nodes = {
            "input": Input((1,), low=0, high=255),
            "fc": Linear(np.full((3, 1), 7, np.int8)),
            "lif": LIF((3,), np.int32(3000), np.full(4, threshold, np.int32), compare=">", gain=np.int32(1)),
            "head": Linear(np.full((2, 3), 5, np.int8)),
            "out": Readout((2,), np.ones(4, np.int32), np.int32(0)),
        }
        return Graph.chain(nodes, timesteps=4, arithmetic=Loihi(LOIHI2))

    x = np.arange(1, 120, dtype=np.float32)[:, None]
    runs = {level: simulate(graph(level), x, Request(trains=True)) for level in (400, 500)}
    assert causes(graph(400), graph(400), x, simulate, a_record=runs[400], b_record=runs[400]) == []
    reasons = causes(graph(400), graph(500), x, simulate, a_record=runs[400], b_record=runs[500])
    assert [cause.name for cause in reasons] == ["thresholds"]
