"""A job's name is its content; a result is there as a whole or not; a failure takes only its dependents along."""

from __future__ import annotations

import numpy as np
import pytest

import job_calls
from spikeport.findings import SpikeportError
from spikeport.jobs import File, Job, Output, Run, Store, executor
from spikeport.jobs.here import Here


def run(store, jobs, on="here", fresh=False):
    with executor(on, store) as workers:
        work = Run(store, workers, fresh)
        work.add(jobs)
        return {done.job: done for done in work}


def square(number, **more):
    return Job(job_calls.square, {"number": number}, **more)


def test_a_name_is_the_content_and_not_the_place(tmp_path):
    for name, text in (("a", "12"), ("b", "12"), ("c", "13")):
        (tmp_path / name).write_text(text)
    a, b, c = (Job(job_calls.half, {"square": File(tmp_path / name)}) for name in "abc")
    assert a.key == b.key != c.key
    assert square(2, content={"x": np.arange(3)}).key != square(2, content={"x": np.arange(3.0)}).key
    assert square(2).key == square(2, carried={"ledger": "elsewhere"}, name="two").key != square(3).key
    assert Job(job_calls.half, {"square": Output(square(2), "square.txt")}).key not in (a.key, square(2).key)


@pytest.mark.parametrize("bad", [Job(lambda place: {}), Job(job_calls.square, {"number": object()})])
def test_what_has_no_content_has_no_name(bad):
    with pytest.raises(SpikeportError, match="SP950"):
        _ = bad.key


def test_what_is_there_is_not_run_again_and_what_is_damaged_is_not_there(tmp_path):
    store, ledger = Store.at(tmp_path / "store"), tmp_path / "ledger"
    jobs = [square(n, carried={"ledger": str(ledger)}) for n in range(4)]
    begun = lambda: ledger.read_text().count("begin")  # noqa: E731
    assert [done.facts for done in run(store, jobs).values()] == [{"square": n * n} for n in range(4)]
    assert begun() == 4
    assert not any(done.ran for done in run(Store.at(tmp_path / "store"), jobs).values())
    assert begun() == 4
    (store.folder(jobs[2].key) / "square.txt").write_text("5")
    (store.folder(jobs[3].key) / "result.json").write_text("{")
    assert [done.ran for done in run(store, jobs).values()].count(True) == 2
    run(store, jobs, fresh=True)
    assert begun() == 4 + 2 + 4
    assert store.seconds(jobs[0].key) > 0


def test_a_failure_takes_its_dependents_along_and_nothing_else(tmp_path):
    store = Store.at(tmp_path)
    fails = [Job(job_calls.refuses, {"how": how}) for how in ("code", "raise")]
    after = [Job(job_calls.half, {"square": Output(job, "square.txt")}) for job in (fails[0], square(8))]
    lacks = Job(job_calls.half, {"square": Output(square(8), "cube.txt")})
    done = run(store, [*fails, *after, lacks])
    codes = {job: [finding.code for finding in done[job].findings] for job in (*fails, *after, lacks)}
    assert list(codes.values()) == [["SP102"], ["SP952"], ["SP953"], [], ["SP954"]]
    assert done[after[1]].facts == {"half": 32.0}
    assert not list(tmp_path.rglob("*.part"))
    assert not store.folder(fails[0].key).exists()


@pytest.mark.parametrize("on", ["here", "processes:1"])
def test_a_chain_of_jobs_ends_before_the_next_one_begins(on, tmp_path):
    """So a sweep that is stopped leaves whole points, not the first stage of all of them."""
    first, second = ([square(n), Job(job_calls.half, {"square": Output(square(n), "square.txt")})] for n in (2, 3))
    assert list(run(Store.at(tmp_path), [*first, *second], on)) == [*first, *second]


@pytest.mark.parametrize("on", ["there", "processes:0", "here:2", "ray:"])
def test_a_word_that_is_no_place_is_refused(on, tmp_path):
    with pytest.raises(SpikeportError, match="SP951"):
        executor(on, Store(tmp_path))


def test_without_ray_everything_else_works(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(SpikeportError, match="SP955"):
        executor("ray", Store(tmp_path))
    assert isinstance(executor("here", Store(tmp_path)), Here)
