"""What a shell offers after an option: the names that there are, asked for when a line is completed."""

from __future__ import annotations

from collections.abc import Iterable


def targets() -> Iterable[str]:
    """Where a model can run."""
    from spikeport.verbs.execute import target_names

    return target_names()


def data() -> Iterable[str]:
    """Data sets."""
    from spikeport import datasets

    return datasets.status()


def splits() -> Iterable[str]:
    """Parts of a data set."""
    return ("train", "val", "test")


def models() -> Iterable[str]:
    """Shipped models."""
    from spikeport.training.shipped import models

    return models()


def recipes() -> Iterable[str]:
    """Shipped recipes."""
    from spikeport.training.shipped import recipes

    return recipes()


def methods() -> Iterable[str]:
    """Training methods, also those of installed plug-ins."""
    from spikeport.training.catalogue import METHODS
    from spikeport.training.options import names

    return names("methods", METHODS)


def chips() -> Iterable[str]:
    """Shipped chips."""
    from spikeport.mapping.chip import shipped

    return shipped()


def profiles() -> Iterable[str]:
    """Shipped number formats."""
    from spikeport.quantisation.profiles import profile_names

    return profile_names()


def costs() -> Iterable[str]:
    """Shipped cost models."""
    from spikeport.costs import shipped

    return shipped()


def codes() -> Iterable[str]:
    """Error codes."""
    from spikeport.catalogue import pages

    return pages()


#: by the name of a parameter, which means the same in every verb
VALUES = {
    "a": models,
    "b": models,
    "chip": chips,
    "code": codes,
    "data": data,
    "method": methods,
    "model": models,
    "models": costs,
    "network": recipes,
    "profile": profiles,
    "recipe": recipes,
    "split": splits,
    "target": targets,
}
