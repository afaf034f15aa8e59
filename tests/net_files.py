"""Lava-DL's .net files, written as SLAYER writes them, and what netx makes of them on Lava, by the equations.

lava-dl 0.6.0 ``slayer/block/base.py`` (`export_hdf5`), ``netx/hdf5.py``; lava-nc 0.10 ``proc/lif/models.py``.
"""

from __future__ import annotations

import h5py
import numpy as np
import torch

CUBA = {"iDecay": 1024, "vDecay": 410, "vThMant": 80, "refDelay": 1, "gradedSpike": False}
LOIHI = {**CUBA, "type": b"LOIHI", "theta": 1600, "tauRho": 0.5, "scaleRho": 1.0, "wgtExp": 0}


def write(path, layers, samples=None):
    """A file with ``layers``, dicts of what HDF5 holds; ``samples`` are the steps of its simulation."""
    with h5py.File(path, "w") as file:
        _group(file.create_group("layer"), {str(number): layer for number, layer in enumerate(layers)})
        if samples is not None:
            _group(file.create_group("simulation"), {"Ts": 1, "tSample": samples})
    return path


def _group(group, values):
    for name, value in values.items():
        if isinstance(value, dict):
            _group(group.create_group(name), value)
        elif isinstance(value, str):
            group.create_dataset(name, (1,), "S10", [value.encode("ascii")])
        else:
            group[name] = value


def neurons(**changed):
    """CUBA neurons."""
    return {"type": b"CUBA", **CUBA, **changed}


def dense(weight, shape=None, **more):
    """A dense block, its weights as floats."""
    weight = np.asarray(weight, np.float32)
    sizes = {"inFeatures": weight.shape[-1], "outFeatures": len(weight)}
    return {"type": "dense", "shape": shape or [len(weight)], "neuron": neurons(), "weight": weight, **sizes, **more}


def conv(weight, shape, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, **more):
    """A convolution that makes ``shape``."""
    weight = np.asarray(weight, np.float32)
    windows = {"stride": stride, "padding": padding, "dilation": dilation, "kernelSize": weight.shape[2:4]}
    sizes = {"inChannels": weight.shape[1] * groups, "outChannels": len(weight), "groups": groups}
    return {"type": "conv", "shape": shape, "neuron": neurons(), "weight": weight, **windows, **sizes, **more}


def even(rng, *shape, top=80):
    """Weights as SLAYER quantises them: even, of both signs."""
    return rng.integers(-top // 2, top // 2, shape) * 2


def spikes(layers, x):
    """Each layer's spikes [T, *shape] for ``x`` [T, *shape], or [*shape] where input neurons have it as their bias.

    Layer by layer, each from state zero at a sample's first step, as netx has it with ``reset_interval``.
    """
    found = []
    for layer in layers:
        if layer["type"] == "input":
            if "neuron" in layer:
                x = _neurons({**layer["neuron"], "iDecay": 4096}, np.zeros((16, *x.shape), np.int64), x)
                found.append(x)
        elif layer["type"] == "flatten":
            x = x.reshape(len(x), -1)
        else:
            bias = np.asarray(layer.get("bias", 0)).astype(np.int64)
            sums = _sums(layer, x)
            bias = bias.reshape(bias.shape + (1,) * (sums.ndim - 1 - bias.ndim)) if bias.size > 1 else bias.reshape(())
            back = layer.get("weight_rec")
            x = _neurons(layer["neuron"], sums, bias, None if back is None else np.asarray(back).astype(np.int64))
            found.append(x)
    return found


def _sums(layer, x):
    weight = torch.from_numpy(np.asarray(layer["weight"], np.float64))
    if layer["type"] == "conv":
        windows = {name: tuple(map(int, layer[name])) for name in ("stride", "padding", "dilation")}
        frames = torch.from_numpy(x.astype(np.float64))
        y = torch.nn.functional.conv2d(frames, weight.reshape(weight.shape[:4]), groups=layer["groups"], **windows)
        return y.numpy().astype(np.int64)
    weight = weight.numpy().astype(np.int64).reshape(int(np.prod(layer["shape"])), -1)
    wait = np.broadcast_to(np.asarray(layer.get("delay", 0)).astype(np.int64), len(weight))  # of each output
    sums = np.zeros((len(x), len(weight)), np.int64)
    for t in range(len(x)):
        for o, row in enumerate(weight):
            if t >= wait[o]:
                sums[t, o] = row @ x[t - wait[o]].astype(np.int64)
    return sums


def _neurons(said, sums, bias, back=None):
    """[T, *shape]: u = trunc(u (4096 - iDecay) / 4096) + 64 a;  v = trunc(v (4096 - vDecay) / 4096) + u + 64 bias."""
    axes = (-1,) + (1,) * (sums.ndim - 2)
    keep_u, keep_v = (
        4096 - (np.reshape(said[name], axes) if np.ndim(said[name]) else said[name]) for name in ("iDecay", "vDecay")
    )
    u, v, fired = (np.zeros(sums.shape[1:], np.int64) for _ in range(3))
    out = np.zeros(sums.shape, np.int64)
    for t, arriving in enumerate(sums):
        arriving = arriving if back is None else arriving + back @ fired
        u = np.sign(u) * (abs(u) * keep_u // 4096) + 64 * arriving
        v = np.clip(np.sign(v) * (abs(v) * keep_v // 4096) + u + 64 * bias, 1 - 2**23, 2**23 - 1)
        fired = out[t] = (v > 64 * said["vThMant"]).astype(np.int64)
        v = np.where(fired, 0, v)
    return out
