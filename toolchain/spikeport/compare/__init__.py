"""Where two runs part, and why. Reads Records and Graphs; needs numpy only."""

from spikeport.compare.divergence import Divergence, first_divergence
from spikeport.compare.intervals import Share, share, wilson
from spikeport.compare.mcnemar import mcnemar
from spikeport.compare.parity import Judgement, Parity, parity

__all__ = ["Divergence", "Judgement", "Parity", "Share", "first_divergence", "mcnemar", "parity", "share", "wilson"]
