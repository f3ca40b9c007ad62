"""When the model is restored between edits, and when it is measured.

A regime is chunk size x restore policy x moments. What decides an answer (chunk size and restore
policy) is in its id; the moments only select what is measured.

    single             every case on the untouched model, restored afterwards
    sequential         one case after the other, never restored
    batch-all          all cases in one edit
    batch-10           ten cases per edit, never restored in between
    batch-10-restored  ten cases per edit, each ten on the untouched model
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from truing.errors import BadInput, NotPossible, UnknownName
from truing.types import Case

Name = Literal["single", "batch", "sequential"]
Restore = Literal["each", "never"]
When = Literal["immediate", "final"]

NAMES: tuple[Name, ...] = ("single", "batch", "sequential")
WHEN: tuple[When, ...] = ("immediate", "final")
KEYS = ("chunk", "restore", "moments", "every", "at")


class Capable(Protocol):
    """What a regime asks of a method (:class:`truing.methods.method.Method` has it)."""

    @property
    def name(self) -> str: ...
    @property
    def batch(self) -> bool: ...
    @property
    def sequential(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Regime:
    """``chunk`` cases per edit (``None``: all). ``moments``: measure a chunk's own cases right
    after its edit (``immediate``), all cases after the last edit (``final``). ``every``: also all
    cases edited so far after each ``every`` chunks (moment ``step``); ``at``: after these chunks."""

    name: Name
    chunk: int | None = 1
    restore: Restore = "never"
    moments: tuple[When, ...] = ("immediate", "final")
    every: int | None = None
    at: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        """Readable, stable, and the same for equal treatment of the model."""
        if self.name != "batch":
            return self.name
        size = "all" if self.chunk is None else str(self.chunk)
        return f"batch-{size}" + ("-restored" if self.restore == "each" else "")

    @property
    def independent(self) -> bool:
        """Whether every chunk starts from the untouched model."""
        return self.restore == "each"

    def steps_after(self, number: int, last: bool) -> bool:
        """Whether all cases so far are measured after chunk ``number`` (from 1)."""
        regular = self.every is not None and (last or number % self.every == 0)
        return regular or number in self.at

    def chunks(self, n: int) -> list[range]:
        """The cases 0..n-1 in the groups that are edited together."""
        size = max(n, 1) if self.chunk is None else self.chunk
        return [range(at, min(at + size, n)) for at in range(0, n, size)]


SINGLE = Regime("single", 1, "each", ("immediate",))
DEFAULTS: dict[str, Regime] = {
    "single": SINGLE,
    "sequential": Regime("sequential"),
    "batch": Regime("batch", None),
}


def parse(given: str | dict[str, Any] | Regime) -> Regime:
    """A regime from ``"batch,chunk=10,every=5"``, ``"batch-10"`` or a table with these keys.

    Raises ``UnknownName`` for names and keys, ``BadInput`` for values and combinations.
    """
    if isinstance(given, Regime):
        return _checked(given)
    values = _from_text(given) if isinstance(given, str) else dict(given)
    name = values.pop("name", None)
    if name not in DEFAULTS:
        raise UnknownName("regime", str(name), NAMES)
    for key in values:
        if key not in KEYS:
            raise UnknownName(f"setting of regime {name}", key, KEYS)
    start = DEFAULTS[name]
    restore = values.get("restore", start.restore)
    independent = name == "batch" and restore == "each"
    moments = values.get("moments", ("immediate",) if independent else start.moments)
    return _checked(
        Regime(
            start.name,
            _count(name, "chunk", values["chunk"]) if "chunk" in values else start.chunk,
            restore,
            _moments(name, moments),
            _count(name, "every", values["every"]) if "every" in values else start.every,
            _counts(name, "at", values.get("at", ())),
        )
    )


def check_method(regime: Regime, method: Capable, cases: int, known: Iterable[Capable]) -> None:
    """Raise ``NotPossible`` where ``method`` cannot work in ``regime`` on ``cases`` cases.

    ``known`` are methods to name as alternatives.
    """
    several = any(len(chunk) > 1 for chunk in regime.chunks(cases))
    chained = not regime.independent and len(regime.chunks(cases)) > 1
    needs = []
    if several and not method.batch:
        needs.append("take several requests in one edit")
    if chained and not method.sequential:
        needs.append("build on an earlier edit")
    if needs:
        able = [
            m.name
            for m in known
            if m.name != "none" and (m.batch or not several) and (m.sequential or not chained)
        ]
        raise NotPossible(
            f"{method.name} cannot {' and '.join(needs)}, which regime {regime.id} needs",
            f"Methods that can: {', '.join(sorted(able)) or 'none of the registered ones'}. "
            f"{method.name} works in regime single.",
        )


def check_cases(regime: Regime, benchmark: str, cases: Sequence[Case]) -> None:
    """Raise ``NotPossible`` where ``regime`` cannot measure cases without requests, such as the test
    pairs of a contrast: they are asked at the later moments of a chain, under what the others made."""
    alone = sum(not case.requests for case in cases)
    if not any(case.probes for case in cases):
        raise NotPossible(
            f"{benchmark}: the {len(cases)} selected cases ask nothing",
            "Select more cases: there are no test pairs among them.",
        )
    if alone == len(cases):
        raise NotPossible(
            f"{benchmark}: the {alone} selected cases request nothing, so there is no edit to make",
            "Select more cases: there are no training pairs among them.",
        )
    if alone and regime.independent:
        raise NotPossible(
            f"{alone} cases of {benchmark} request nothing themselves and are measured under what the "
            f"others make; regime {regime.id} makes every edit apart",
            "Use regime batch, where all requests make one intervention.",
        )
    if alone and not ("final" in regime.moments or regime.every or regime.at):
        raise NotPossible(
            f"{alone} cases of {benchmark} request nothing themselves, and regime {regime.id} has no "
            "moment at which they are measured",
            "Add the moment final (moments=immediate+final), every=K or at=K.",
        )


def to_table(regime: Regime) -> dict[str, Any]:
    """The regime as :func:`parse` reads it, every key written out (``None`` left out)."""
    table: dict[str, Any] = {"name": regime.name, "moments": list(regime.moments)}
    if regime.name == "batch":
        table["restore"] = regime.restore
        if regime.chunk is not None:
            table["chunk"] = regime.chunk
    if regime.every is not None:
        table["every"] = regime.every
    if regime.at:
        table["at"] = list(regime.at)
    return table


def _from_text(text: str) -> dict[str, Any]:
    head, *pairs = (part.strip() for part in text.split(","))
    values: dict[str, Any] = {}
    name, *rest = head.split("-")
    if name == "batch" and rest:
        if rest[-1] == "restored":
            values["restore"] = "each"
            rest = rest[:-1]
        if rest and rest != ["all"]:
            values["chunk"] = "-".join(rest)
        head = name
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadInput(f"regime '{text}': '{pair}' is not key=value", "For example every=10.")
        values[key.strip()] = value.strip()
    return {"name": head, **values}


def _count(name: str, key: str, value: Any) -> int | None:
    if key == "chunk" and value in ("all", None):
        return None
    try:
        if isinstance(value, bool) or int(value) != float(value) or int(value) < 1:
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise BadInput(
            f"regime {name}: {key} is {value!r}",
            "Give a whole number of cases, 1 or more" + (", or all." if key == "chunk" else "."),
        ) from None


def _counts(name: str, key: str, value: Any) -> tuple[int, ...]:
    """Several whole numbers, from ``[1, 10]``, ``"1+10"`` or one number."""
    given = value.split("+") if isinstance(value, str) else value
    found = (_count(name, key, each) for each in ([given] if isinstance(given, int) else given))
    return tuple(sorted({each for each in found if each is not None}))


def _moments(name: str, value: Any) -> tuple[When, ...]:
    given = [m for m in value.split("+") if m] if isinstance(value, str) else list(value)
    for moment in given:
        if moment not in WHEN:
            raise UnknownName(f"moment of regime {name}", str(moment), WHEN)
    return tuple(m for m in WHEN if m in given)


def _checked(regime: Regime) -> Regime:
    where = f"regime {regime.name}"
    if regime.restore not in ("each", "never"):
        raise UnknownName(f"restore policy of {where}", regime.restore, ("each", "never"))
    if regime.name != "batch" and (regime.chunk, regime.restore) != (
        1,
        DEFAULTS[regime.name].restore,
    ):
        raise BadInput(
            f"{where} has a fixed chunk size of 1 and a fixed restore policy",
            "Use regime batch, which takes chunk and restore.",
        )
    if regime.independent and (regime.moments != ("immediate",) or regime.every or regime.at):
        raise BadInput(
            f"{where} restores the model after each edit, so there is no later moment to measure",
            "Leave out moments, every and at, or use a regime that does not restore.",
        )
    if not (regime.moments or regime.every or regime.at):
        raise BadInput(
            f"{where} measures nothing", "Give moments: immediate, final, or every=K, at=[K, ...]."
        )
    return regime
