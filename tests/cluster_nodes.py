"""A Ray cluster of several nodes on this machine, one of which is taken away in mid-run; needs spikeport[cluster].

python tests/cluster_nodes.py --nodes 8 --jobs 120
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

import job_calls
from killed_jobs import Seen, results
from spikeport.jobs import Job, Needs, Run, Store, executor

CPUS = 0.25  #: of a job; a node has one CPU of Ray's, whatever this machine has


def run(place: Path, on: str, count: int, seconds: float, lose: Cluster | None = None) -> dict[str, int]:
    """Run jobs; after a third of them one node is taken away while it has jobs. How many ran, how often they began."""
    store, ledger = Store.at(place / "store"), place / "ledger"
    carried = {"ledger": str(ledger), "seconds": seconds}
    jobs = [Job(job_calls.square, {"number": n}, {}, carried, needs=Needs(cpus=CPUS)) for n in range(count)]
    with executor(on, store) as workers:
        work = Run(store, workers)
        work.add(jobs)
        done = 0
        for end in work:
            assert end.facts is not None, end.findings
            done += 1
            if lose is not None and done == count // 3:
                lose.remove_node(list(lose.worker_nodes)[-1], allow_graceful=False)
    hosts = Counter(json.loads(path.read_text())["host"] for path in place.glob("store/clocks/*/*.json"))
    seen = Seen.of(ledger)
    return {"done": done, "begun": sum(seen.begins.values()), "processes": len(seen.pids), "hosts": len(hosts)}


def alive(expected: int) -> int:
    """How many nodes with CPUs are there, once the cluster has noticed (a minute at most)."""
    for _ in range(120):
        count = sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes())
        if count == expected:
            break
        time.sleep(0.5)
    return count


def main(nodes: int, count: int, seconds: float) -> dict[str, object]:
    """Both runs, and whether their results are the same bytes."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("nodes", "here")]
        for place in places:
            place.mkdir()
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()
        begun = time.perf_counter()
        facts: dict[str, object] = {"nodes": nodes, **run(places[0], "ray", count, seconds, cluster)}
        facts["seconds"] = round(time.perf_counter() - begun, 1)
        facts["nodes in the end"] = alive(nodes - 1)
        ray.shutdown()
        cluster.shutdown()
        run(places[1], "here", count, 0.0)
        return facts | {"same results": results(places[0]) == results(places[1])}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, kind, usual in (("nodes", int, 8), ("jobs", int, 120), ("seconds", float, 0.5)):
        parser.add_argument(f"--{name}", type=kind, default=usual)
    options = parser.parse_args()
    print(json.dumps(main(options.nodes, options.jobs, options.seconds), indent=1))
