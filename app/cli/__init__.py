"""The command line: `python -m app.cli`."""

import click

from app.cli.setup import setup


@click.group()
def cli() -> None:
    """Lily: makes metadata take effect."""


cli.add_command(setup)
