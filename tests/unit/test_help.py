"""Help reads as text, whatever the window: no line ends where a line of the code did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer import Typer
from typer.models import CommandInfo

from truing.cli.main import app


def commands(verbs: Typer) -> Iterator[CommandInfo]:
    yield from verbs.registered_commands
    for group in verbs.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance)


@pytest.mark.parametrize(
    "command", list(commands(app)), ids=lambda c: c.name or c.callback.__name__
)
def test_every_command_has_help_whose_paragraphs_are_one_line(command: CommandInfo) -> None:
    assert command.help
    assert all("\n" not in each and each for each in command.help.split("\n\n"))
