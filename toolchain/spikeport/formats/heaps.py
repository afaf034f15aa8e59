"""HDF5 keeps texts and names in heaps; a damaged one makes the HDF5 library loop for ever: they are walked here first.

A heap ("global heap collection", HDF5 File Format Specification 3.0, III.E) is a header of 16 bytes and objects, each
with a header of 16 bytes: index, references, reserved, size. An object of index 0 is free space and counts its header
in its size; one of size 0 is where libhdf5 1.14 (H5HGcache.c) never gets past.

The names of a group are in a "local heap" (III.D): a header with the size of the heap's data, where its list of free
blocks begins, and where the data lie. A free block says where the next one is; a list that comes back to itself has no
end (H5HLcache.c).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

HEAD = b"GCOL\x01\0\0\0"
LOCAL = b"HEAP\0\0\0\0"
LAST = 1  #: in place of the next free block's place: there is none
SIZE = 16  #: bytes of the collection's header, and of each object's


def broken(path: Path) -> str:
    """What is wrong with a heap of the file, or nothing."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for head, walk in ((HEAD, _collection), (LOCAL, _free_list)):
            at = data.find(head)
            while at >= 0:
                if problem := walk(data, at):
                    return problem
                at = data.find(head, at + 8)
    return ""


def _free_list(data: mmap.mmap, start: int) -> str:
    """Whether a local heap's list of free blocks ends; what only looks like such a heap may be a node's name."""
    if start + 2 * SIZE > len(data):
        return ""
    size, free, place = struct.unpack_from("<QQQ", data, start + 8)
    if place + size > len(data):
        return ""
    blocks = 0
    while free != LAST and free + SIZE <= size:  # beyond, libhdf5 ends with an error of its own
        (free,) = struct.unpack_from("<Q", data, place + free)
        blocks += 1
        if blocks > size // SIZE:
            return "the free blocks of a heap have no end"
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
