"""A plain step-by-step implementation of the papers' equations, in whatever precision it is given. For tests only.

Written from the equations of MPD-AGL and DS-ATGO; autograd does the backward pass, one spike function at a time.
"""

import math

import torch


class Spike(torch.autograd.Function):
    """H(u - theta), with a surrogate for its derivative (the gradient of the threshold is minus that of u)."""

    @staticmethod
    def forward(ctx, u, theta, width, shape):
        ctx.save_for_backward(u, theta.detach() if isinstance(theta, torch.Tensor) else torch.as_tensor(theta), width)
        ctx.shape = shape
        return (u >= theta).to(u.dtype)

    @staticmethod
    def backward(ctx, grad):
        u, theta, width = ctx.saved_tensors
        d = u - theta
        if ctx.shape == "rectangular":
            h = torch.where(d.abs() < width / 2, 1 / width, torch.zeros_like(d))
        elif ctx.shape == "triangular":
            h = torch.where(d.abs() < width, (1 - d.abs() / width) / width, torch.zeros_like(d))
        elif ctx.shape == "sigmoid":
            e = torch.exp(-4 * d / width)
            h = 4 / width * e / (1 + e) ** 2
        else:
            h = 1 / width / (1 + (math.pi * d / width) ** 2)
        full = grad * h
        g_theta = None
        if ctx.needs_input_grad[1]:
            g_theta = -full.sum() if theta.ndim == 0 else -full.sum_to_size(theta.shape)
        return full, g_theta, None, None


def tdbn(x, gamma, beta, scale, eps=1e-5):
    """x [T, B, C, ...]: statistics a channel over everything else, biased variance."""
    axes = [i for i in range(x.ndim) if i != 2]
    mean = x.mean(axes, keepdim=True)
    var = ((x - mean) ** 2).mean(axes, keepdim=True)
    shape = [1, 1, -1] + [1] * (x.ndim - 3)
    return gamma.view(shape) * scale * (x - mean) / torch.sqrt(var + eps) + beta.view(shape)


def neurons(x, decay, thresholds, widths, *, reset="zero", detach=False, shape="rectangular"):
    """u = decay v + x; s = u >= theta; v = u (1 - s) or u - theta s. `thresholds(t, u)` and `widths(t, u, theta)`."""
    v = torch.zeros_like(x[0])
    spikes, used = [], []
    for t in range(x.shape[0]):
        u = decay * v + x[t]
        theta = thresholds(t, u)
        s = Spike.apply(u, theta, widths(t, u, theta), shape)
        r = s.detach() if detach else s
        v = u * (1 - r) if reset == "zero" else u - theta * r
        spikes.append(s)
        used.append(theta)
    return torch.stack(spikes), used


def agl_width(t, gamma, decay, v_th):
    """MPD-AGL, theorem 2."""
    return 2 * gamma.mean() * v_th * (1.0 if t == 0 else math.sqrt(1 + float(decay) ** 2))


def atgo_threshold(u, f_c=1.0):
    """DS-ATGO, eq. 5: mean plus unbiased standard deviation over everything."""
    n = u.numel()
    mean = u.detach().sum() / n
    return f_c * (mean + torch.sqrt(((u.detach() - mean) ** 2).sum() / (n - 1)))


def atgo_width(u, v_th=1.0):
    """DS-ATGO as published in code: from the standard deviation."""
    return 1 + torch.tanh(u.detach().std() - v_th)
