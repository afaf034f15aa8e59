"""Networks, data sets, recipes, and shipped checkpoints with their cards; spikeport finds them by entry points."""
