"""The precision of a training, and which one is fast on a device."""

from __future__ import annotations

import platform
from contextlib import nullcontext
from typing import Literal

import torch

from spikeport.findings import Finding

Precision = Literal["float32", "bf16"]


def fastest(device: str = "cpu") -> Precision:
    """bf16 where the device has instructions for its products, float32 elsewhere; ``device`` as torch writes it.

    On x86 AVX512_BF16 or AMX, on ARM what torch says of its oneDNN, on an NVIDIA GPU compute capability 8 or more.
    Elsewhere bfloat16 gives the same numbers, more slowly than float32.
    """
    return "bf16" if (_cuda(device) if device.startswith("cuda") else _cpu()) else "float32"


def emulated(precision: Precision, device: str) -> list[Finding]:
    """SP326 where ``device`` has no instructions for ``precision``; nothing else changes."""
    if precision == "float32" or fastest(device) == "bf16":
        return []
    slow = f"precision = bf16 on {device}, which has no instructions for its products: the numbers of bf16, more slowly"
    what = f"{slow}; precision=auto is float32 here"
    return [Finding("SP326", what, mend="--set precision=auto", severity="note")]


def _cuda(device: str) -> bool:
    with torch.cuda.device(device) if ":" in device else nullcontext():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _cpu() -> bool:
    if platform.machine().lower() in ("arm64", "aarch64"):
        onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return bool(onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
