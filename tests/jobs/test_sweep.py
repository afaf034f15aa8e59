"""A sweep's table is the same however it ran; what failed is told and the rest goes on; the front is the front."""

from __future__ import annotations

import json
import statistics
import sys

import numpy as np
import pytest

import job_calls
import spikeport
from spikeport.findings import SpikeportError
from spikeport.jobs import Job, Output
from spikeport.jobs.axes import axes_of
from spikeport.jobs.plan import Axis, Plan, Search
from spikeport.jobs.sweep import Sweep, noted
from spikeport.jobs.table import Row, counts, flat, front, over_seeds, write
from spikeport.reporting.sweep import Scale, seeds_done, with_spread


def chain(plan, point):
    """A square, and its half; numbers below zero are refused."""
    number = point["square.number"]
    first = Job(job_calls.refuses, {"how": "code"}) if number < 0 else Job(job_calls.square, {"number": number})
    return {"square": first, "half": Job(job_calls.half, {"square": Output(first, "square.txt")})}


def tell(plan, facts):
    return {name: value for each in facts.values() for name, value in each.items()}


def sweep(place, values, **fields):
    plan = Plan(verbs={"square": {}, "half": {}}, axes={"square.number": Axis(values=values)}, goals=["half"], **fields)
    return Sweep(plan, axes_of(plan), place, chain, tell, ())


def test_the_table_is_the_same_on_workers_and_after_a_stop(tmp_path):
    tables, values = [], [*range(12), -1]
    for on, stops in (("here", False), ("processes:2", False), ("here", True)):
        place = tmp_path / f"{on[:4]}{stops}"
        known = sweep(place, values)
        if stops:

            def stop(done, total):
                if done == 20:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                known.run(on, progress=stop)
            assert [row.state for row in known.there()].count("done") in range(1, 12)
            known = sweep(place, values)
        failed = []
        rows = known.run(on, failed=failed.append)
        assert sorted(done.findings[0].code for done in failed) == ["SP102", "SP953"]
        assert [row.state for row in rows] == ["done"] * 12 + ["SP102"]
        assert rows == known.there()
        write(flat(rows, known.plan.bounds, ()), place)
        tables.append((place / "table.csv").read_bytes())
        assert len(json.loads((place / "table.json").read_text())) == 13
    assert tables[0] == tables[1] == tables[2]
    assert noted(tmp_path / "hereFalse").points[3] == {"square.number": 3}


