"""The compiled loops of the CPU, behind one door: the engine imports nothing of the files in here but what this names.

`prepare` makes a layer ready: a synapse, neurons, or a synapse and the neurons that alone read it. `enter` is the way
in, `packed` that to a card, `ends` says between which values it lies, `count` the way out, `reached` counts events;
`real_sums` makes a synapse of real numbers ready, `repays` says whether rows of a matrix are added; `fed_back` and
`looped` run what feeds back; `chained` makes a graph ready for few samples at a time, `chained_real` one of real
numbers for one; `ratio` tries two ways. All give the bits of the plain definition, but for real sums of synapses, which
are added in another order. Where the loops do not serve, `prepare` gives nothing, and the plain definition runs.

The names are imported when first used: who runs the plain definition alone waits for no loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikeport.first_use import on_first_use

if TYPE_CHECKING:
    from spikeport.engine.cpu.chain import Chain as Chain
    from spikeport.engine.cpu.chain import prepare as chained
    from spikeport.engine.cpu.circuit import prepare as looped
    from spikeport.engine.cpu.fused import overflowed as overflowed
    from spikeport.engine.cpu.layers import Joined as Joined
    from spikeport.engine.cpu.layers import fed_back as fed_back
    from spikeport.engine.cpu.layers import prepare as prepare
    from spikeport.engine.cpu.layers import real as real_sums
    from spikeport.engine.cpu.layout import over_time as count
    from spikeport.engine.cpu.layout import whole_numbers as enter
    from spikeport.engine.cpu.matrix import repays as repays
    from spikeport.engine.cpu.pack import packed as packed
    from spikeport.engine.cpu.real_chain import prepare as chained_real
    from spikeport.engine.cpu.small_sums import ends as ends
    from spikeport.engine.cpu.tally import reached as reached
    from spikeport.engine.cpu.trial import ratio as ratio
    from spikeport.engine.cpu.wires import Weights as Weights

_HOMES = {
    "Chain": "spikeport.engine.cpu.chain",
    "Joined": "spikeport.engine.cpu.layers",
    "Weights": "spikeport.engine.cpu.wires",
    "chained": "spikeport.engine.cpu.chain:prepare",
    "chained_real": "spikeport.engine.cpu.real_chain:prepare",
    "count": "spikeport.engine.cpu.layout:over_time",
    "ends": "spikeport.engine.cpu.small_sums",
    "enter": "spikeport.engine.cpu.layout:whole_numbers",
    "fed_back": "spikeport.engine.cpu.layers",
    "looped": "spikeport.engine.cpu.circuit:prepare",
    "overflowed": "spikeport.engine.cpu.fused",
    "packed": "spikeport.engine.cpu.pack",
    "prepare": "spikeport.engine.cpu.layers",
    "ratio": "spikeport.engine.cpu.trial",
    "reached": "spikeport.engine.cpu.tally",
    "real_sums": "spikeport.engine.cpu.layers:real",
    "repays": "spikeport.engine.cpu.matrix",
}
__all__ = [
    "Chain",
    "Joined",
    "Weights",
    "chained",
    "chained_real",
    "count",
    "ends",
    "enter",
    "fed_back",
    "looped",
    "overflowed",
    "packed",
    "prepare",
    "ratio",
    "reached",
    "real_sums",
    "repays",
]

if not TYPE_CHECKING:
    __getattr__ = on_first_use(__name__, _HOMES)
