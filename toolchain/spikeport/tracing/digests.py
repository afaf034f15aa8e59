"""Nodes in one float type, and what a node computes as a short text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from spikeport.graph import Node


def in_type(node: Node, dtype: np.dtype[Any]) -> Node:
    """The node with its arrays in one float type."""
    arrays = {name: getattr(node, name) for name in node.arrays}
    return node.with_(**{name: value.astype(dtype) for name, value in arrays.items() if value is not None})


def digest(node: Node) -> str:
    """What a node computes, as a short text: equal for equal nodes."""
    hasher = hashlib.blake2b(type(node).__name__.encode(), digest_size=16)
    for part in _parts(node):
        hasher.update(part)
    return hasher.hexdigest()


def _parts(node: Node) -> Iterator[bytes | memoryview]:
    for item in fields(node):
        value = getattr(node, item.name)
        yield item.name.encode()
        if isinstance(value, np.ndarray):
            yield str((value.dtype, value.shape)).encode()
            yield np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        else:
            yield repr(value).encode()
