"""Data sets behind one interface: `load(name, split)` gives the whole split as arrays."""

from spikeport_models.datasets.interface import DATASETS, Dataset, load, status

__all__ = ["DATASETS", "Dataset", "load", "status"]
