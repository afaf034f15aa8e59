"""The golden tables of both papers' equations, from closed forms of the normal distribution."""

import math

import pytest
import torch

from spikeport.training import IF, LIF, PLIF, DsAtgo, Fixed, MpdAgl, TdBatchNorm


def phi(z):
    """Cumulative normal distribution."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def inside(width, theta, sigma):
    """Share of N(0, sigma^2) less than width / 2 away from theta."""
    return phi((theta + width / 2) / sigma) - phi((theta - width / 2) / sigma)


def agl_widths(gamma, decay=0.2, v_th=0.5, steps=3):
    method = MpdAgl(threshold=v_th)
    return method.widths(torch.full((steps,), v_th).double(), torch.tensor(decay).double(), gamma.double())


@pytest.mark.parametrize(
    ("step", "width", "share", "rate", "spread"),
    [
        (0, 1.0000, 0.4772, 0.1587, 1.0),
        (1, 1.0198, 0.4839, 0.1634, math.sqrt(1.04)),
        (2, 1.0198, 0.4839, 0.1634, math.sqrt(1.04)),
    ],
)
def test_mpd_agl_widths_and_shares(step, width, share, rate, spread):
    """The membrane has standard deviation gamma V_th at the first step, times sqrt(1 + decay^2) later."""
    got = float(agl_widths(torch.ones(7))[step])
    sigma = 0.5 * spread
    assert got == pytest.approx(width, abs=1e-4)
    assert inside(got, 0.5, sigma) == pytest.approx(share, abs=1e-4)
    assert 1 - phi(0.5 / sigma) == pytest.approx(rate, abs=1e-4)


@pytest.mark.parametrize(
    ("sigma", "fixed", "width", "share"),
    [
        (0.20, 0.9330, 0.3360, 0.4035),
        (0.25, 0.8400, 0.3649, 0.3516),
        (0.50, 0.4772, 0.5379, 0.2600),
        (1.00, 0.2417, 1.0000, 0.2417),
        (2.00, 0.1210, 1.7616, 0.2130),
    ],
)
@pytest.mark.parametrize("source", ["sigma", "threshold"])
def test_ds_atgo_widths_and_shares(sigma, fixed, width, share, source):
    """Mean 0 and f_c = 1: threshold and standard deviation are the same, so both sources agree."""
    mean, std = torch.tensor(0.0).double(), torch.tensor(sigma).double()
    theta, got = DsAtgo(width_from=source).adapt(mean, std, torch.tensor(0.2).double())
    assert float(theta) == pytest.approx(sigma)
    assert float(got) == pytest.approx(width, abs=1e-4)
    assert inside(1.0, sigma, sigma) == pytest.approx(fixed, abs=1e-4)
    assert inside(float(got), sigma, sigma) == pytest.approx(share, abs=1e-4)


def test_the_width_of_ds_atgo_stays_between_its_bounds():
    spread = torch.logspace(-6, 3, 50).double()
    widths = torch.stack([DsAtgo().adapt(torch.tensor(0.0).double(), s, s)[1] for s in spread])
    assert float(widths.min()) == pytest.approx(1 - math.tanh(1), abs=1e-5)
    assert float(widths.max()) == pytest.approx(2.0)
    assert bool((widths.diff() >= 0).all())


def test_lost_and_negative_gammas_leave_a_width_above_zero():
    for gamma in (torch.zeros(4), -torch.ones(4), torch.full((4,), 1e-20)):
        assert bool((agl_widths(gamma) > 0).all())
    mixed = torch.tensor([3.0, -1.0])  # the published code's mean is 1, as of ones
    assert torch.equal(agl_widths(mixed), agl_widths(torch.ones(2)))


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (-2.0, 0.3), (5.0, 0.01), (0.1, 40.0)])
@pytest.mark.parametrize(("f_c", "rate"), [(1.0, 0.1587), (1.5, None)])
def test_one_layer_fires_at_the_normal_tail(mu, sigma, f_c, rate):
    """P(U > mu + sigma) = 1 - Phi(1) = 0.1587 for any mean and spread (DS-ATGO, theorem 1)."""
    torch.manual_seed(1)
    n = 200_000
    u = mu + sigma * torch.randn(1, 20, n // 20, dtype=torch.float64)
    rate_got = float(LIF(DsAtgo(f_c=f_c), 1).train()(u).mean())
    expected = 1 - phi((f_c * (mu + sigma) - mu) / sigma)
    if rate is not None:
        assert expected == pytest.approx(rate, abs=1e-4)
    error = math.sqrt(max(expected * (1 - expected), 1e-6) / n)
    assert rate_got == pytest.approx(expected, abs=5 * error + 5e-4)


def test_second_step_of_the_encoder():
    """The same N(0,1) current at both steps, decay 0.2, first threshold 1: 1.0747 and a rate of 0.1678 (table 11.3)."""
    torch.manual_seed(2)
    n = 4_000_000
    x = torch.randn(1, n)
    neuron = LIF(DsAtgo(momentum=1.0), 2, decay=0.2).train()
    rates = neuron(x.expand(2, 1, n)).mean((1, 2))
    assert neuron.threshold.tolist() == pytest.approx([1.0, 1.0747], abs=2e-3)
    assert rates.tolist() == pytest.approx([0.1587, 0.1678], abs=1e-3)


def test_second_step_of_a_deep_layer():
    """Independent N(0,1) currents: 0.9624 (table 11.3)."""
    torch.manual_seed(3)
    neuron = LIF(DsAtgo(momentum=1.0), 2, decay=0.2).train()
    neuron(torch.randn(2, 1, 4_000_000))
    assert neuron.threshold.tolist() == pytest.approx([1.0, 0.9624], abs=2e-3)


def test_the_moving_average_closes_in_geometrically():
    """v + (1 - v) * 0.9^n after n batches whose threshold is v, from a start of 1."""
    neuron = LIF(DsAtgo(), 1).train()
    u = torch.cat([torch.full((1, 1, 50), -0.25), torch.full((1, 1, 50), 0.75)], 2)
    v = 0.25 + float(u.std())
    for _ in range(12):
        neuron(u)
    assert float(neuron.threshold) == pytest.approx(v + (1 - v) * 0.9**12, rel=1e-5)


def test_more_steps_than_thresholds_are_refused():
    neuron = PLIF(Fixed(), 3)
    for steps in (2, 4):
        with pytest.raises(Exception, match="SP310"):
            neuron(torch.zeros(steps, 1, 2))


@pytest.mark.parametrize("method", [DsAtgo(), MpdAgl()], ids=["ds-atgo", "mpd-agl"])
def test_evaluation_does_not_see_the_other_samples(method):
    torch.manual_seed(4)
    norm = TdBatchNorm(6, method)
    neuron = PLIF(method, 4, norm=norm)
    x = torch.randn(4, 12, 6, 3, 3)
    neuron(norm(x))
    norm.eval()
    neuron.eval()
    whole = neuron(norm(x))
    single = torch.cat([neuron(norm(x[:, i : i + 1])) for i in range(12)], 1)
    assert torch.equal(whole, single)
    before = neuron.threshold.clone()
    neuron(norm(x))
    assert torch.equal(before, neuron.threshold)


@pytest.mark.parametrize("factor", [0.125, 2.0, 1024.0])
def test_scaling_a_layer_with_its_thresholds_changes_no_spike(factor):
    """Linear decay and reset to zero commute with a power of two."""
    torch.manual_seed(5)
    neuron = PLIF(DsAtgo(), 5).eval()
    neuron.threshold.copy_(torch.rand(5) + 0.2)
    x = torch.randn(5, 8, 30)
    spikes = neuron(x)
    neuron.threshold.mul_(factor)
    assert torch.equal(neuron(x * factor), spikes)


def test_an_if_neuron_reset_by_subtraction_fires_in_proportion_to_its_input():
    """Charge is conserved: after T steps of current x the count is floor(T x) for threshold 1."""
    x = torch.tensor([0.125, 0.25, 0.375, 0.8125])
    neuron = IF(Fixed(threshold=1.0), 16, reset="subtract").eval()
    counts = neuron(x.expand(16, 1, 4)).sum((0, 1))
    assert counts.tolist() == [2, 4, 6, 13]


@pytest.mark.parametrize(
    ("method", "gain"),
    [(MpdAgl(), 0.5), (DsAtgo(), 1.0), (MpdAgl(threshold=0.25), 0.25), (MpdAgl(alpha=3), 1.5), (DsAtgo(alpha=3), 3.0)],
)
def test_tdbn_puts_the_spread_at_the_threshold(method, gain):
    """alpha V_th, wherever the method keeps it: kept apart (MPD-AGL) or in gamma's start (DS-ATGO)."""
    torch.manual_seed(6)
    y = TdBatchNorm(3, method)(5 + 7 * torch.randn(4, 50, 3, 10, 10, dtype=torch.float32))
    assert y.mean((0, 1, 3, 4)).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert y.std((0, 1, 3, 4)).tolist() == pytest.approx([gain] * 3, rel=1e-3)
