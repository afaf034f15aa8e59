"""Reads a ``state_dict`` from a file without ever running code that lies in it."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from spikeport.findings import fail

NESTS = ("net", "state_dict", "model", "model_state_dict")  #: where training scripts put the state_dict
ROOM, RATIO = 2**24, 64  #: bytes that a file may claim: so many, and so many for each of its own
PREFIX = "module."  #: what DataParallel puts before every key
#: what torch's reader raises on files that are damaged or something else
DAMAGED: tuple[type[Exception], ...] = (RuntimeError, OSError, EOFError, ValueError, LookupError, AttributeError)
DAMAGED += (AssertionError, TypeError, MemoryError, OverflowError, zipfile.BadZipFile, struct.error)


def read_state(file: Path | str) -> dict[str, Tensor]:
    """The tensors of a checkpoint by key: a .pth of torch.save (weights only), or safetensors; nested or not.

    Raises SP390 for a file that is missing, empty or no checkpoint, and for one that would have to run code.
    """
    path = Path(file)
    if not path.is_file():
        fail("SP390", "there is no such file", where=str(path), mend="name a .pth, .pt or .safetensors file")
    if path.stat().st_size == 0:
        fail("SP390", "the file is empty", where=str(path), mend="copy it again")
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickle(path)
    state = _unnested(content)
    if not state:
        fail(
            "SP390",
            "holds no tensors by name",
            where=str(path),
            why=f"it is no state_dict, nor one nested under {', '.join(NESTS)}.",
            mend="save model.state_dict()",
        )
    for name, tensor in state.items():
        if reason := _no_array(tensor):
            mend = "save model.state_dict() of the module as it was trained, on a CPU"
            fail("SP390", f"{name[:80]!r} {reason}", where=str(path), mend=mend)
    return state


def _no_array(tensor: Tensor) -> str:
    """Why a tensor is no array of real numbers that lies in the file; empty where it is."""
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        return f"is of layout {tensor.layout}, no plain tensor" if not tensor.is_quantized else "is quantised by torch"
    if tensor.device.type != "cpu" or tensor.is_complex():
        return f"holds no real numbers ({tensor.dtype} on {tensor.device})"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"claims {tensor.numel():,} values and holds fewer"
    return ""


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        fail("SP390", f"is no safetensors file, or was cut short ({error})", where=str(path), mend="copy it again")


def _pickle(path: Path) -> Any:
    _within_bounds(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle's version; what matters becomes an error
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error) or "Unsupported" in str(error) or "weights_only" in str(error).lower():
            what = "holds more than tensors; reading it would run code that lies in the file"
            mend = "save model.state_dict() alone, where you trust the file"
            fail("SP390", what, where=str(path), why=str(error).splitlines()[0], mend=mend)
        fail("SP390", f"is no checkpoint ({error})", where=str(path), mend="copy it again")
    except DAMAGED as error:
        what = f"is no checkpoint, or was cut short ({type(error).__name__})"
        fail("SP390", what, where=str(path), mend="copy it again")


def _within_bounds(path: Path) -> None:
    """Refuse a zip that would be blown up: torch.save stores tensors as they are."""
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
    except DAMAGED:
        return  # no zip, or one that torch's reader refuses
    if claimed > ROOM + RATIO * path.stat().st_size:
        what = f"claims {claimed:,} bytes, more than a file of this size can hold"
        fail("SP390", what, where=str(path), mend="the file is damaged or not to be trusted")


def _unnested(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        return {}
    for nest in NESTS:
        if isinstance(content.get(nest), Mapping):
            content = content[nest]
            break
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if state and all(key.startswith(PREFIX) for key in state):
        state = {key.removeprefix(PREFIX): value for key, value in state.items()}
    return state
