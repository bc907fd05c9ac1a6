"""The command line: `lily`, or `python -m app.cli`."""

from importlib import import_module

import click

# Each is imported when it is called: `lily protect` in a pipeline need not load what `lily grants` does.
COMMANDS = {
    "rules": "Rules: what is protected, how, and except for whom.",
    "plans": "Held plans: changes that would take much protection away at once.",
    "targets": "Targets: the warehouses in which rules take effect.",
    "annotations": "Annotations: what data is, as a catalog says.",
    "protect": "Have tables protected, and wait for it.",
    "grants": "What a target must grant Lily, and whether it does.",
    "events": "Events: what was delivered, and what became of it.",
    "doctor": "Look at everything, and say what to do.",
    "setup": "Make the DynamoDB table and the EventBridge bus.",
}


class Commands(click.Group):
    """The commands by name, each in the module of that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"app.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands)
def cli() -> None:
    """Lily: makes metadata take effect.

    Commands speak to Lily at LILY_URL with LILY_TOKEN, or as the client LILY_TOKEN_CLIENT with LILY_TOKEN_SECRET. grants, setup
    and half of doctor use Lily's own settings instead. -o json prints one document for machines.

    Exit codes: 0 all is well; 1 it failed; 2 would change, not enforced, held for a person, or wrong use.
    """
