"""What a writer may be told, for those that offer it: the libraries of the formats take long to import."""

from __future__ import annotations

from typing import Literal

Thresholds = Literal["guard", "approx"]  #: of NIR: schedules behind a guard, or constant ones
Time = Literal["scan", "unroll", "step"]  #: of ONNX: one Scan a layer, every step written out, or one step
