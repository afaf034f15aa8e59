"""A cluster that is not where it was said to be: told within seconds, with the reason."""

from __future__ import annotations

import socket
import time

import pytest

from spikeport.findings import SpikeportError
from spikeport.jobs.on_ray import OnRay
from spikeport.jobs.store import Store


@pytest.fixture
def closed():
    """A port of this machine at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


WRONG = [("127.0.0.1:{}", "refused"), ("no-such-host.invalid:{}", "no cluster answers"), ("[::1", "IPv6")]


@pytest.mark.parametrize(("host", "words"), WRONG)
def test_where_nobody_listens_is_told_within_seconds(host, words, closed, tmp_path):
    pytest.importorskip("ray", reason="spikeport[cluster] is not installed")
    begun = time.perf_counter()
    address = f"ray://{host.format(closed)}"
    with pytest.raises(SpikeportError, match=rf"SP955  {address.replace('[', chr(92) + '[')}.*{words}"):
        OnRay(Store(tmp_path), address=address).__enter__()
    assert time.perf_counter() - begun < 15  # Ray's own tries take 31 s


def test_a_host_that_listens_and_is_no_cluster_is_given_up_soon(tmp_path):
    """Its tries are the same three, of 2 s each."""
    pytest.importorskip("ray", reason="spikeport[cluster] is not installed")
    begun = time.perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"ray://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(SpikeportError, match="SP955"):
            OnRay(Store(tmp_path), address=address).__enter__()
    assert time.perf_counter() - begun < 20