def test_a_table_is_parquet_too_with_one_type_a_column(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    rows = [{"a": 1, "b": "x", "c": None, "d": True}, {"a": 2.5, "b": 3, "c": 0.25, "d": False}]
    write(rows, tmp_path)
    known = parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert known == [{"a": 1.0, "b": "x", "c": None, "d": True}, {"a": 2.5, "b": "3", "c": 0.25, "d": False}]


def test_the_front_holds_what_no_other_beats():
    rng = np.random.default_rng(3)
    rows = [Row(n, {}, "done", dict(zip("abc", rng.integers(0, 6, 3).tolist(), strict=True))) for n in range(60)]
    signs = {"a": -1, "b": 1, "c": 1}  # of a more is better

    def beats(x, y):
        costs = [(signs[name] * x.figures[name], signs[name] * y.figures[name]) for name in signs]
        return all(p <= q for p, q in costs) and any(p < q for p, q in costs)

    kept = {row.number for row in rows if not any(beats(other, row) for other in rows)}
    best = front(rows, ["a", "b", "c"], {"a"})
    assert {row.number for row in best} == kept
    assert [row.figures["a"] for row in best] == sorted((row.figures["a"] for row in best), reverse=True)
    assert front([Row(0, {}, "waiting", {"a": 1})], ["a"], ()) == []


def test_seeds_are_told_by_mean_and_deviation():
    rows = [Row(n, {"x": n // 3, "train.seed": n % 3}, "done", {"a": float(n * n)}) for n in range(6)]
    rows.append(Row(6, {"x": 1, "train.seed": 3}, "SP102", {}))
    first, second = over_seeds(rows)
    assert (first.figures["a"], first.seeds) == (5 / 3, 3)
    assert second.spread["a"] == pytest.approx(statistics.stdev([9, 16, 25]), rel=1e-15)
    assert second.point == {"x": 1}
    assert (second.seeds, second.asked, seeds_done(second), with_spread(second, "a")) == (
        3,
        4,
        "3 of 4",
        "16.67 ± 8.021",
    )
    yes = over_seeds(Row(n, {"train.seed": n}, "done", {"fits": True}) for n in range(2))[0]
    assert with_spread(yes, "fits") == "True"
    assert counts([*rows, Row(7, {}, "waiting", {})]) == "6 of 8 points are done, 1 waiting, 1 failed"
    assert Row(0, {}, "done", {"a": 2}).meets({"a": ("<=", 2), "b": (">=", 0)}) is False


def test_a_search_finds_the_least_and_goes_on_after_a_stop(tmp_path):
    pytest.importorskip("optuna", reason="spikeport[search] is not installed")
    known = sweep(tmp_path, list(range(6)), search=Search(by="tpe", trials=10))

    def stop(done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        known.run("here", progress=stop)
    known = sweep(tmp_path, list(range(6)), search=Search(by="tpe", trials=10))
    rows = known.run("here")
    assert all(row.state == "done" for row in rows)
    assert min(row.figures["half"] for row in rows) == 0.0
    with (tmp_path / "trials.log").open("ab") as file:
        file.write(b'{"op_code": 5, "trial')  # was being written when its process was killed
    assert [row.point for row in sweep(tmp_path, list(range(6)), search=Search(trials=10)).run("here")] == [
        row.point for row in rows
    ]
    with pytest.raises(SpikeportError, match="SP968"):
        sweep(tmp_path, list(range(7)), search=Search(trials=11)).run("here")  # what was drawn says nothing of these


def test_without_optuna_a_search_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SpikeportError, match="SP966"):
        sweep(tmp_path, [1], search=Search(trials=2)).run("here")


def test_a_sweep_of_a_model_tells_what_its_verbs_tell(tmp_path):
    plan = {
        "name": "bits",
        "model": "digits-conv",
        "quantize": {"data": "digits", "calibration": 32},
        "evaluate": {"data": "digits", "limit": 60},
        "fit": {},
        "axes": {"quantize.weight_bits": [3]},
        "goals": ["accuracy", "cores"],
        "constraints": {"fit": "loihi1", "drop": "<= 100"},
    }
    swept = spikeport.sweep(plan, tmp_path)
    spikeport.quantize("digits-conv", data="digits", calibration=32, weight_bits=3, out=tmp_path / "m.nir")
    figures = swept.best[0].figures
    accuracy = spikeport.evaluate(tmp_path / "m.nir", "digits", limit=60).accuracy
    assert figures["accuracy"] == accuracy
    assert figures["drop"] == pytest.approx(
        100 * (spikeport.evaluate("digits-conv", "digits", limit=60).accuracy - accuracy)
    )
    assert figures["cores"] == spikeport.fit(tmp_path / "m.nir").bounds["shared"].cores
    (tmp_path / "report.html").unlink()
    page = spikeport.report(tmp_path).read_text()
    assert "1 of 1 points are done" in page
    assert "Best under the constraints" in page
    assert f"{figures['drop']:.2f} points" in page
    assert f"results/{(key := list(swept.rows[0].jobs.values())[-1])[:2]}/{key}/result.json" in page
    with pytest.raises(SpikeportError, match="SP967"):
        noted(tmp_path / "results")


def test_an_axis_of_counts_has_no_marks_between_them():
    assert Scale.of([3, 3]).marks() == [3]
    assert Scale.of([1, 2]).marks() == [1, 2]
    assert 1.5 in Scale.of([1.0, 2.0]).marks()
