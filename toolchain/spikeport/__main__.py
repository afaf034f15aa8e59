"""``spikeport`` and ``python -m spikeport``: imports nothing before signals end the process as they should."""

from spikeport import ending


def main() -> None:
    """Entry point."""
    ending.watch()
    from spikeport.terminal.app import main as command

    command()


if __name__ == "__main__":
    main()
