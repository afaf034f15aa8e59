"""Recipes: unknown fields are errors, every field can be overridden, and a written recipe reads back the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeport.findings import SpikeportError
from spikeport.training import files, folder, shipped
from spikeport.training.recipe import Recipe, parse, parse_overrides, read

LEAST = {"model": "m", "dataset": "digits", "network": "conv", "timesteps": 2, "epochs": 1}


@pytest.mark.parametrize("name", [*shipped.recipes(), "digits"])
def test_shipped_recipes_are_valid(name):
    assert read(shipped.find(name)).model


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epoch": 3}, "'epoch' is no field"),
        ({"epochs": 0}, "epochs"),
        ({"lr": "fast"}, "lr"),
        ({"batch": 1}, "batch"),
        ({"optimiser": "lion"}, "optimiser"),
        ({"timesteps": 2.5}, "timesteps"),
        ({"epochs": True}, "epochs"),
        ({"lr": "0.1"}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"weight_decay": float("nan")}, "weight_decay"),
        ({"also": {"im": -1.0}}, "also.im"),
        ({"loss": "tet", "loss_options": {"share": True}}, "share"),
        ({"loss": "tte"}, "no loss 'tte'"),
        ({"loss": "im", "label_smoothing": 0.1}, "label_smoothing = 0.1 does nothing with loss = 'im'"),
        ({"step_epochs": 3}, "does nothing with schedule = 'cosine'"),
        ({"optimiser": "adam", "momentum": 0.5}, "does nothing with optimiser = 'adam'"),
    ],
)
def test_a_field_that_does_not_fit_is_named(fields, words):
    with pytest.raises(SpikeportError, match=words) as error:
        parse({**LEAST, **fields})
    assert error.value.code == "SP312"


def test_all_wrong_fields_are_named_at_once():
    with pytest.raises(SpikeportError) as error:
        parse({"epoch": 3, "epochs": -1})
    assert len(error.value.findings) == 2 + 4  # model, dataset, network and timesteps are missing


def test_overrides_replace_fields_and_entries_of_tables(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('model="m"\ndataset="digits"\nnetwork="conv"\ntimesteps=2\nepochs=9\n[architecture]\nhidden=64\n')
    texts = ["epochs=3", "architecture.channels=[8, 16]", "method=fixed", "lr=1e-3", "flip=true"]
    recipe = read(path, parse_overrides(texts))
    assert (recipe.epochs, recipe.method, recipe.lr, recipe.flip) == (3, "fixed", 1e-3, True)
    assert recipe.architecture == {"hidden": 64, "channels": [8, 16]}
    with pytest.raises(SpikeportError, match="SP312"):
        read(path, parse_overrides(["epoch=3"]))
    with pytest.raises(SpikeportError, match="sets nothing"):
        parse_overrides(["epochs"])


def test_missing_and_broken_files_are_refused(tmp_path):
    for name in ("no-such-recipe", "none.toml"):
        with pytest.raises(SpikeportError, match="SP311"):
            read(shipped.find(name))
    path = tmp_path / "a.toml"
    for raw in (b"model = ", b"\xff\xfe\x00"):
        path.write_bytes(raw)
        with pytest.raises(SpikeportError, match="SP312"):
            read(path)


@settings(max_examples=30)
@given(
    st.builds(
        Recipe,
        model=st.text(min_size=1),
        dataset=st.text(),
        network=st.just("mlp"),
        timesteps=st.integers(1, 99),
        epochs=st.integers(1, 999),
        lr=st.floats(1e-9, 10),
        flip=st.booleans(),
        architecture=st.fixed_dictionaries(
            {},
            optional={
                "events": st.booleans(),
                "neuron": st.text(),
                "width": st.floats(1e-9, 9),
                "hidden": st.lists(st.integers(1, 99), min_size=1, max_size=3),
            },
        ),
    )
)
def test_a_written_recipe_reads_back_the_same(tmp_path_factory, recipe):
    place = tmp_path_factory.mktemp("recipe")
    folder.write_recipe(place, recipe)
    assert read(place / files.RECIPE) == recipe
