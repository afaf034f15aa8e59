"""Large networks: what is looked at less closely is said."""

from __future__ import annotations

import numpy as np

from quantize_examples import convolutional, images
from spikeport.engine import simulate
from spikeport.quantisation import quantize, rounding, sweep
from spikeport.quantisation.rounding import Moments


def test_fewer_samples_and_a_shorter_search_are_findings(monkeypatch):
    said = {finding.code for finding in quantize(convolutional(), images(40), run=simulate).findings}
    assert not {"SP427", "SP428"} & said
    monkeypatch.setattr(sweep, "STATES", 1)
    monkeypatch.setattr(rounding, "WORK", 16 * 128**2 * 5)  # of the layer with 128 inputs and 16 outputs, five times
    result = quantize(convolutional(), images(40), run=simulate)
    texts = {finding.code: finding.what for finding in result.findings}
    assert "first 16 of 40" in texts["SP428"]
    assert "tries 5 of" in texts["SP427"]
    assert result.report["calibration_samples"] == 16


def test_the_factor_of_the_inverse_is_that_of_numpys_inverse():
    seen = Moments.of(np.random.default_rng(0).normal(size=(200, 30)))
    damped = seen.raw + 0.01 * np.diag(seen.raw).mean() * np.eye(30)
    inverse = np.linalg.inv(damped[np.ix_(seen.order, seen.order)])
    assert np.allclose(seen.factor.T @ seen.factor, inverse, rtol=1e-5)
    assert np.array_equal(seen.factor, np.triu(seen.factor))
