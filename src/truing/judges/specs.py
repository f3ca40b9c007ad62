"""Judges by name: what ``--with`` and the plan's ``judges`` say.

``rules``; a rule (``contains``); ``local:MODEL[@REVISION]``; ``openai:MODEL``; ``classifier:PATH``;
``panel:A,B,C``. Language models may name a rubric at the end: ``local:truing/pocket/behavior``.
Reading a name loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from truing.errors import BadInput, UnknownName
from truing.judges.asked import LanguageJudge, concerns, unasked
from truing.judges.base import AskedJudge, Shown, Speaker
from truing.judges.panel import Panel, RuleJudge
from truing.judges.rubrics import DEFAULT, RUBRICS
from truing.scoring.judge import JUDGES
from truing.types import Chat, Row

Kind = Literal["rules", "rule", "local", "openai", "classifier", "panel"]
SPEAKERS = ("local", "openai")
KNOWN = ("rules", "local:MODEL", "openai:MODEL", "classifier:PATH", "panel:A,B,C")


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """One judge as named. ``target`` is the model, path or rule; ``rubric`` is set for language
    models only, ``members`` for panels only."""

    kind: Kind
    target: str = ""
    revision: str | None = None
    rubric: str | None = None
    members: tuple[JudgeSpec, ...] = ()

    @property
    def name(self) -> str:
        """The judge's column. :func:`parse` reads it back."""
        if self.kind == "panel":
            return f"panel:{','.join(member.name for member in self.members)}"
        if self.kind in ("rules", "rule"):
            return self.target or "rules"
        revision = f"@{self.revision}" if self.revision else ""
        rubric = f"/{self.rubric}" if self.rubric else ""
        return f"{self.kind}:{self.target}{revision}{rubric}"

    @property
    def asked(self) -> bool:
        """Whether somebody must be asked: verdicts of rules come by themselves."""
        return self.kind not in ("rules", "rule")

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the rubrics and classifiers that it uses, by name: verdicts of other ones do
        not compare. Raises ``CannotLoad`` for a classifier that is not there."""
        found = {} if self.rubric is None else {self.rubric: RUBRICS.get(self.rubric).digest}
        if self.kind == "classifier":
            from truing.judges.classifiers.classifier import load

            found[self.name] = load(Path(self.target)).digest
        for member in self.members:
            found |= member.digests
        return found

    def chats(self, row: Row) -> Iterator[Chat]:
        """What language models would be asked about ``row``, replies in the cache included."""
        for member in self.members:
            yield from member.chats(row)
        if self.rubric is not None:
            rubric, shown = RUBRICS.get(self.rubric), Shown.of(row)
            if shown and concerns(rubric, row) and unasked(rubric, shown) is None:
                yield from rubric.chats(shown, False)


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How judges are reached. ``device``: of local models. ``base_url`` and ``key_variable`` (the
    environment variable with the key): of servers; ``None`` is their default. ``prices`` are US
    dollars per million tokens read and written; ``budget_usd`` needs them."""

    device: str = "auto"
    base_url: str | None = None
    key_variable: str | None = None
    budget_usd: float | None = None
    prices: tuple[float, float] | None = None


def parse_all(texts: Sequence[str], rubric: str | None = None) -> list[JudgeSpec]:
    """Names separated by commas, in one or several texts; a panel takes all that follow it in its
    text. Raises ``BadInput`` for a judge that is named twice, and what :func:`parse` raises."""
    names: list[str] = []
    for text in texts:
        before, panel, members = text.partition("panel:")
        names += [part for part in (p.strip() for p in before.split(",")) if part]
        names += [panel + members] if panel else []
    found = [parse(name, rubric) for name in names]
    for i, spec in enumerate(found):
        if spec in found[:i]:
            raise BadInput(f"judge '{spec.name}' is named twice", "Keep one.")
    return found


