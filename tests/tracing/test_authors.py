"""Files in the layout of the authors' public code; a plain re-statement of its forward pass is the judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from authors_code import T, Theirs, random_state, resnet_plan, vgg_plan
from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from spikeport.tracing.authors import convert
from spikeport.tracing.authors_facts import Facts


def image(count=6, side=16):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2)).double()


def same(converted, x, expected, atol):
    """Spikes decide nearly all of a result: one neuron with another's numbers would show."""
    with torch.no_grad():
        result = converted.module.double()(x)
    assert float(expected.std()) > 0.1
    np.testing.assert_allclose(result, expected, atol=atol)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("compare", [">=", ">"])
def test_resnet19_of_mpd_agl(biases, compare):
    state = random_state("mpd-agl", *resnet_plan(), 1, biases=biases)
    converted = convert(state, Facts("mpd-agl", "resnet19", T, compare, input_shape=(3, 16, 16)))
    expected = Theirs(state, "mpd-agl", 0.5, compare == ">").resnet(image())
    same(converted, image(), expected, 1e-5)  # their 0.5 * gamma in float32
    assert converted.metadata["architecture"]["width"] == 8 / 128
    assert any(f.severity == "note" for f in converted.findings) == biases
    capture(converted.module.float(), (3, 16, 16))


def test_resnet19_of_ds_atgo():
    """A threshold of its own for each layer and timestep, and norms that need no factor."""
    state = random_state("ds-atgo", *resnet_plan(), 5, table=True)
    converted = convert(state, Facts("ds-atgo", "resnet19", T, input_shape=(3, 16, 16)))
    same(converted, image(), Theirs(state, "ds-atgo").resnet(image()), 1e-9)
    assert converted.calibrated


@pytest.mark.parametrize("layout", ["mpd-agl", "ds-atgo"])
def test_vggsnn(layout):
    own = layout == "ds-atgo"
    state = random_state(layout, *vgg_plan(), 3, biases=True, table=own)
    converted = convert(state, Facts(layout, "vggsnn", T))
    assert converted.metadata["input_shape"] == [2, 32, 32]
    assert converted.metadata["coding"] == "events"
    x = torch.randn(T, 4, 2, 32, 32, generator=torch.Generator().manual_seed(2)).double()
    same(converted, x, Theirs(state, layout, None if own else 0.5).vgg(x), 1e-9 if own else 1e-5)


def test_a_strict_comparison_is_kept_at_the_threshold():
    state = random_state("mpd-agl", *resnet_plan(), 1)
    fires = {}
    for compare in (">=", ">"):
        neuron = convert(state, Facts("mpd-agl", "resnet19", T, compare)).module.encode.neuron
        fires[compare] = float(neuron(torch.full((T, 1, 1), 0.5)).detach()[0])
    assert fires == {">=": 1.0, ">": 0.0}


def test_another_v_threshold_does_not_reach_the_norm():
    """--Vth reaches the neurons, tdBN keeps its 0.5 (models/layers.py:51)."""
    state = random_state("mpd-agl", *resnet_plan(), 1)
    converted = convert(state, Facts("mpd-agl", "resnet19", T, v_threshold=0.8, input_shape=(3, 16, 16)))
    same(converted, image(), Theirs(state, "mpd-agl", 0.8).resnet(image()), 1e-5)


def problems(state, facts, **options):
    with pytest.raises(SpikeportError) as caught:
        convert(state, facts, **options)
    return caught.value.findings


def test_keys_that_are_missing_or_left_over_are_all_named():
    state = random_state("mpd-agl", *resnet_plan(), 1)
    state["extra.weight"] = state.pop("ResNetBlocks.2.0.conv1.layer.weight")
    del state["fc.1.neuron.w"]
    findings = problems(state, Facts("mpd-agl", "resnet19", T))
    assert {f.code for f in findings} == {"SP392"}
    text = " ".join(f.what for f in findings)
    for key in ("extra.weight", "ResNetBlocks.2.0.conv1.layer.weight", "fc.1.neuron.w"):
        assert key in text


@pytest.mark.parametrize(("wrong", "right"), [("mpd-agl", "ds-atgo"), ("ds-atgo", "mpd-agl")])
def test_one_layout_is_never_taken_for_the_other(wrong, right):
    (finding,) = problems(random_state(right, *resnet_plan(), 1), Facts(wrong, "resnet19", T))
    assert finding.code == "SP391"
    assert right in finding.mend


def test_a_table_must_be_there_and_have_t_entries():
    state = random_state("ds-atgo", *resnet_plan(), 1)
    assert problems(state, Facts("ds-atgo", "resnet19", T))[0].code == "SP393"
    state = random_state("ds-atgo", *resnet_plan(), 1, table=True)
    assert {f.code for f in problems(state, Facts("ds-atgo", "resnet19", T + 1))} == {"SP394"}


def test_what_the_authors_loaders_do_is_known_for_cifar10_only():
    """data_loader/loader.py of both codes; the same numbers stand in the reference page, 1.5."""
    converted = convert(random_state("mpd-agl", *resnet_plan(), 1), Facts("mpd-agl", "resnet19", T))
    told = converted.metadata["preprocessing"]
    assert (told["mean"], told["std"]) == ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
    plan, (name, (_, width)) = resnet_plan()
    hundred = random_state("mpd-agl", plan, (name, (100, width)), 1)
    assert convert(hundred, Facts("mpd-agl", "resnet19", T)).metadata["preprocessing"]["unknown"]
    vgg = random_state("mpd-agl", *vgg_plan(), 3, biases=True)
    assert "CIFAR10-DVS" in convert(vgg, Facts("mpd-agl", "vggsnn", T)).metadata["preprocessing"]["unknown"]
    plain = convert(vgg, Facts("mpd-agl", "vggsnn", T, normalise="none"))
    assert "preprocessing" not in plain.metadata


def test_decays_that_a_file_does_not_hold_are_given_or_said():
    """LIF neurons of decay 0.35 are PLIF neurons whose sigmoid(w) is 0.35; without a word 0.2 stands in."""
    learned = random_state("mpd-agl", *resnet_plan(), 1)
    for key in [key for key in learned if key.endswith("neuron.w")]:
        learned[key] = torch.tensor(0.35).logit()
    kept = {key: value for key, value in learned.items() if not key.endswith("neuron.w")}
    facts = Facts("mpd-agl", "resnet19", T, input_shape=(3, 16, 16))
    with torch.no_grad():
        wanted, said, assumed = (
            convert(state, replace(facts, decay=decay)).module.float()(image().float())
            for state, decay in ((learned, None), (kept, 0.35), (kept, None))
        )
    torch.testing.assert_close(said, wanted, rtol=1e-5, atol=1e-5)
    assert (assumed - wanted).abs().max() > 0.1
    (finding,) = convert(kept, facts).findings
    assert (finding.code, finding.severity) == ("SP395", "substituted")
    assert "0.2" in finding.what
    with pytest.raises(SpikeportError, match="the decays that its neurons learned"):
        convert(learned, replace(facts, decay=0.35))
