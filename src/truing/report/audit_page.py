"""What an audit found, for a reviewer: one HTML file that works without a network or scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from truing import __version__
from truing.report.html import environment, policy, static


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table; ``loud`` marks what was found."""

    cells: tuple[str, ...]
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table under its heading, with a sentence on how to read it."""

    title: str
    about: str
    headers: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """``verdict``: the outcome in one sentence; ``findings`` by kind and text; ``untested``: what no
    test could show; ``facts``: how it was made, by name."""

    title: str
    verdict: str
    findings: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    untested: tuple[str, ...]
    facts: Sequence[tuple[str, str]]


def render(page: AuditPage) -> str:
    """The page as a string."""
    return (
        environment()
        .get_template("audit.html")
        .render(version=__version__, page=page, style=Markup(static("page.css")), policy=policy([]))
    )
