"""Who says whether an answer is right.

States and scores, for every judge:

========== =============== ====================================================================
state      score           when
========== =============== ====================================================================
correct    1.0             the answer is right
wrong      0.0 to below 1  it is not; a share where the judge grades (tokens that match)
degenerate 0.0             nothing, or a loop: the model no longer answers, which is a failure
abstain    ``None``        the answer declines or does not choose, for judges that ask to choose
invalid    ``None``        the row cannot be judged: no response, nothing to compare with
========== =============== ====================================================================

``None`` is left out of the mean and counted beside it; it is never 0. A degenerate answer counts
as 0, because leaving it out would reward a model that falls silent.
"""

from __future__ import annotations

import typing
from dataclasses import replace

from truing.errors import BadInput
from truing.protocols.protocol import KL, LIKELIHOOD_SCORERS, Protocol, parse
from truing.protocols.questions import is_fluency
from truing.protocols.stopping import VERSION as STOPPING_VERSION
from truing.protocols.stopping import answer_text
from truing.registry import Entry, Registry
from truing.scoring import health, normalise
from truing.scoring import parse as reading
from truing.types import Response, Row, State, Verdict

SAME_AS_BASE = "same-as-base"
HEALTH = "health"
ASKED = "asked"
SUBSTRING = "likelihood-substring"
CROSS_PROPERTY = "locality/cross-property"
"""Questions about another property of somebody, each among declared answers."""


class Judge(typing.Protocol):
    """Turns a row into a verdict. Never raises for what a model said; it says ``invalid``."""

    @property
    def name(self) -> str: ...

    def judge(self, row: Row) -> Verdict: ...


_RULES = "truing.scoring.rules"
JUDGES: Registry[Judge] = Registry(
    "judge",
    {
        "token-match": Entry(
            f"{_RULES}.tokens:TOKEN_MATCH",
            "share of the gold answer's tokens that the model puts first",
        ),
        "token-match-strict": Entry(
            f"{_RULES}.tokens:TOKEN_MATCH_STRICT",
            "every token of the gold answer is the model's first choice",
        ),
        "exact-match": Entry(
            f"{_RULES}.texts:EXACT_MATCH",
            "the whole answer equals an accepted one, after normalisation",
        ),
        "contains": Entry(
            f"{_RULES}.texts:CONTAINS",
            "the answer holds an accepted one as whole words and is not a loop",
        ),
        "contains-any": Entry(
            f"{_RULES}.texts:CONTAINS_ANY",
            "the answer holds an accepted one, loops included (as often published)",
        ),
        "yes-no": Entry(
            f"{_RULES}.choices:YES_NO", "the answer says yes or no as the accepted one does"
        ),
        "letter": Entry(
            f"{_RULES}.choices:LETTER", "the answer chooses the accepted letter, A to D"
        ),
        "option": Entry(
            f"{_RULES}.choices:OPTION",
            "of the lettered options in the question, the answer chooses the accepted one",
        ),
        "word-label": Entry(
            f"{_RULES}.choices:WORD_LABEL",
            "the answer says the accepted word (good, bad, reasonable, true, ...) or its like",
        ),
        "number": Entry(f"{_RULES}.choices:NUMBER", "the answer gives the accepted number"),
        "as-asked": Entry(
            f"{_RULES}.choices:AS_ASKED",
            "read as the question asks: an option, yes or no, a label's word, one of two actions, a text",
        ),
        "yes-no-published": Entry(
            f"{_RULES}.choices:YES_NO_PUBLISHED",
            "answer and label hold one another as characters (HalluEditBench)",
        ),
        "letter-published": Entry(
            f"{_RULES}.choices:LETTER_PUBLISHED",
            "the letter stands anywhere in the answer, inside words too (HalluEditBench)",
        ),
        "word-label-published": Entry(
            f"{_RULES}.choices:WORD_LABEL_PUBLISHED",
            "good or bad by keywords as characters, 'ethical' in 'unethical' too (BehaviorBench)",
        ),
        "number-published": Entry(
            f"{_RULES}.choices:NUMBER_PUBLISHED",
            "the number's digits stand anywhere in the answer (BehaviorBench)",
        ),
        "as-asked-strict": Entry(
            f"{_RULES}.strict:AS_ASKED_STRICT",
            "as-asked, with answers that cannot be read, or decline, as wrong",
        ),
        "word-label-strict": Entry(
            f"{_RULES}.strict:WORD_LABEL_STRICT",
            "word-label, with answers that cannot be read as wrong (capability)",
        ),
        "final-number": Entry(
            f"{_RULES}.strict:FINAL_NUMBER", "the number that a worked answer ends with"
        ),
        "likelihood": Entry(
            f"{_RULES}.likelihood:LIKELIHOOD", "the first choice is more likely than every other"
        ),
        "likelihood-per-token": Entry(
            f"{_RULES}.likelihood:LIKELIHOOD_PER_TOKEN",
            "the same by mean log-probability per token, as Meng et al. 2022 compute it",
        ),
        SUBSTRING: Entry(
            f"{_RULES}.likelihood:LIKELIHOOD_SUBSTRING",
            "the first choice stands anywhere in the likeliest, 'male' in 'female' too (Seesaw-CF)",
        ),
        KL: Entry(
            f"{_RULES}.same:KL_CHOICES",
            "share of a text's tokens at which the base model's first choice is still the first",
        ),
        SAME_AS_BASE: Entry(
            f"{_RULES}.same:SAME_AS_BASE",
            "the base model's own answer: same text, or share of same tokens",
        ),
        "same-as-base-tokens": Entry(
            f"{_RULES}.same:SAME_AS_BASE_TOKENS",
            "every token id as the base model's (as published)",
        ),
        "same-as-base-loose": Entry(
            f"{_RULES}.same:SAME_AS_BASE_LOOSE",
            "one of the two answers holds the other as whole words",
        ),
        HEALTH: Entry(f"{_RULES}.texts:HEALTH", "the text is neither empty nor a loop"),
        ASKED: Entry(
            f"{_RULES}.asked:ASKED",
            "no rule can tell: a judge that is asked decides (a classifier, a language model, people)",
        ),
    },
)

