"""Where two runs part, and why. Reads Records and Graphs; needs numpy only."""

from spikeport.compare.causes import Cause, causes
from spikeport.compare.comparison import Comparison, comparison
from spikeport.compare.divergence import Divergence, Moment, first_divergence
from spikeport.compare.intervals import Share, share, wilson
from spikeport.compare.mcnemar import mcnemar
from spikeport.compare.moment import Side, with_moments
from spikeport.compare.parity import Judgement, Parity, parity
from spikeport.verb import callable_room

__all__ = [
    "Cause", "Comparison", "Divergence", "Judgement", "Moment", "Parity", "Share", "Side", "causes", "comparison",
    "first_divergence", "mcnemar", "parity", "share", "wilson", "with_moments",
]  # fmt: skip

callable_room(__name__)