def parse(text: str, rubric: str | None = None) -> JudgeSpec:
    """One judge. ``rubric`` is for language models that name none (default: ``correctness``).

    Raises ``UnknownName`` for a judge or rubric that does not exist, ``BadInput`` for a name that is
    not whole.
    """
    if rubric is not None:
        RUBRICS.summary(rubric)
    if text == "rules":
        return JudgeSpec("rules")
    if text in JUDGES:
        return JudgeSpec("rule", text)
    kind, _, rest = text.partition(":")
    if kind == "panel":
        return _panel(rest, rubric)
    if kind in SPEAKERS and rest:
        return _speaker(kind, rest, rubric)
    if kind == "classifier" and rest:
        return JudgeSpec("classifier", str(Path(rest)))
    if kind in (*SPEAKERS, "classifier"):
        raise BadInput(f"judge '{text}' names no {'path' if kind == 'classifier' else 'model'}",
                       f"For example {kind}:truing/pocket.")  # fmt: skip
    raise UnknownName("judge", text, [*KNOWN, *JUDGES])


def _speaker(kind: str, rest: str, rubric: str | None) -> JudgeSpec:
    head, _, last = rest.rpartition("/")
    target, own = (head, last) if head and last in RUBRICS else (rest, rubric or DEFAULT)
    revision = None
    if kind == "local":
        target, _, after = target.partition("@")
        revision = after or None
        return JudgeSpec("local", target, revision, own)
    return JudgeSpec("openai", target, None, own)


def _panel(rest: str, rubric: str | None) -> JudgeSpec:
    members = tuple(parse(part.strip(), rubric) for part in rest.split(",") if part.strip())
    if len(set(members)) < 2 or len(set(members)) < len(members):
        raise BadInput(
            f"panel '{rest}' takes two judges or more, each once",
            "For example panel:local:a,local:b.",
        )
    for member in members:
        if member.kind in ("rules", "panel"):
            raise BadInput(
                f"'{member.name}' cannot sit in a panel", "Name rules and models one by one."
            )
    if len({member.rubric for member in members if member.rubric}) > 1:
        raise BadInput(
            f"the members of panel '{rest}' are asked different things", "Give all the same rubric."
        )
    return JudgeSpec("panel", members=members)


def make_all(specs: Sequence[JudgeSpec], settings: JudgeSettings) -> list[AskedJudge]:
    """The judges of ``specs``, rules among them as judges too. A model that several use is loaded
    once, and only when it is first asked. Raises ``BadInput`` and ``CannotLoad``."""
    from truing.judges.cache import Replies
    from truing.models.handle import default_cache

    replies = Replies(default_cache() / "replies.sqlite3")
    speakers: dict[JudgeSpec, Speaker] = {}

    def made(spec: JudgeSpec) -> AskedJudge:
        if spec.kind == "panel":
            return Panel(tuple(made(member) for member in spec.members))
        if spec.kind == "rule":
            return RuleJudge(spec.target)
        if spec.kind == "classifier":
            return _classifier(Path(spec.target))
        if spec.rubric is None:
            raise BadInput(
                "'rules' is no single judge", "Name a rule; `truing ls judges` lists them."
            )
        who = replace(spec, rubric=None)
        if who not in speakers:
            speakers[who] = (
                _local(who, settings) if spec.kind == "local" else _openai(who, settings)
            )
        return LanguageJudge(speakers[who], RUBRICS.get(spec.rubric), replies)

    return [made(spec) for spec in specs]


def _local(spec: JudgeSpec, settings: JudgeSettings) -> Speaker:
    from truing.judges.local import LocalSpeaker
    from truing.models.handle import Model

    def load() -> Model:
        return Model.load(spec.target, revision=spec.revision, device=settings.device)

    return LocalSpeaker(f"{spec.target}@{spec.revision}" if spec.revision else spec.target, load)


def _openai(spec: JudgeSpec, settings: JudgeSettings) -> Speaker:
    from truing.servers.openai import OpenAISettings, OpenAISpeaker

    given: dict[str, Any] = {
        "base_url": settings.base_url,
        "key_variable": settings.key_variable,
        "budget_usd": settings.budget_usd,
        "usd_per_million_in": settings.prices[0] if settings.prices else None,
        "usd_per_million_out": settings.prices[1] if settings.prices else None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    return OpenAISpeaker(spec.target, OpenAISettings(**chosen))


def _classifier(path: Path) -> AskedJudge:
    from truing.judges.classifier import ClassifierJudge

    return ClassifierJudge.load(path)