_COMPANIONS: dict[str, tuple[str, ...]] = {
    "token-match": ("token-match-strict",),
    "contains": ("exact-match", "contains-any"),
    "exact-match": ("contains",),
    "yes-no": ("yes-no-published",),
    "letter": ("letter-published",),
    "option": ("letter-published",),
    "word-label": ("word-label-published",),
    "number": ("number-published",),
    "as-asked": ("as-asked-strict",),
    "likelihood": ("likelihood-per-token",),
    SAME_AS_BASE: ("same-as-base-tokens", "same-as-base-loose"),
}


def scorers_for(row: Row, protocol: Protocol) -> tuple[str, ...]:
    """The judges of this row by name: the primary one, then those shown beside it.

    Fluency is judged by ``health``. A row without accepted answers is compared with the base model,
    unless a likelihood scorer has choices to compare; ``kl`` does so itself. Every other row gets the
    protocol's scorer. The ones beside it are compatibility columns.
    """
    primary = protocol.scorer
    compares = primary == KL or (primary in LIKELIHOOD_SCORERS and _has_choices(row))
    if is_fluency(row.aspect):
        primary = HEALTH
    elif not row.accepted and not compares:
        primary = SAME_AS_BASE
    beside = _COMPANIONS.get(primary, ())
    if primary in LIKELIHOOD_SCORERS and row.aspect.startswith(CROSS_PROPERTY):
        beside = (*beside, SUBSTRING)
    if primary == SAME_AS_BASE and protocol.truncation == "gold-length":
        beside = ("same-as-base-tokens",)
    return (primary, *beside)


def judge_row(row: Row, protocol: Protocol) -> list[Verdict]:
    """The primary scorer's verdict, then the companions'. Raises ``UnknownName`` for its scorer."""
    return [JUDGES.get(name).judge(row) for name in scorers_for(row, protocol)]


def check_scorer(protocol: Protocol) -> None:
    """Raise ``UnknownName`` now, not after the model has answered, when the scorer is unknown.

    Also refuses judges that answer another question than "is this the accepted answer", and asking
    a judge where the model says nothing of its own.
    """
    JUDGES.summary(protocol.scorer)
    if protocol.scorer in (HEALTH, SUBSTRING) or protocol.scorer.startswith(SAME_AS_BASE):
        raise BadInput(
            f"{protocol.scorer} is no scorer of a protocol: it does not look at accepted answers",
            "Choose contains, exact-match or token-match; locality and fluency rows get theirs by themselves.",
        )
    if protocol.scorer == ASKED and protocol.forced:
        raise BadInput(
            f"protocol {protocol.id}: the gold answer is fed in, and nothing is said that a judge could be asked of",
            "Use a free protocol, for example wild,scorer=asked.",
        )


def answer_of(row: Row, response: Response) -> str:
    """What counts as the answer in ``response`` under the row's protocol; of a text that is written for
    its fluency, all of it."""
    if is_fluency(row.aspect):
        return response.text.strip()
    return answer_text(response.text, parse(row.protocol).truncation)


def verdict(row: Row, judge: str, state: State, score: float | None, why: str) -> Verdict:
    """A verdict on ``row``. ``raw`` holds the text that was judged where it is not all of the text."""
    made = Verdict(row.key, judge, state, score, why)
    if row.response is None or row.response.stop == "forced":
        return made
    judged = answer_of(row, row.response)
    return made if judged == row.response.text.strip() else replace(made, raw=judged)


def no_response(row: Row, judge: str) -> Verdict:
    """The verdict on a row that has no response."""
    return Verdict(row.key, judge, "invalid", None, f"no response: {row.error or 'not asked'}")


def versions() -> dict[str, str]:
    """Versions of the rules that decide verdicts, for the manifest."""
    return {
        "normaliser": normalise.VERSION,
        "health": health.VERSION,
        "parser": reading.VERSION,
        "stopping": STOPPING_VERSION,
    }


def _has_choices(row: Row) -> bool:
    return row.response is not None and len(row.response.choices) >= 2
