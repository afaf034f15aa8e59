"""What other packages bring is found by entry points: the package of docs/extending.md, as it stands there."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from data_files import code
from spikeport import datasets
from spikeport.findings import SpikeportError
from spikeport.training import networks, shipped
from spikeport.verbs.doctor import doctor
from spikeport.verbs.evaluate import evaluate
from spikeport.verbs.sides import side
from spikeport.verbs.train import train

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
HEAD = "## A data set, a network, a recipe, a model\n"
BLOCK = re.compile(r"^```(?:toml|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def bars(tmp_path, monkeypatch):
    """The package of the page, lying on the path as pip would put it there."""
    points, module, recipe = BLOCK.findall(PAGE.read_text(encoding="utf-8").split(HEAD)[1].split("\n## ")[0])
    lines = []
    for group, entries in tomllib.loads(points)["project"]["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    files = {
        "bars/__init__.py": module,
        "bars/recipes/bars.toml": recipe,
        "bars/checkpoints/__init__.py": "",
        "bars-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: bars\nVersion: 0.1\n",
        "bars-0.1.dist-info/entry_points.txt": "\n".join(lines),
    }
    site = tmp_path / "site"
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    yield site / "bars"
    for name in [name for name in sys.modules if name.partition(".")[0] == "bars"]:
        del sys.modules[name]


def test_the_page_s_package_trains_and_ships_a_model(bars, tmp_path):
    trained = train("bars", out=tmp_path / "out")
    assert trained.metadata["architecture"] == {"network": "bars-net", "hidden": 24}
    assert trained.metadata["test_accuracy"] > 0.9
    assert doctor().datasets["bars"] == "comes with its package"
    assert "bars" not in shipped.models()
    shutil.copyfile(trained.checkpoint, bars / "checkpoints" / "bars.safetensors")
    assert evaluate("bars", "bars", "test").accuracy == pytest.approx(trained.metadata["test_accuracy"])
    assert side("bars").model.name == "bars"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (datasets.load, "SP360.*\n.*bars, cifar10, .*, or events:FOLDER"),
        (shipped.find, "SP311.*\n.*bars, digits-conv"),
        (lambda name: networks.build(name, input_shape=(1, 8, 8), classes=2, timesteps=2), "SP314.*\n.*bars-net, conv"),
        (
            lambda _: networks.build("bars-net", input_shape=(1,), classes=2, timesteps=2, options={"width": 2}),
            "SP314.*no option 'width'\n.*choose one of: hidden",
        ),
    ],
)
def test_refusals_name_what_plug_ins_bring(call, words, bars):
    with pytest.raises(SpikeportError, match=words):
        call("bar")


def test_other_names_and_folders_are_the_package_s_own(bars, tmp_path):
    (bars / "recipes" / "__init__.py").write_text('OTHER_NAMES = {"stripes": "bars"}\n')
    counted = "Source(lambda split, folder: read(split), lambda folder: len(folder.name), other_names=('b',))"
    module = bars / "__init__.py"
    module.write_text(module.read_text().replace("Source(read, classes=2)", counted))
    assert shipped.find("stripes") == shipped.find("bars") == bars / "recipes" / "bars.toml"
    part = datasets.load(f"b:{tmp_path / 'abc'}", "val")
    assert (len(part), part.classes, part.name) == (40, 3, f"b:{tmp_path / 'abc'}")
    assert code(datasets.load, "bars") == "SP360"
    assert code(datasets.load, f"digits:{tmp_path}") == "SP360"
    assert "bars" not in datasets.status()


def test_a_package_that_cannot_be_imported_is_in_the_way_of_its_own_names_only(bars):
    (bars / "__init__.py").write_text("import a_module_that_is_not_there")
    assert len(datasets.load("digits", "val")) == 144
    assert networks.build("mlp", input_shape=(1, 8, 8), classes=2, timesteps=2)
    with pytest.raises(ModuleNotFoundError):
        datasets.load("bars")
