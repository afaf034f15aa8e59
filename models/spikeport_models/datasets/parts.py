"""Stratified parts of a data set, the same on every machine."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spikeport.datasets import Split
from spikeport.findings import fail

SEED = 2025  #: of every split; the seed of training is another one
Indices = NDArray[np.intp]


def stratified(labels: NDArray[np.int64], share: float, seed: int = SEED) -> tuple[Indices, Indices]:
    """Indices of two parts, the second with ``share`` of each class; both in ascending order.

    They are the parts that scikit-learn's ``train_test_split(..., stratify=labels)`` draws, which takes a second to
    import. Raises SP362 for too few samples.
    """
    _, kinds, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    second = math.ceil(share * len(labels))
    first = len(labels) - second
    if sizes.min(initial=2) < 2 or min(first, second) < max(len(sizes), 1):
        what = f"{len(labels)} samples of {len(sizes)} classes cannot be split in parts of each class"
        why = f"each class has to be in both, of {first} and {second} samples."
        fail("SP362", what, why=why, mend="bring several samples of each class")
    random = np.random.RandomState(seed)  # whose draws numpy keeps for ever
    kept = _shares(sizes, first, random)
    _shares(sizes - kept, second, random)  # all that are left; it may draw
    parts = [np.flatnonzero(kinds == kind)[random.permutation(size)] for kind, size in enumerate(sizes)]
    sides = [np.split(part, [number]) for part, number in zip(parts, kept, strict=True)]
    return np.sort(np.concatenate([a for a, _ in sides])), np.sort(np.concatenate([b for _, b in sides]))


def _shares(sizes: Indices, total: int, random: np.random.RandomState) -> Indices:
    """How many of each class make ``total``: the whole part of its share; what lacks to those with the largest rest.

    Of equal rests some are drawn.
    """
    exact = sizes / sizes.sum() * total
    whole: NDArray[np.float64] = np.floor(exact)
    rests = exact - whole
    for rest in np.unique(rests)[::-1]:
        lacking = int(total - whole.sum())
        if lacking == 0:
            break
        (alike,) = np.nonzero(rests == rest)
        whole[random.choice(alike, min(len(alike), lacking), replace=False)] += 1
    return whole.astype(np.intp)


def indices_of(labels: NDArray[np.int64], split: Split, *, test: float = 0.0, val: float = 0.1) -> Indices:
    """Indices of one split, in ascending order: a stratified share for the test, and one of the rest for validation.

    ``test`` is 0 where the data have a test part of their own: these samples then are for train and val alone.
    """
    rest = outside = np.arange(len(labels))
    if test:
        rest, outside = stratified(labels, test)
    inside, between = stratified(labels[rest], val)
    return {"train": rest[inside], "val": rest[between], "test": outside}[split]
