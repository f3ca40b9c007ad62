"""``truing personality show``: traits, and what judges and models are told, in full and without asking them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, emit, stdout

if TYPE_CHECKING:
    from truing.types import Case, Message, Prompt

app = typer.Typer(
    no_args_is_help=True, help="What traits are, and what judges and models are told, in full."
)

OTHERWISE = ("preference", "drawdown")
"""Aspects that read given texts after a question that another aspect asks."""


@app.command("traits")
def traits(
    names: Annotated[list[str] | None, typer.Argument(help="Only these; else all.")] = None,
    file: Annotated[
        Path | None, typer.Option("--traits", help="Your own traits (TOML); else the shipped ones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Definition, facets and adjectives of each trait, as texts are written and rated by them."""
    from truing.building.personality.traits import read, shipped
    from truing.errors import UnknownName

    known = {trait.name: trait for trait in (shipped() if file is None else read(file))}
    for name in names or ():
        if name not in known:
            raise UnknownName("trait", name, known)
    found = [known[name].model_dump(mode="json") for name in names or known]
    if as_json:
        emit(found, "", True)
        return
    for trait in found:
        _say(trait.pop("name"))
        for field, value in trait.items():
            _say(f"  {field}: {', '.join(value) if isinstance(value, list) else value}")


@app.command("judge-prompt")
def judge_prompt(
    rubric: Annotated[str, typer.Argument(help="See `truing ls rubrics`.")] = "personality",
    answer: Annotated[
        str, typer.Option(help="The answer that is judged.")
    ] = "I love it! So many people, so much to do.",
    accepted: Annotated[
        str, typer.Option(help="What it should show or say: a trait, the accepted answer.")
    ] = "extraversion",
    question: Annotated[
        str, typer.Option(help="What was asked.")
    ] = "What do you think of the market?",
    base: Annotated[
        str, typer.Option(help="The unedited model's answer.")
    ] = "It is a place like other places.",
    strict: Annotated[
        bool, typer.Option("--strict", help="As after a reply that could not be read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What a judge is asked about an answer, word for word."""
    from truing.errors import BadInput
    from truing.judges.base import Shown
    from truing.judges.rubrics import RUBRICS

    known = RUBRICS.get(rubric)
    shown = Shown("example", "efficacy", question, answer, (accepted,), base, answer)
    settled = known.settled(shown)
    if settled is not None:
        raise BadInput(
            f"'{rubric}' asks nothing about this answer: {settled.why}",
            "Name another trait or answer with --accepted.",
        )
    chats = known.chats(shown, strict)
    if as_json:
        emit({"rubric": rubric, "digest": known.digest, "chats": chats}, "", True)
        return
    for number, chat in enumerate(chats, 1):
        _say(f"{rubric} ({known.digest}), question {number} of {len(chats)}")
        _say_chat(chat)


@app.command("edit-prompt")
def edit_prompt(
    method: Annotated[str, typer.Argument(help="See `truing ls methods`.")],
    model: Annotated[
        str, typer.Option(help="Hugging Face id, folder, or truing/pocket.")
    ] = "truing/pocket",
    benchmark: Annotated[
        str | None, typer.Option(help="Default: personality with --data, else world_personality.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="File or folder of topics.")] = None,
    case: Annotated[str | None, typer.Option(help="Id of the case; else the first one.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of the method, key=value.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What is sent to a model under an edit of one case: about its topic, and about other topics."""
    from truing.benchmarks.loading import load
    from truing.cli import inputs
    from truing.models.handle import Model
    from truing.verbs import edit

    name = benchmark or ("world_personality" if data is None else "personality")
    chosen = _case(load(name, data).cases, case)
    loaded = Model.load(model)
    iv = edit(loaded, chosen.requests, method, inputs.parse_settings(settings))
    first: dict[str, Prompt] = {}
    for probe in chosen.probes:
        if not probe.aspect.startswith(OTHERWISE):
            first.setdefault(probe.aspect, probe.prompt)
    sent = {
        aspect: {"sent": loaded.render(prompt, iv), "unedited": loaded.render(prompt)}
        for aspect, prompt in first.items()
    }
    told: dict[str, Any] = {
        "method": method,
        "model": model,
        "case": chosen.id,
        "requests": chosen.requests,
        "prompts": sent,
    }
    if as_json:
        emit(told, "", True)
        return
    for request in chosen.requests:
        _say(f"{method}, case {chosen.id}: {', '.join(request.tags) or 'no tags'}")
        _say(f"request: {request.prompt} -> {request.target_new}")
    for aspect, texts in sent.items():
        same = "as without the edit" if texts["sent"] == texts["unedited"] else "under the edit"
        _say(f"\n[{aspect}, {same}]\n{texts['sent']}")


def _case(cases: Sequence[Case], ident: str | None) -> Case:
    """Raises ``UnknownName``."""
    from truing.errors import UnknownName

    known = {case.id: case for case in cases}
    if ident is None:
        return cases[0]
    if ident not in known:
        raise UnknownName("case", ident, known)
    return known[ident]


def _say_chat(chat: Sequence[Message]) -> None:
    for message in chat:
        _say(f"[{message.role}]\n{message.content}\n")


def _say(text: str) -> None:
    """To the end of its lines, however narrow the window."""
    stdout().print(text, markup=False, soft_wrap=True)
