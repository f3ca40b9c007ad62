"""``truing ask``: the same question to the base model and to saved interventions, side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, rows_table


def ask(
    model: Annotated[
        str,
        typer.Argument(
            help="Hugging Face id, folder, truing/pocket, or openai:NAME behind a server."
        ),
    ],
    prompts: Annotated[list[str], typer.Argument(help="One or more prompts.")],
    under: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            "-w",
            help="A saved intervention, or checkpoint:PATH for a tuned model or LoRA adapter; give it "
            "again for more columns.",
        ),
    ] = None,
    chat: Annotated[
        bool, typer.Option(help="Send each prompt as a user turn of the chat template.")
    ] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="At most this many new tokens.")] = 50,
    base_url: Annotated[
        str | None, typer.Option(help="Of a model openai:NAME: where its server is.")
    ] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(help="The environment variable that holds the server's key (OPENAI_API_KEY)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask base and edited models the same things in one batch (greedy, natural stop)."""
    from truing.cli import inputs
    from truing.cli.arms import note_effect
    from truing.models.asks import Decoding, GenerateAsk
    from truing.types import Message, Prompt

    loaded = inputs.subject(model, base_url, key_variable)
    columns = [("base", None), *inputs.under(under, loaded).items()]
    how = Decoding(max_new_tokens=max_new_tokens, stop=() if chat else ("\n",))
    sent: list[Prompt] = [(Message("user", p),) if chat else p for p in prompts]
    answers = iter(loaded.generate([GenerateAsk(p, how, iv) for p in sent for _, iv in columns]))
    rows = [(p, *(next(answers).text.strip() for _ in columns)) for p in prompts]
    for name, iv in columns:
        if iv is not None:
            note_effect(name, loaded, iv, sent)
    names = [name for name, _ in columns]
    emit(
        [{"prompt": row[0], "answers": dict(zip(names, row[1:], strict=True))} for row in rows],
        rows_table("", ("prompt", *names), rows),
        as_json,
    )
