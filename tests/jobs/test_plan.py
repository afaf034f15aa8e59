"""The points of a plan are what its axes say, counted before any is listed; a bad plan is refused in full."""

from __future__ import annotations

import pytest

from spikeport.findings import SpikeportError
from spikeport.jobs.axes import axes_of, check, count, evenly, points
from spikeport.jobs.plan import Axis, Plan, parse, read
from spikeport.verbs.stages import ORDER
from spikeport.verbs.sweep import sweep

GOOD = {
    "train": {"recipe": "digits-conv"},
    "quantize": {},
    "evaluate": {},
    "goals": ["accuracy"],
    "constraints": {"drop": "<= 0.5", "fit": "loihi1, 8 chips"},
    "axes": {"quantize.weight_bits": [4, 8]},
}


def changed(**fields):
    return {**GOOD, **fields}


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ({"from": 2, "to": 8}, [2, 3, 4, 5, 6, 7, 8]),
        ({"from": 1, "to": 6, "step": 2}, [1, 3, 5]),
        ({"from": 0.1, "to": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"from": 0.001, "to": 0.1, "points": 3, "scale": "log"}, [0.001, 0.01, 0.1]),
        ({"from": 1, "to": 64, "points": 4, "scale": "log"}, [1, 4, 16, 64]),
        ({"from": 3, "to": 2}, []),
        ({"values": ["a", True, [8, 16]]}, ["a", True, [8, 16]]),
    ],
)
def test_an_axis_goes_through_its_values(words, values):
    assert Axis(**words).grid() == values


def test_points_are_the_product_where_conditions_hold():
    plan = parse(
        changed(
            seeds=2,
            axes={
                "train.method_options.f_c": {"values": [0.7, 1.0, 1.3], "when": {"train.method": "ds-atgo"}},
                "train.method": ["ds-atgo", "mpd-agl", "fixed"],
                "quantize.weight_bits": {"from": 2, "to": 8},
            },
        ),
        ORDER,
    )
    known = list(points(axes := axes_of(plan)))
    assert count(axes) == len(known) == (3 + 1 + 1) * 7 * 2
    assert len({repr(sorted(point.items())) for point in known}) == len(known)
    assert all(("train.method_options.f_c" in point) == (point["train.method"] == "ds-atgo") for point in known)
    assert [point["train.seed"] for point in known[:4]] == [0, 1, 0, 1]
    assert plan.bounds == {"drop": ("<=", 0.5)}
    assert plan.chip == ("loihi1", 8)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"axes": {"quantise.weight_bits": [4]}}, "SP961", "quantize"),
        ({"axes": {"quantize.weight_bit": [4]}}, "SP961", "did you mean weight_bits?"),
        ({"axes": {"train.epoch": [4]}}, "SP961", "epochs"),
        ({"evaluate": {"limits": 3}}, "SP961", "limit"),
        ({"train": {}}, "SP961", "lacks recipe"),
        ({"model": "digits-conv"}, "SP961", "trains a network and names one"),
        ({"verbs": {"plot": {}}}, "SP961", "plot"),
        ({"axes": {"quantize.weight_bits": {"from": 8, "to": 2}}}, "SP962", "goes through nothing"),
        ({"axes": {"train.lr": {"values": [1], "when": {"train.method": "fixed"}}}}, "SP962", "no axis"),
        (
            {
                "axes": {
                    f"train.{a}": {"values": [1], "when": {f"train.{b}": 1}}
                    for a, b in (("lr", "seed"), ("seed", "lr"))
                }
            },
            "SP962",
            "circle",
        ),
        ({"goals": ["energy.loihi1-davies2018"]}, "SP963", "accuracy"),
        ({"constraints": {"cores": 3}}, "SP963", "cores"),
        ({"constraints": {"drop": "small"}}, "SP964", "<= 0.5"),
        ({"constraints": {"fit": "one, two"}}, "SP964", "loihi1, 8 chips"),
        ({"axes": {f"train.{n}": {"from": 1, "to": 216} for n in ("seed", "epochs", "batch")}}, "SP965", "10,077,696"),
        ({"axes": {"train.lr": {"from": 0, "to": 1e300, "step": 1e-300}}}, "SP965", "train.lr goes through inf values"),
        ({"goal": ["accuracy"]}, "SP960", "goals"),
        ({"axes": 3}, "SP960", "no plan"),
        ({"evaluate": {"limit": 3}, "axes": {"evaluate.limit": [1, 2]}}, "SP961", "stays and varies"),
        ({"constraints": {"fit": "loihi9, 1 chip"}}, "SP721", "loihi1"),
        ({"axes": {"train.lr": {"from": 0, "to": 1, "scale": "log"}}}, "SP960", "positive"),
        ({"axes": {"train.method": ["fixed", "ds-atgoo"]}}, "SP313", "ds-atgoo"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_before_anything_runs(change, code, words, tmp_path):
    with pytest.raises(SpikeportError, match=code) as caught:
        sweep(changed(**change), tmp_path)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lengths", [(7,), (2, 4), (6, 4, 3), (7, 6, 3, 3), (1, 5, 2)])
def test_a_sweep_that_stops_has_gone_through_its_axes_alike(lengths):
    """At no point does a value of an axis lead another by more than one."""
    axes = {f"quantize.{i}": Axis(values=[[j] for j in range(n)]) for i, n in enumerate(lengths)}
    order = evenly(points(axes))
    assert sorted(map(str, order)) == sorted(map(str, points(axes)))
    for name, axis in axes.items():
        counts = dict.fromkeys(map(str, axis.grid()), 0)
        for point in order:
            counts[str(point[name])] += 1
            assert max(counts.values()) - min(counts.values()) <= 1


def test_points_whose_condition_holds_come_by_turns_with_the_others():
    axes = {"train.a": Axis(values=[1, 2]), "train.b": Axis(values=[1, 2, 3], when={"train.a": 1})}
    assert [point.get("train.b") for point in evenly(points(axes))] == [1, 2, None, 3]


def test_a_plan_that_is_not_there_names_those_beside_it(tmp_path):
    (tmp_path / "plan.toml").write_text("")
    with pytest.raises(SpikeportError, match=r"no such file\n.*did you mean plan.toml") as caught:
        read(tmp_path / "plam.toml", ORDER)
    assert caught.value.code == "SP960"


def test_what_is_no_toml_is_no_plan(tmp_path):
    (tmp_path / "plan.toml").write_text("axes = [")
    for path in (tmp_path / "plan.toml", tmp_path / "none.toml"):
        with pytest.raises(SpikeportError, match="SP960"):
            read(path, ORDER)


def test_everything_that_is_wrong_is_said_at_once():
    plan = Plan(verbs={"evaluate": {"nothing": 1}}, axes={"evaluate.limit": Axis(values=[])}, goals=["fame"])
    with pytest.raises(SpikeportError) as caught:
        check(plan, lambda verb, option: None if option == "limit" else ["limit"], ["accuracy"])
    assert [finding.code for finding in caught.value.findings] == ["SP961", "SP962", "SP963"]
