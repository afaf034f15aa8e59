"""Networks, data sets, recipes, and shipped checkpoints with their cards."""

from spikeport_models.store import load, shipped

__all__ = ["load", "shipped"]
