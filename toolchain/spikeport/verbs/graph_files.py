"""Files that hold a graph, by their endings: .nir, .onnx, and .net of Lava-DL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spikeport.findings import Finding, SpikeportError
from spikeport.graph import Graph
from spikeport.verbs.own_files import whole

Read = tuple[Graph, tuple[Finding, ...]]


def _nir(path: Path, dt: float | None, said: Mapping[str, str]) -> Read:
    from spikeport.formats import nir

    options: dict[str, Any] = {**said, "timesteps": _steps(said)}
    return nir.read(path, dt, **options)


def _onnx(path: Path, dt: float | None, said: Mapping[str, str]) -> Read:
    """A model whose neurons are functions of ours or, as other tools write them, plain operators."""
    from spikeport.formats import onnx

    model, arrays = onnx.opened(path)
    try:
        return onnx.read_opened(model, arrays, path)
    except SpikeportError as error:
        if error.findings[-1].code != "SP258":
            raise
        from spikeport.terminal import console
        from spikeport.tracing.written_out.file import captured

        console.following(path.name)
        return captured(path, model, arrays, error, _steps(said))


def _net(path: Path, dt: float | None, said: Mapping[str, str]) -> Read:
    from spikeport.formats import lava_dl

    return lava_dl.read(path, _steps(said))


def _steps(said: Mapping[str, str]) -> int | None:
    return whole(said["timesteps"], "timesteps") if "timesteps" in said else None


#: by ending, the reader of a path, of ``dt`` in seconds, and of what is said beside the file: `load.load_model`
GRAPHS: dict[str, Callable[[Path, float | None, Mapping[str, str]], Read]] = {
    ".nir": _nir,
    ".onnx": _onnx,
    ".net": _net,
}
