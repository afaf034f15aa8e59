"""Modules that put their tensors on a card themselves, run where there is none."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from spikeport.tracing.functions import name_of


class WithoutCard(TorchFunctionMode):
    """While open, what a module would put on a card stays on the processor; which cards that were is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if name_of(func) == "cuda":
            self.asked.add("cuda")
            return args[0]
        return func(*(self._here(arg) for arg in args), **{key: self._here(value) for key, value in kwargs.items()})

    def _here(self, value: Any) -> Any:
        """A device that is a card as the processor; anything else as it is."""
        if isinstance(value, torch.device) and value.type == "cuda":
            self.asked.add(str(value))
            return torch.device("cpu")
        if isinstance(value, str) and (value == "cuda" or value.startswith("cuda:")):
            self.asked.add(value)
            return "cpu"
        return value
