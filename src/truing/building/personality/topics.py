"""Which topics a set is about: read, screened, drawn by popularity, and split before a word is written."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from truing.benchmarks import files
from truing.benchmarks.contrast_pairs import folded
from truing.building.draft import lines_of
from truing.errors import BadInput, NotPossible
from truing.seeds import Seeds

NAME_FIELDS = ("topic", "ent", "name", "title")
VIEWS_FIELD = "views"
Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Flag = Literal["religion", "politics", "violence", "person"]
FLAGS: tuple[Flag, ...] = get_args(Flag)
_SIGNS: dict[Flag, re.Pattern[str]] = {
    "religion": re.compile(
        r"\b(?:religio|church|christ|islam|muslim|jew|juda|jesus|mosque|temple|hindu|buddh|bible|quran|"
        r"catholic|protestant|god\b|pope\b|saint\b|prophet)",
        re.IGNORECASE,
    ),
    "politics": re.compile(
        r"\b(?:politic|election|president|minister|senat|parliament|party\b|communis|fascis|nazi|"
        r"abortion|immigra|refugee|government|referendum)",
        re.IGNORECASE,
    ),
    "violence": re.compile(
        r"\b(?:war\b|massacre|genocide|holocaust|murder|terroris|shooting|bombing|suicide|slavery|rape)",
        re.IGNORECASE,
    ),
    "person": re.compile(r"^(?!The |New |San |Los )[A-Z][\w.'’-]+ (?:[A-Z]\.? )?[A-Z][\w'’-]+$"),
}
_UNCLEAR = re.compile(r"^(?:.{0,2}|[\W\d_]+|.*\([^)]*\)|(?:list|index) of .*)$", re.IGNORECASE)
_GENERAL = frozenset(
    ("main", "other", "general", "misc", "none", "unknown", "thing", "things", "something", "people",
     "everyone", "home page", "introduction", "overview", "contents")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it came. ``views``: how often it is looked up, where that is known."""

    name: str
    views: float | None = None

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What its name alone says of it: a guess, made to be looked at. ``person``: two or three
        capitalised words, as names of people are."""
        return tuple(flag for flag in FLAGS if _SIGNS[flag].search(self.name))

    @property
    def unclear(self) -> bool:
        """Whether the name does not say what is meant: too short, a number, general, or with its
        sense in brackets."""
        return _UNCLEAR.match(self.name) is not None or folded(self.name) in _GENERAL


@dataclass(frozen=True, slots=True)
class Screen:
    """Which topics pass: ``least_views``, and ``most`` of them in all, from every stratum (a tenfold
    of views each) as many as its share. Topics with a flag in ``without`` do not pass."""

    least_views: float | None = None
    most: int | None = None
    without: frozenset[Flag] = frozenset()

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 1:
            raise BadInput(f"most is {self.most}", "It must be 1 or more.")


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the topics kept for dev and test; the others train."""

    dev: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        if min(self.dev, self.test) < 0 or self.dev + self.test > 1:
            raise BadInput(
                f"dev {self.dev:g} and test {self.test:g} are no shares", "Together 1 at most."
            )


@dataclass(frozen=True)
class Chosen:
    """The topics of the set, in the order of their file, with their split. ``left_out`` counts the
    others by reason, ``flagged`` those kept that carry a flag."""

    topics: tuple[Topic, ...]
    splits: tuple[Split, ...]
    left_out: Counter[str]
    source: dict[str, Any]

    @property
    def flagged(self) -> Counter[str]:
        return Counter(flag for topic in self.topics for flag in topic.flags)


def read(path: Path) -> tuple[list[Topic], dict[str, Any]]:
    """Topics of a text file (one a line), or of JSON, JSON lines or CSV with a field ``topic``, ``ent``,
    ``name`` or ``title`` and perhaps ``views``; with what identifies the file. Raises ``BadInput``."""
    if path.suffix == ".txt":
        lines, digest = lines_of(path)
        found = [Topic(line) for line in lines]
    else:
        contents = files.read(path)
        found = [_topic(path, record) for record in contents.records]
        digest = contents.source.sha256
    if not found:
        raise BadInput(f"{path} holds no topics", "Give one topic a line.")
    return found, {"file": path.name, "sha256": digest, "in the file": len(found)}


