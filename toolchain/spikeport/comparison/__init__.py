"""Where two runs part, and why. Reads Records and Graphs; needs numpy only."""

from spikeport.comparison.causes import Cause, causes, enough
from spikeport.comparison.comparison import Comparison, check_shares, comparison
from spikeport.comparison.divergence import Divergence, Moment, first_divergence
from spikeport.comparison.intervals import Share, lost, share, wilson
from spikeport.comparison.mcnemar import mcnemar
from spikeport.comparison.moment import Side, threshold_at, unit_of, with_moments
from spikeport.comparison.parity import Judgement, Parity, parity, parted

__all__ = [
    "Cause",
    "Comparison",
    "Divergence",
    "Judgement",
    "Moment",
    "Parity",
    "Share",
    "Side",
    "causes",
    "check_shares",
    "comparison",
    "enough",
    "first_divergence",
    "lost",
    "mcnemar",
    "parity",
    "parted",
    "share",
    "threshold_at",
    "unit_of",
    "wilson",
    "with_moments",
]
