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


def antiderivative(d, width, shape):
    """F with F' = the surrogate, F(0) = 1/2: what a spike counts as in the backward pass."""
    z = d / width
    if shape == "rectangular":
        return (z + 0.5).clamp(0, 1)
    if shape == "triangular":
        rising, falling = (1 + z).clamp(min=0) ** 2 / 2, 1 - (1 - z).clamp(min=0) ** 2 / 2
        return torch.where(z < 0, rising, falling)
    if shape == "sigmoid":
        return torch.sigmoid(4 * z)
    return torch.atan(math.pi * z) / math.pi + 0.5


def soft_spike(u, theta, width, shape, mask=1.0):
    """H(u - theta), whose derivatives in u, theta and width are those of F; `mask` keeps (1) or drops (0) them."""
    soft = antiderivative(u - theta, width, shape)
    return (soft - soft.detach()) * mask + (u >= theta).to(u.dtype)


def tdbn(x, gamma, beta, scale, eps=1e-5):
    """x [T, B, C, ...]: statistics a channel over everything else, biased variance."""
    axes = [i for i in range(x.ndim) if i != 2]
    mean = x.mean(axes, keepdim=True)
    var = ((x - mean) ** 2).mean(axes, keepdim=True)
    shape = [1, 1, -1] + [1] * (x.ndim - 3)
    return gamma.view(shape) * scale * (x - mean) / torch.sqrt(var + eps) + beta.view(shape)


def neurons(x, decay, thresholds, widths, *, reset="zero", detach=False, shape="rectangular", mask=None, feedback=None):
    """u = decay v + x (+ feedback s[t-1]); s = u >= theta; v = u (1 - s) or u - theta s.

    `thresholds(t, u)` and `widths(t, u, theta)`.
    With a `mask` [T, B, ...] (or "none") spikes are those of `soft_spike`, otherwise of `Spike`.
    """
    v = torch.zeros_like(x[0])
    spikes, used = [], []
    for t in range(x.shape[0]):
        u = decay * v + x[t] + (spikes[-1] @ feedback.T if t and feedback is not None else 0)
        theta = thresholds(t, u)
        width = widths(t, u, theta)
        if mask is None:
            s = Spike.apply(u, theta, width, shape)
        else:
            s = soft_spike(u, theta, width, shape, 1.0 if mask == "none" else mask[t])
        r = s.detach() if detach else s
        v = u * (1 - r) if reset == "zero" else u - theta * r
        spikes.append(s)
        used.append(theta)
    return torch.stack(spikes), used


def agl_width(t, gamma, decay, v_th):
    """MPD-AGL, theorem 2."""
    return 2 * gamma.mean() * v_th * (1.0 if t == 0 else math.sqrt(1 + float(decay) ** 2))


def lsg_width(decay, v_th):
    """LSG: the same at every step."""
    return 2 * v_th * math.sqrt(1 + float(decay) ** 2)


def atgo_threshold(u, f_c=1.0, per_channel=False):
    """DS-ATGO, eq. 5: mean plus unbiased standard deviation over everything, or over all but the channel."""
    mean, std = _mean_and_std(u.detach(), per_channel)
    return f_c * (mean + std)


def atgo_width(u, v_th=1.0, per_channel=False):
    """DS-ATGO as published in code: from the standard deviation."""
    return 1 + torch.tanh(_mean_and_std(u.detach(), per_channel)[1] - v_th)


def _mean_and_std(u, per_channel):
    axes = [i for i in range(u.ndim) if i != 1 or not per_channel]
    n = u.numel() // (u.shape[1] if per_channel else 1)
    mean = u.sum(axes, keepdim=per_channel) / n
    return mean, torch.sqrt(((u - mean) ** 2).sum(axes, keepdim=per_channel) / (n - 1))
