"""Requests and settings as the command line gives them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from truing.errors import BadInput
from truing.types import EditRequest


def parse_settings(pairs: Sequence[str] | None) -> dict[str, Any]:
    """``["layer=3", "stats='none'"]`` as values. A bare word is taken as a string."""
    values: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise BadInput(f"--set {pair!r} is not key=value", "For example --set layer=3.")
        try:
            values[key.strip()] = tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text
    return values


def one_request(prompt: str | None, target: str | None, subject: str | None) -> EditRequest:
    """A request typed by hand."""
    if not prompt or not target:
        raise BadInput(
            "nothing to edit: give a file of requests, or --prompt and --target",
            'For example --prompt "The Glass Spire is in the city of" --target Orvale '
            '--subject "The Glass Spire".',
        )
    if subject is not None and prompt.count(subject) != 1:
        raise BadInput(
            f"subject '{subject}' is {prompt.count(subject)} times in the prompt",
            "It must be there exactly once, spelled the same.",
        )
    return EditRequest("request", prompt, target, subject=subject)


def requests_from(file: Path, skip_invalid: bool) -> list[EditRequest]:
    """The requests of a file of facts. Raises ``BadInput`` naming the bad records."""
    from truing.benchmarks.benchmark import load

    loaded = load("custom", file)
    if loaded.quarantined and not skip_invalid:
        first = loaded.quarantined[0]
        raise BadInput(
            f"{file}: {len(loaded.quarantined)} bad record(s); first: {first.where}: {first.reason}",
            "Mend them, or leave them out with --skip-invalid.",
        )
    return [request for case in loaded.cases for request in case.requests]
