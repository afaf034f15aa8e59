"""What the seed authors' data loaders do to samples, as far as their public code says it."""

from __future__ import annotations

from spikeport.preprocessing import Preprocessing

#: MPD-AGL data_loader/loader.py:35-41 (61abbf3) and DS-ATGO data_loader/loader.py (333ad21), the same in both
CIFAR10 = Preprocessing(
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2023, 0.1994, 0.2010),
    source="CIFAR-10 as the public code of MPD-AGL and DS-ATGO normalises it (data_loader/loader.py)",
)
#: MPD-AGL data_loader/loader.py:58-86: cut frames of the TET project, through two-channel images of bytes
CIFAR10_DVS = Preprocessing(
    unknown="trained on frames of CIFAR10-DVS that the public code takes from ready-made files and sends through "
    "images of bytes, which loses counts and erases polarities; frames counted here are other input"
)
OTHER = Preprocessing(
    unknown="the public code reads CIFAR-10 and CIFAR10-DVS only; how other data were prepared is not known"
)


def of_authors(arch: str, channels: int, classes: int) -> Preprocessing | None:
    """How the public code prepares the data of an architecture; None for an ``mlp``, which it does not have."""
    if arch == "mlp":
        return None
    if arch == "vggsnn":
        return CIFAR10_DVS
    return CIFAR10 if (channels, classes) == (3, 10) else OTHER
