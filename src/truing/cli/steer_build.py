"""``truing steer build``: contrast pairs for a behaviour, written by a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.judge import BaseUrl, Budget, KeyVariable, Prices
from truing.cli.output import AsJson, emit, note, progress, rows_table

if TYPE_CHECKING:
    from truing.building.draft import Side
    from truing.servers.spending import Estimate


def build(
    out: Annotated[Path, typer.Argument(help="Folder of the set; an unfinished one goes on.")],
    behavior: Annotated[str, typer.Option(help="Name of the behaviour.")],
    prompts: Annotated[
        Path,
        typer.Option(help="Prompts: .txt (one a line), or .json, .jsonl, .csv (prompt, question)."),
    ],
    writer: Annotated[
        str, typer.Option("--with", help="Who writes: local:MODEL[@REVISION] or openai:MODEL.")
    ],
    about: Annotated[
        str, typer.Option(help="The behaviour in one line; makes the three system prompts.")
    ] = "",
    promoting: Annotated[
        str | None, typer.Option("--for", help="System prompt of the side to promote.")
    ] = None,
    neutral: Annotated[
        str | None, typer.Option(help="System prompt that asks for neither; may be empty.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="System prompt of the side to suppress.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Continuations per prompt and side.")] = 1,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="At most this many pairs, chosen for balance.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every draw.")] = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens per continuation.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.8,
    plain: Annotated[
        str | None,
        typer.Option(help="Layout for a local model, without chat template: '{system} {prompt}'."),
    ] = None,
    shortest: Annotated[int, typer.Option(min=0, help="Least length of a side.")] = 3,
    ratio: Annotated[float, typer.Option(min=1, help="The longer side over the shorter.")] = 2.0,
    leak: Annotated[
        int,
        typer.Option(
            min=0, help="Words in a row of the system prompt that reject a text; 0: none."
        ),
    ] = 4,
    keep_refusals: Annotated[
        bool, typer.Option(help="Refusals may be sides: for behaviours about refusing.")
    ] = False,
    holdout: Annotated[
        float, typer.Option(min=0, max=1, help="Share of prompts to test on.")
    ] = 0.5,
    reviewed: Annotated[
        Path | None, typer.Option(help="The review sheet with people's decisions.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help="Under which the set may be used.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="Of a local writer: auto, cpu, cuda, cuda:N.")
    ] = "auto",
    base_url: BaseUrl = None,
    key_variable: KeyVariable = None,
    budget: Budget = None,
    prices: Prices = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be asked; ask nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build contrast pairs: prompts answered for, against and without a behaviour.

    Replies are kept as they come; the same command goes on from there.
    """
    from truing.building import contrast
    from truing.building.asks import Sampling
    from truing.building.balance import Bounds
    from truing.building.draft import Draft, read_prompts
    from truing.building.pairs import Rules
    from truing.building.texts import Limits
    from truing.building.writers import Reach, writer_of
    from truing.cli.judge import settings_from
    from truing.errors import BadInput

    if samples > 1 and temperature == 0:
        raise BadInput(
            f"{samples} samples at temperature 0 are all the same", "Give --temperature above 0."
        )
    systems = _systems(about, promoting, neutral, against)
    draft = Draft(behavior, read_prompts(prompts), systems, about, samples, seed)
    rules = Rules(Limits(shortest, leak, keep_refusals), Bounds(ratio, most=pairs), holdout)
    access = settings_from(device, base_url, key_variable, budget, prices)
    writing = writer_of(writer, Sampling(max_tokens, temperature), Reach(access, plain))
    if dry_run:
        _show_workload(contrast.missing(out, draft, writing), as_json)
        return
    with progress("writing", None) as bar:
        built = contrast.build(
            out, draft, writing, rules, bar.reached, reviewed=reviewed, licence=licence
        )
    data = {
        "out": out,
        "pairs": len(built.pairs),
        "train": sum(pair.split == "train" for pair in built.pairs),
        "test": sum(pair.split == "test" for pair in built.pairs),
        "lean": built.lean,
        "unit": writing.unit,
        "rejected": dict(built.rejected),
        "reviews": dict(built.reviews),
    }
    columns = ("pairs", "train", "test", "positive minus negative, mean", "not reviewed")
    row = [str(data[name]) for name in columns[:3]]
    row += [f"{built.lean:+.2f} {writing.unit}", str(built.reviews["unreviewed"])]
    emit(data, rows_table(f"{out}/{contrast.PAIRS}", columns, [row]), as_json)
    for why, n in built.rejected.most_common():
        note(f"{n} × {why}")
    if reviewed is None:
        note(f"fill {out}/{contrast.SHEET} and give it back with --reviewed; see {out}/card.md")


def _systems(
    about: str, promoting: str | None, neutral: str | None, against: str | None
) -> dict[Side, str]:
    """The three system prompts; those that are not given follow from the description."""
    from truing.building.draft import voices
    from truing.errors import BadInput

    given: dict[Side, str | None] = {"for": promoting, "neutral": neutral, "against": against}
    if not about.strip() and None in given.values():
        raise BadInput(
            "what should be written is not said",
            "Describe the behaviour with --about, or give --for, --neutral and --against.",
        )
    drawn = voices(about)
    return {side: drawn[side] if text is None else text for side, text in given.items()}


def _show_workload(cost: Estimate, as_json: bool) -> None:
    heads = ("texts to write", "tokens read", "tokens written, at most", "USD, at most")
    cells = [cost.chats, cost.tokens_in, cost.tokens_out, "·" if cost.usd is None else cost.usd]
    emit(cost, rows_table("", heads, [[str(cell) for cell in cells]]), as_json)
