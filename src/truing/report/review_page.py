"""The sheet on which people judge answers: one HTML file that works without a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from truing import __version__
from truing.report.html import environment, policy, script_json, static


def render(sheet: Mapping[str, Any]) -> str:
    """The page as a string. ``sheet`` holds ``sheet`` (an id), ``question``, ``compares``,
    ``labels`` and ``items``, each with ``id``, ``question``, ``accepted`` and ``answers`` (``id``,
    ``text``). The page holds these and nothing else."""
    script = Markup(static("review.js"))
    return (
        environment()
        .get_template("review.html")
        .render(
            version=__version__,
            sheet=sheet["sheet"],
            question=sheet["question"],
            data=script_json(sheet),
            style=Markup(static("review.css")),
            script=script,
            policy=policy([script]),
        )
    )
