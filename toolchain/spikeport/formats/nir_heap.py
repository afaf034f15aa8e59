"""HDF5 keeps texts in heaps; a damaged heap makes the HDF5 library loop for ever, so heaps are walked here first.

A heap ("global heap collection", HDF5 File Format Specification 3.0, III.E) is a header of 16 bytes and objects, each
with a header of 16 bytes: index, references, reserved, size. An object of index 0 is free space and counts its header
in its size; one of size 0 is where libhdf5 1.14 (H5HGcache.c) never gets past.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

HEAD = b"GCOL\x01\0\0\0"
SIZE = 16  #: bytes of the collection's header, and of each object's


def broken(path: Path) -> str:
    """What is wrong with a heap of the file, or nothing."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(HEAD)
        while at >= 0:
            if problem := _collection(data, at):
                return problem
            at = data.find(HEAD, at + 8)
    return ""


def _collection(data: mmap.mmap, start: int) -> str:
    if start + SIZE > len(data):
        return "a heap is cut short"
    (length,) = struct.unpack_from("<Q", data, start + 8)
    end = start + length
    if length < SIZE or end > len(data):
        return "a heap claims more than the file has"
    at = start + SIZE
    while at + SIZE <= end:
        index, _, size = struct.unpack_from("<HHxxxxQ", data, at)
        step = size if index == 0 else SIZE + (size + 7) // 8 * 8
        if step < SIZE or at + step > end:
            return "an object of a heap has an impossible size"
        at += step
    return ""
