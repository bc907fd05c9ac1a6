"""`setup`: the table and the event bus, made where they are missing."""

import click

from connectors import eventbridge
from lily.records import table
from lily.runtime.errors import Permanent, Transient
from lily.runtime.settings import settings


@click.command()
def setup() -> None:
    """Make the DynamoDB table and the EventBridge bus. Safe to run again."""
    try:
        made = {f"table {settings().table}": table.create(), f"bus {settings().bus}": eventbridge.create(settings().bus)}
    except (Transient, Permanent) as error:
        raise click.ClickException(
            f"{error.reason}; check LILY_AWS_ENDPOINT_URL, LILY_AWS_REGION and the AWS credentials"
        ) from error
    for what, new in made.items():
        click.echo(f"{what}: {'made' if new else 'there already'}")