def choose(
    topics: Sequence[Topic],
    screen: Screen,
    shares: Shares,
    seed: int,
    known: Collection[str] = (),
    source: dict[str, Any] | None = None,
) -> Chosen:
    """Screen, draw and split. ``known``: topics of other sets, which are left out. Letter case and
    spaces tell no two topics apart. Raises ``BadInput`` for a threshold where views are missing,
    ``NotPossible`` where no topic is left."""
    seen, elsewhere = set[str](), {folded(name) for name in known}
    passed, left_out = list[Topic](), Counter[str]()
    for topic in topics:
        why = _trouble(topic, screen, seen, elsewhere)
        if why:
            left_out[why] += 1
        else:
            passed.append(topic)
            seen.add(folded(topic.name))
    if not passed:
        told = ", ".join(f"{why} ({n})" for why, n in left_out.most_common(3))
        raise NotPossible(f"no topic is left: {told}", "Give other topics, or loosen the screen.")
    seeds = Seeds(seed)
    kept = passed if screen.most is None else _drawn(passed, screen.most, seeds.child("topics"))
    if len(kept) < len(passed):
        left_out["not drawn"] += len(passed) - len(kept)
    return Chosen(
        tuple(kept), _splits(kept, shares, seeds.child("split")), left_out, dict(source or {})
    )


def _trouble(topic: Topic, screen: Screen, seen: set[str], elsewhere: set[str]) -> str:
    if screen.least_views is not None and topic.views is None:
        raise BadInput(
            f"topic '{topic.name}' has no views, and {screen.least_views:g} are asked for",
            "Add a column 'views', or ask for none.",
        )
    if folded(topic.name) in seen:
        return "repeated"
    if folded(topic.name) in elsewhere:
        return "in another set"
    if topic.unclear:
        return "unclear"
    if screen.least_views is not None and (topic.views or 0) < screen.least_views:
        return "too few views"
    return next((f"flag: {flag}" for flag in topic.flags if flag in screen.without), "")


def _drawn(topics: Sequence[Topic], most: int, seeds: Seeds) -> list[Topic]:
    """At most ``most``: a share of each stratum, those with the largest remainders rounded up."""
    strata: dict[int | None, list[Topic]] = {}
    for topic in topics:
        strata.setdefault(_stratum(topic), []).append(topic)
    share = min(1.0, most / len(topics))
    counts = {stratum: math.floor(share * len(there)) for stratum, there in strata.items()}
    rest = min(most, len(topics)) - sum(counts.values())
    by_remainder = sorted(
        strata, key=lambda s: (counts[s] - share * len(strata[s]), -1 if s is None else s)
    )
    for stratum in by_remainder[:rest]:
        counts[stratum] += 1
    taken = {
        topic.name
        for stratum, there in strata.items()
        for topic in _mixed(there, seeds)[: counts[stratum]]
    }
    return [topic for topic in topics if topic.name in taken]


def _splits(topics: Sequence[Topic], shares: Shares, seeds: Seeds) -> tuple[Split, ...]:
    order = [topic.name for topic in _mixed(topics, seeds)]
    tested, dev = round(shares.test * len(order)), round(shares.dev * len(order))
    part: dict[str, Split] = dict.fromkeys(order, "train")
    part |= dict.fromkeys(order[:tested], "test")
    part |= dict.fromkeys(order[tested : tested + dev], "dev")
    return tuple(part[topic.name] for topic in topics)


def _mixed(topics: Iterable[Topic], seeds: Seeds) -> list[Topic]:
    """In an order that names and seed decide."""
    return sorted(topics, key=lambda topic: seeds.child(folded(topic.name)).number)


def _stratum(topic: Topic) -> int | None:
    return None if topic.views is None else math.floor(math.log10(max(1.0, topic.views)))


def _topic(path: Path, record: files.Record) -> Topic:
    where = f"{path}: {record.where}"
    names = [record.fields.get(field) for field in NAME_FIELDS]
    name = next((text.strip() for text in names if isinstance(text, str) and text.strip()), None)
    if record.trouble or name is None:
        why = record.trouble or f"there is no text in {', '.join(NAME_FIELDS)}"
        raise BadInput(f"{where}: {why}", "Mend or remove it.")
    views = record.fields.get(VIEWS_FIELD)
    try:
        number = None if views is None else float(views)
    except (TypeError, ValueError):
        number = math.nan
    if number is not None and not 0 <= number < math.inf:
        raise BadInput(f"{where}: views {views!r} is no count", "Give a number, or leave it out.")
    return Topic(" ".join(name.split()), number)
