"""Requests and settings as the command line gives them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from truing.errors import BadInput
from truing.types import EditRequest

if TYPE_CHECKING:
    from truing.interventions.intervention import Intervention
    from truing.models.handle import Model
    from truing.models.subject import Subject

CHECKPOINT = "checkpoint:"


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
    from truing.benchmarks.loading import load

    loaded = load("custom", file)
    if loaded.quarantined and not skip_invalid:
        first = loaded.quarantined[0]
        raise BadInput(
            f"{file}: {len(loaded.quarantined)} bad record(s); first: {first.where}: {first.reason}",
            "Mend them, or leave them out with --skip-invalid.",
        )
    return [request for case in loaded.cases for request in case.requests]


def subject(name: str, base_url: str | None, key_variable: str | None) -> Subject:
    """The model with this name, on this machine or (``openai:NAME``) behind a server. Raises
    ``BadInput`` for an address without a model there."""
    from truing.runs import jobs
    from truing.runs.cells import SERVED, ModelSpec, ServedSpec

    access = {"base_url": base_url, "key_variable": key_variable}
    given = {key: value for key, value in access.items() if value is not None}
    if name.startswith(SERVED):
        return jobs.reach_model(ServedSpec.model_validate({"name": name, **given}))
    if given:
        raise BadInput(
            f"--{next(iter(given)).replace('_', '-')} is for models behind a server",
            f"Name the model {SERVED}NAME.",
        )
    return jobs.load_model(ModelSpec(name=name))


def under(given: Sequence[str] | None, model: Subject) -> dict[str, Intervention]:
    """What ``--with`` names, by a short name or, where two have the same, as it was given: folders of
    saved interventions, and after ``checkpoint:`` folders or hub ids of tuned models and LoRA adapters.

    Raises ``BadInput`` for one that is given twice, and what loading raises.
    """
    given = given or ()
    again = next((text for text in given if given.count(text) > 1), None)
    if again is not None:
        raise BadInput(f"--with {again} is given twice", "Leave one of them out.")
    short = [_short_name(text) for text in given]
    names = [s if short.count(s) == 1 else text for s, text in zip(short, given, strict=True)]
    return {name: _intervention(text, model) for name, text in zip(names, given, strict=True)}


def _short_name(text: str) -> str:
    path = text.removeprefix(CHECKPOINT)
    return text[: len(text) - len(path)] + Path(path).name


def _intervention(text: str, model: Subject) -> Intervention:
    from truing.interventions.artifact import load
    from truing.methods.checkpoint import CheckpointConfig, change

    if not text.startswith(CHECKPOINT):
        return load(text, model)
    path = text.removeprefix(CHECKPOINT)
    if not path:
        raise BadInput(
            f"--with {text} names no checkpoint", f"For example --with {CHECKPOINT}tuned."
        )
    return change(cast("Model", model), CheckpointConfig.model_validate({"path": path}))


def layer_numbers(text: str) -> list[int]:
    """``"3,5-7"`` as ``[3, 5, 6, 7]``."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise BadInput(
                f"--layers {text!r} is not a list of layers", "For example 3,4,5 or 3-5."
            )
        found += range(int(first), int(last or first) + 1)
    return found


def documents(file: Path, field: str, limit: int | None) -> list[str]:
    """Texts of a file: one per line, or ``field`` of each JSONL record."""
    try:
        lines = [line for line in file.read_text("utf-8").splitlines() if line.strip()][:limit]
    except OSError as error:
        raise BadInput(
            f"cannot read {file}: {error.strerror}", "Give a UTF-8 text or JSONL file."
        ) from None
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{file} is not UTF-8 (byte {error.start})", "Convert it to UTF-8."
        ) from None
    if file.suffix != ".jsonl":
        return lines
    texts: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise BadInput(
                f"{file} line {number} is not JSON: {error.msg}", "Mend or remove it."
            ) from None
        if not isinstance(record, dict) or not isinstance(record.get(field), str):
            raise BadInput(
                f"{file} line {number} has no text in '{field}'", "Name the field with --field."
            )
        texts.append(record[field])
    return texts
