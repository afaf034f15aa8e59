"""``python -m spikeport``."""

from spikeport.terminal.app import main

if __name__ == "__main__":
    main()
