"""What the order of a step's events changes: ``python tests/speck_orders.py build/if/model.int.nir --data digits``."""

from __future__ import annotations

import argparse

from spikeport.verbs.load import load_data, load_model
from spikeport_targets.speck.reorder import reorder


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model")
    options.add_argument("--data", required=True)
    options.add_argument("--samples", type=int, default=100)
    options.add_argument("--seeds", type=int, default=5)
    order = options.parse_args()
    graph = load_model(order.model).graph
    moved = reorder(graph, load_data(order.data, "test", graph, order.samples).x, range(order.seeds))
    for seed, (differ, same) in enumerate(zip(moved.differ, moved.answers, strict=True)):
        share = f"{differ / moved.spikes:.1%}"
        print(f"seed {seed}: {differ:,} of {moved.spikes:,} spikes differ ({share}), {same:.0%} of the answers stay")
    print(f"proved for every order: {moved.decided:,} spikes ({moved.decided / moved.spikes:.1%}) are the same")


if __name__ == "__main__":
    main()
