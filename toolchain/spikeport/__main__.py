"""``python -m spikeport``."""

from spikeport.cli import main

if __name__ == "__main__":
    main()
