"""Whatever is ended by kill -9, and whenever: the same bytes, nothing twice but what was ended, nothing left behind."""

from __future__ import annotations

import os

import pytest

import job_calls
from killed_jobs import trial
from spikeport.findings import SpikeportError
from spikeport.jobs import Job, Run, Store, executor
from spikeport.jobs.on_ray import perform
from spikeport.jobs.processes import DEATHS, Processes


@pytest.mark.parametrize("on", ["processes:2", pytest.param("ray:2", marks=pytest.mark.slow)])
def test_workers_and_drivers_may_be_killed_at_any_moment(on, tmp_path):
    if on == "ray:2":
        pytest.importorskip("ray", reason="spikeport[cluster] is not installed")
    count, kills, drivers = 60, 8, 1
    facts = trial(tmp_path, on, count, kills, drivers)
    assert facts["same table"]
    assert facts["same results"]
    assert facts["drivers ended"] == drivers
    assert facts["workers ended"] >= kills // 2
    assert count < facts["begun"] <= count + facts["workers ended"] + 2 * drivers
    assert not facts["left alive"]
    assert not facts["half-written"]
    assert facts["in shared memory"] <= 0


def test_a_job_that_ends_its_workers_fails_in_the_end_and_the_others_go_on(tmp_path):
    store = Store.at(tmp_path)
    bad, good = Job(job_calls.refuses, {"how": "kill"}), [Job(job_calls.square, {"number": n}) for n in range(6)]
    unreadable = Job(job_calls.square, {"number": 7}, carried={"ledger": lambda: None})
    with executor("processes:2", store) as workers:
        run = Run(store, workers)
        run.add([bad, unreadable, *good])
        done = {each.job: each for each in run}
        shares = [sorted(os.sched_getaffinity(worker.pid)) for worker in workers.there if worker.pid]
    there = sorted(os.sched_getaffinity(0))  # half of them each, whichever worker took another's place
    assert len(there) == 1 or all(shares.count(share) == 1 for share in shares)
    assert all(share in (there[: len(there) // 2], there[len(there) // 2 :]) for share in shares)
    assert [finding.code for finding in done[bad].findings] == ["SP956"]
    assert f"{DEATHS} workers" in done[bad].findings[0].what
    assert "SIGKILL" in done[bad].findings[0].what
    assert [finding.code for finding in done[unreadable].findings] == ["SP950"]
    assert [done[job].facts["square"] for job in good] == [n * n for n in range(6)]


def test_a_python_that_starts_no_worker_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with Processes(Store.at(tmp_path), 1) as workers:
        workers.submit(Job(job_calls.square, {"number": 1}))
        with pytest.raises(SpikeportError, match="SP957"):
            workers.ended()


def test_a_users_file_with_the_name_of_one_of_pythons_stops_no_worker(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise RuntimeError('not this one')\n")
    monkeypatch.syspath_prepend(tmp_path)
    job = Job(job_calls.square, {"number": 3})
    with Processes(Store.at(tmp_path / "store"), 1) as workers:
        workers.submit(job)
        assert workers.ended().findings == ()


def test_a_node_with_another_version_is_refused(tmp_path):
    findings, files, _ = perform(b"", {}, "0.0.1", str(tmp_path))
    assert [finding.code for finding in findings] == ["SP958"]
    assert not files
