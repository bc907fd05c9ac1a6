"""What commands say: tables for people, one JSON document for machines; results on stdout, everything else on stderr.

rich leaves colour out by itself where stdout is no terminal, and with NO_COLOR.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from app.cli.api import Api, Credentials, checked_url

OK, FAILED, DIFFERS = 0, 1, 2
WIDTH_PIPED = 10_000  # a line of a table stays one line for grep; rich would fold it at 80


def console(*, stderr: bool = False) -> Console:
    """Made when needed, for tests and shells may have changed the streams."""
    made = Console(stderr=stderr, highlight=False, markup=False, soft_wrap=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, markup=False, width=WIDTH_PIPED)


@dataclass(frozen=True)
class Session:
    """What all commands that speak to Lily share."""

    api: Api
    output: str = field(default="text")

    @property
    def is_json(self) -> bool:
        return self.output == "json"

    def show(self, document: Any, draw: Callable[[], None]) -> None:
        """The document for machines, or what `draw` draws for people."""
        if self.is_json:
            say_json(document)
        else:
            draw()


def say_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """What others wrote (names, reasons) is shown without the characters that steer a terminal."""
    drawn = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    console().print(drawn)


def cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("-")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    shown = ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
    return Text(plain(shown), style=STYLES.get(shown, ""))


STYLES = {
    "enforced": "green",
    "enforce": "green",
    "ok": "green",
    "failed": "red",
    "missing": "red",
    "conflict": "red",
    "held": "yellow",
    "paused": "yellow",
    "pending": "yellow",
}


def plain(text: str) -> str:
    """`text` without control characters, which could make a terminal do things."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def note(text: str) -> None:
    """For people only, beside the result."""
    click.echo(plain(text), err=True)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, if that is a terminal. Call what it yields with the number of things done so far."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    drawn_on = Console(stderr=True)
    with Progress(*columns, console=drawn_on, transient=True, disable=not drawn_on.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def speaks(*outputs: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options of a command that speaks to Lily; it gets a Session as its first argument. `outputs` beside text and json.

    What proves who calls comes from the environment alone: arguments are seen by everybody on the machine.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(url: str, output: str, **more: Any) -> None:
            token, client, secret = (
                os.environ.get(name, "") for name in ("LILY_TOKEN", "LILY_TOKEN_CLIENT", "LILY_TOKEN_SECRET")
            )
            command(Session(Api(url, Credentials(token, client, secret)), output), **more)

        choice = click.Choice(["text", "json", *outputs])
        wrapped = update_wrapper(run, command)
        wrapped = click.option("-o", "--output", type=choice, default="text", show_default=True, help="How to show it.")(wrapped)
        return click.option(
            "--url",
            envvar="LILY_URL",
            default="http://127.0.0.1:8000",
            show_default=True,
            callback=checked_url,
            help="Where Lily is; or LILY_URL.",
        )(wrapped)

    return decorate
