"""``truing personality build`` and ``select-traits``: opinions that show traits, written by a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.judge import BaseUrl, Budget, KeyVariable, Prices
from truing.cli.output import AsJson, Plugin, emit, note, progress, rows_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from truing.building.personality.generate import Band
    from truing.building.personality.select import Profile
    from truing.building.personality.topics import Chosen, Screen, Shares
    from truing.building.personality.traits import Trait
    from truing.servers.spending import Estimate


class Sensitive(StrEnum):
    """What a topic's name may hint at."""

    RELIGION = "religion"
    POLITICS = "politics"
    VIOLENCE = "violence"
    PERSON = "person"


def build(
    out: Annotated[Path, typer.Argument(help="Folder of the set; an unfinished one goes on.")],
    topics: Annotated[
        Path,
        typer.Option(
            help="Topics: .txt (one a line), or .json, .jsonl, .csv (topic or ent; views)."
        ),
    ],
    writer: Annotated[
        str, typer.Option("--with", help="Who writes: local:MODEL[@REVISION] or openai:MODEL.")
    ],
    traits: Annotated[
        Path | None, typer.Option(help="Your own traits (TOML); else the five factors, both poles.")
    ] = None,
    trait: Annotated[
        list[str] | None,
        typer.Option(
            help="Take this trait; several times. Else the published three, or all yours."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Texts kept per topic and trait.")] = 3,
    spare: Annotated[
        int, typer.Option(min=0, help="Texts written beyond these, for those that are rejected.")
    ] = 1,
    least: Annotated[
        int, typer.Option(min=1, help="Texts of every trait that a topic must have.")
    ] = 2,
    known: Annotated[
        list[Path] | None, typer.Option(help="Sets whose topics are left out; several times.")
    ] = None,
    views: Annotated[float | None, typer.Option(help="Least views of a topic.")] = None,
    most: Annotated[
        int | None, typer.Option(min=1, help="Topics at most, drawn by strata of views.")
    ] = None,
    without: Annotated[
        list[Sensitive] | None, typer.Option(help="Leave topics out whose name hints at this.")
    ] = None,
    dev: Annotated[float, typer.Option(min=0, max=1, help="Share of topics for dev.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of topics for test.")] = 0.1,
    words: Annotated[str, typer.Option(help="Words per text: LEAST,MOST.")] = "15,45",
    wording: Annotated[
        str | None,
        typer.Option(help="Another system prompt, as 'Answer as {person}. Show {facet}.'"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every draw.")] = 0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens per text.")] = 120,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.8,
    plain: Annotated[
        str | None,
        typer.Option(help="Layout for a local model, without chat template: '{system} {prompt}'."),
    ] = None,
    alike: Annotated[
        float, typer.Option(max=1, help="Shared word 3-grams that make a near-duplicate.")
    ] = 0.7,
    folds: Annotated[
        int, typer.Option(min=0, help="Parts of the topics for the classifier; 0: no classifier.")
    ] = 5,
    margin: Annotated[
        float, typer.Option(help="Probability by which a text's own trait must lead.")
    ] = 0.0,
    judge: Annotated[
        str | None, typer.Option(help="Who rates every text for every trait: openai:MODEL, ...")
    ] = None,
    judge_budget: Annotated[
        float | None, typer.Option(help="US dollars that rating may cost; needs --prices.")
    ] = None,
    lead: Annotated[
        float, typer.Option(help="Points by which a text's own trait must lead.")
    ] = 1.0,
    shown: Annotated[
        int | None, typer.Option(min=1, help="Texts of each trait on the review sheet; else all.")
    ] = None,
    reviewed: Annotated[
        list[Path] | None, typer.Option(help="A filled sheet; one for each annotator.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", "--license", help="Under which the set may be used.")
    ] = None,
    device: Annotated[str, typer.Option(help="Of local models: auto, cpu, cuda, cuda:N.")] = "auto",
    base_url: BaseUrl = None,
    key_variable: KeyVariable = None,
    budget: Budget = None,
    prices: Prices = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be asked; ask nothing.")] = False,
    plugin: Plugin = None,
    as_json: AsJson = False,
) -> None:
    """Build opinions on topics, each showing one trait, to test personality edits on.

    Replies are kept as they come; the same command goes on from there.
    """
    from truing.building.asks import Sampling
    from truing.building.personality import build as making
    from truing.building.personality.filters import Sieve
    from truing.building.personality.generate import WORDING, Order
    from truing.building.personality.profile import MAX_TOKENS
    from truing.building.personality.topics import Screen, Shares
    from truing.building.writers import Reach, writer_of
    from truing.cli.judge import settings_from
    from truing.cli.plugins import use
    from truing.errors import BadInput

    if n + spare > 1 and temperature == 0:
        raise BadInput(
            f"{n + spare} texts per topic and trait at temperature 0 may all be the same",
            "Give --temperature above 0, or --n 1 --spare 0.",
        )
    use(plugin)
    wanted = _traits(traits, trait or ())
    screen = Screen(views, most, frozenset(flag.value for flag in without or ()))
    chosen = _topics(topics, known or (), screen, Shares(dev, test), seed)
    order = Order(chosen, wanted, n, spare, seed, _band(words), wording=wording or WORDING)
    rules = making.Rules(Sieve(alike=alike, folds=folds, margin=margin, lead=lead), least, shown)
    access = settings_from(device, base_url, key_variable, budget, prices)
    writing = writer_of(writer, Sampling(max_tokens, temperature), Reach(access, plain))
    rating = None
    if judge is not None:
        own = settings_from(device, base_url, key_variable, judge_budget, prices)
        rating = writer_of(judge, Sampling(MAX_TOKENS, 0.0), Reach(own))
    if dry_run:
        costs = {"writing": making.missing(out, order, writing)}
        if rating is not None:
            costs["rating"] = making.rating(order, rating)
        _show_workload(costs, chosen, as_json)
        return
    with progress("writing", None) as bar:
        built = making.build(
            out, order, writing, rules, bar.reached,
            judge=rating, reviewed=reviewed or (), licence=licence,
        )  # fmt: skip
    parts = {part: sum(e.split == part for e in built.entries) for part in ("train", "dev", "test")}
    texts = sum(len(texts) for entry in built.entries for texts in entry.texts.values())
    data = {
        "out": out,
        "topics": len(built.entries),
        **parts,
        "texts": texts,
        "topics with too few texts": built.incomplete,
        "topics left out": chosen.left_out,
        "dropped": built.dropped,
        "reviews": built.reviews,
    }
    columns = ("topics", *parts, "texts", "not reviewed")
    row = [str(n) for n in (len(built.entries), *parts.values(), texts)]
    emit(data, rows_table(str(out), columns, [[*row, str(built.reviews["unreviewed"])]]), as_json)
    for why, count in built.dropped.most_common():
        note(f"{count} × {why}")
    if built.incomplete:
        note(f"{built.incomplete} topics have too few texts: see --spare and --least")
    if built.on_sheet is not None:
        note(
            f"{built.on_sheet} texts to review: a copy of {out}/{making.SHEET} for each annotator, "
            f"given back with --reviewed; see {out}/card.md"
        )


def select_traits(
    out: Annotated[Path, typer.Argument(help="Folder of a pilot, built with --judge.")],
    as_json: AsJson = False,
) -> None:
    """Show which traits a judge can tell apart in their texts."""
    from truing.building.personality.select import profile_of

    found = profile_of(out)
    emit(found, _means_table(found), as_json)
    if not as_json:
        emit(None, _together_table(found), False)
    for warning in found.warnings:
        note(warning)


def _traits(path: Path | None, names: Sequence[str]) -> tuple[Trait, ...]:
    from truing.building.personality.traits import PUBLISHED, chosen, read, shipped

    if path is None:
        return chosen(shipped(), names or PUBLISHED)
    own = read(path)
    return chosen(own, names or [each.name for each in own])


def _topics(path: Path, known: Sequence[Path], screen: Screen, shares: Shares, seed: int) -> Chosen:
    from truing.building.personality.topics import choose, read

    elsewhere = [topic.name for each in known for topic in read(each)[0]]
    found, source = read(path)
    return choose(found, screen, shares, seed, elsewhere, source)


def _band(words: str) -> Band:
    from truing.building.personality.generate import Band
    from truing.errors import BadInput

    try:
        low, high = (int(part) for part in words.split(","))
    except ValueError:
        raise BadInput(
            f"--words {words!r} is not LEAST,MOST", "For example --words 15,45."
        ) from None
    return Band(low, high)


def _show_workload(costs: dict[str, Estimate], chosen: Chosen, as_json: bool) -> None:
    heads = ("", "texts", "tokens read", "tokens written, at most", "USD, at most")
    rows = [
        [
            name,
            *map(str, (c.chats, c.tokens_in, c.tokens_out)),
            "·" if c.usd is None else str(c.usd),
        ]
        for name, c in costs.items()
    ]
    emit({"topics": len(chosen.topics), **costs}, rows_table("", heads, rows), as_json)


def _means_table(found: Profile) -> RenderableType:
    rows = [
        [name, str(count), *map(_number, means)]
        for name, count, means in zip(found.traits, found.texts, found.means, strict=True)
    ]
    return rows_table("mean rating, 1 to 5", ("texts of", "n", *found.traits), rows)


def _together_table(found: Profile) -> RenderableType:
    rows = [
        [name, *map(_number, values)]
        for name, values in zip(found.traits, found.together, strict=True)
    ]
    return rows_table("Pearson's r of ratings", ("", *found.traits), rows)


def _number(value: float | None) -> str:
    return "·" if value is None else f"{value:.2f}"
