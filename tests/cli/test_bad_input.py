"""Every wrong input ends in one coded error and a status other than 0, without a traceback or a half-written file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer

from cli.warm import Warm
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Flatten, Graph, Input, Linear, Readout
from spikeport.terminal import app
from spikeport.verbs import VERBS as ALL


@pytest.fixture(scope="module")
def spikeport():
    """The command line as a user has it, warm."""
    warm = Warm()
    yield warm
    warm.close()


def digits_shaped() -> Graph:
    """An untrained network that takes what the digits data set holds."""
    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((1, 8, 8)),
        "flatten": Flatten(),
        "fc": Linear(rng.normal(size=(10, 64)).astype(np.float32)),
        "lif": LIF((10,), np.float32(0.5), np.float32([1, 1, 1, 1])),
        "out": Readout((10,), np.full(4, 0.25, np.float32)),
    }
    return Graph.chain(nodes, timesteps=4)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder of good files to damage."""
    folder = tmp_path_factory.mktemp("good")
    nir.write(digits_shaped(), folder / "model.nir")
    onnx.write(digits_shaped(), folder / "model.onnx")
    np.save(folder / "input.npy", np.zeros((2, 1, 8, 8), np.float32))
    return folder


VERBS = {
    "export": lambda model: ("export", model, "--out", "out.nir"),
    "simulate": lambda model: ("simulate", model, "--input", "input.npy", "--out", "record"),
    "evaluate": lambda model: ("evaluate", model, "--data", "digits", "--limit", "4"),
    "quantize": lambda model: ("quantize", model, "--data", "digits", "--out", "out.int.nir"),
    "compare": lambda model: ("compare", model, model, "--data", "digits", "--limit", "4"),
    "energy": lambda model: ("energy", model, "--data", "digits", "--limit", "4"),
}

DAMAGE = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "wrong": lambda path: path.write_bytes(b"this is a letter to my aunt\n" * 100),
}


def refused(result, folder, before):
    """One coded error, no traceback, nothing new in the folder."""
    assert result.returncode not in (0, 1), result.stdout
    assert "Traceback" not in result.stderr
    assert result.stderr.lstrip().startswith("SP"), result.stderr
    assert sorted(p.name for p in folder.iterdir()) == before
    return result.stderr


# Each verb meets one damaged file of each kind; which ending it has rotates, so that every pair of damage and
# ending occurs without starting Python for every triple.
ENDINGS = (".nir", ".onnx", ".safetensors")
CASES = [(verb, damage, ENDINGS[(i + j) % 3]) for i, verb in enumerate(VERBS) for j, damage in enumerate(DAMAGE)]


@pytest.mark.parametrize(("verb", "damage", "ending"), CASES)
def test_a_damaged_model_is_one_error(verb, damage, ending, good, tmp_path, spikeport):
    path = tmp_path / f"model{ending}"
    source = good / f"model{ending}"
    path.write_bytes(source.read_bytes() if source.exists() else b"\x40" * 4000)
    np.save(tmp_path / "input.npy", np.zeros((2, 1, 8, 8), np.float32))
    DAMAGE[damage](path)
    before = sorted(p.name for p in tmp_path.iterdir())
    text = refused(spikeport(*VERBS[verb](path.name), cwd=tmp_path), tmp_path, before)
    assert path.name in text


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_input_array_is_one_error(damage, good, tmp_path, spikeport):
    (tmp_path / "input.npy").write_bytes((good / "input.npy").read_bytes())
    DAMAGE[damage](tmp_path / "input.npy")
    before = sorted(p.name for p in tmp_path.iterdir())
    result = spikeport("simulate", good / "model.nir", "--input", "input.npy", "--out", "record", cwd=tmp_path)
    assert "SP907" in refused(result, tmp_path, before)


@pytest.mark.parametrize(
    ("array", "flags", "code"),
    [
        (np.zeros((2, 1, 9, 9), np.float32), (), "SP502"),
        (np.full((2, 1, 8, 8), np.nan, np.float32), (), "SP502"),
        (np.zeros((3, 2, 1, 8, 8), np.float32), ("--frames",), "SP502"),  # 3 steps for a model of 4
        (np.zeros((2, 1, 8, 8), object), (), "SP907"),  # a pickle inside
    ],
)
def test_input_that_does_not_fit_is_one_error(array, flags, code, good, tmp_path, spikeport):
    np.save(tmp_path / "input.npy", array, allow_pickle=True)
    before = sorted(p.name for p in tmp_path.iterdir())
    result = spikeport("simulate", good / "model.nir", "--input", "input.npy", "--out", "record", *flags, cwd=tmp_path)
    assert code in refused(result, tmp_path, before)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("evaluate", "no-such-model", "--data", "digits"), "SP902"),
        (("evaluate", "{good}/model.nir", "--data", "no-such-data"), "SP36"),
        (("evaluate", "{good}/model.nir", "--data", "digits", "--target", "no-such-target"), "SP501"),
        (("evaluate", "{good}/model.nir", "--data", "digits", "--limit", "0"), "SP903"),
        (("evaluate", "{good}/model.nir", "--data", "digits", "--target", "integer"), "SP505"),
        (("evaluate", "{good}/model.nir", "--data", "digits", "--target", "pytorch"), "SP905"),
        (("export", "{good}/model.nir", "--out", "model.txt"), "SP906"),
        (("run", "no-such-recipe", "--out", "out"), "SP3"),
        (("train", "no-such-recipe", "--out", "out"), "SP3"),
    ],
)
def test_names_that_mean_nothing_are_one_error(arguments, code, good, tmp_path, spikeport):
    result = spikeport(*(argument.format(good=good) for argument in arguments), cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert code in result.stderr


WRITTEN = [name.replace("_", "-") for name in ALL]


def test_help_fits_a_screen_and_every_verb_ends_with_examples(tmp_path, spikeport):
    top = spikeport("--help", cwd=tmp_path)
    assert top.returncode == 0
    assert len(top.stdout.splitlines()) <= 40
    for verb in WRITTEN:
        _, _, end = spikeport(verb, "--help", cwd=tmp_path).stdout.rpartition("╯")
        assert end.split("Examples:")[1].count(f"spikeport {verb}") >= 2, verb


@pytest.mark.parametrize("verb", WRITTEN)
def test_the_examples_of_a_verb_are_commands_that_it_understands(verb):
    """Parsed, not run: the pages run theirs."""
    command = typer.main.get_command(app.build()).commands[verb]
    lines = [line.split() for line in command.epilog.splitlines() if line.startswith("spikeport ")]
    assert len(lines) >= 2
    for _, name, *arguments in lines:
        assert name == verb
        command.make_context(verb, arguments)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("evaluate", "digits-conv", "--dta", "digits"), "SP910"),
        (("compare", "a", "b", "--min-agreement", "nan"), "SP910"),
        (("compare", "a", "b", "--min-agreement", "2"), "SP816"),
        (("evaluate", "digits-conv", "--data", "digits", "--memory", "much"), "SP908"),  # read before the verb begins
        (("--plugin", "none.py", "doctor"), "SP323"),
    ],
)
def test_under_json_an_error_is_one_object(words, code, tmp_path, spikeport):
    done = spikeport(*words, "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert [error["code"] for error in json.loads(done.stdout)["errors"]] == [code]
    assert done.stderr.startswith(code)
