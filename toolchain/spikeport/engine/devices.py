"""Which processor computes: names of devices, what is here, and what a run on a GPU has to remember."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import torch

from spikeport.findings import Finding, fail
from spikeport.graph import Array, Graph
from spikeport.record import Record
from spikeport.target import Request

PRODUCTS = ("float32", "tf32", "bf16")

Runner = Callable[[Graph, Array, Request], Record]


def resolve(asked: str, where: str = "", instead: str = "--device cpu") -> tuple[str, tuple[Finding, ...]]:
    """The device of a name: cpu, cuda or cuda:N. ``auto`` is a GPU where there is one; else the CPU, which is said.

    ``instead`` is what to write where there is none.
    Raises SP521 for what is no name, SP514 for a GPU that is not here.
    """
    if not re.fullmatch(r"cpu|auto|cuda(:\d+)?", asked):
        fail("SP521", f"{asked!r} is no device", where=where, mend="write cpu, cuda, cuda:1 or auto")
    if asked == "cpu":
        return asked, ()
    why, mend = absent()
    if asked == "auto":
        note = Finding("SP522", f"{why}: the CPU runs it", where, mend=mend, severity="note")
        return ("cpu", (note,)) if why else ("cuda", ())
    number = int(asked.partition(":")[2] or 0)
    if not why and number >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        why, mend = f"there is no GPU {number}, they are counted from 0 to {count - 1}", "look at nvidia-smi"
    if why:
        fail("SP514", why, where=where, mend=f"{mend}, or use {instead}")
    return asked, ()


def absent() -> tuple[str, str]:
    """Why torch can use no GPU here, and what to do about it; nothing where it can."""
    if torch.cuda.is_available():
        return "", ""
    if torch.version.cuda is None:
        return "this torch is built without CUDA", "install torch's CUDA build"
    return "torch finds no NVIDIA GPU that it can use", "see nvidia-smi: the driver, and CUDA_VISIBLE_DEVICES"


def products_asked() -> str:
    """How a GPU multiplies real numbers: in float32, or by request (``SPIKEPORT_PRODUCTS``) as tf32 or bf16.

    Raises SP526 for another word.
    """
    asked = os.environ.get("SPIKEPORT_PRODUCTS", "float32")
    if asked not in PRODUCTS:
        fail("SP526", f"SPIKEPORT_PRODUCTS={asked}", mend=f"write {', '.join(PRODUCTS)}, or leave it out")
    return asked


def remembers(device: str, *, real: bool = False) -> dict[str, str]:
    """What a record of a run on a GPU says of it: the card, which kernels, and of ``real`` numbers how it multiplies.

    Nothing of the CPU, nor of products in float32.
    """
    if device == "cpu":
        return {}
    shorter = {"products": products_asked()} if real and products_asked() != "float32" else {}
    return {"device": f"{device} ({torch.cuda.get_device_name(device)})", "kernels": fingerprint(), **shorter}


@cache
def fingerprint() -> str:
    """Twelve digits of the SHA-256 of the kernels' files."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / "cuda").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def on(device: str) -> Runner:
    """The engine on a device that is here, as passes and comparisons take it."""
    from spikeport.engine.run import simulate

    return lambda graph, samples, request: simulate(graph, samples, request, device)


@contextmanager
def whole_factors(device: str) -> Iterator[None]:
    """No TF32, which keeps 10 bits of each factor, so that spikes would move; torch has it on for convolutions.

    A GPU is also the one that kernels are launched on, which else is the first, wherever their numbers lie.
    """
    if device == "cpu":
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        with torch.cuda.device(device) if device.startswith("cuda") else nullcontext():
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
