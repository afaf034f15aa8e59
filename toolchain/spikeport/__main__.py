"""``spikeport`` and ``python -m spikeport``: imports nothing before signals end the process as they should."""

import atexit

from spikeport import ending


def main() -> None:
    """Entry point."""
    ending.watch()
    atexit.register(ending.leave)  # the first to be registered is the last to be called
    from spikeport import process
    from spikeport.terminal.app import main as command

    process.command.single = True
    command()


if __name__ == "__main__":
    main()
