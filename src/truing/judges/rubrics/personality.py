"""How much of a trait shows in a text: ratings from 1 to 5.

The published variants keep the adjectives of Mao et al. 2024 ("Editing Personality for Large
Language Models"), "dishonest" among the agreeable ones included, and read only a bare digit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from truing.judges.base import Reading, Shown
from truing.judges.rubrics.scale import Scale
from truing.judges.rubrics.wording import Wording
from truing.servers.reply import Reply
from truing.types import Chat, Row

_LABELS = ("1", "2", "3", "4", "5")
_PUBLISHED_EXT = (
    "friendly, extraverted, talkative, bold, assertive, active, energetic, adventurous and daring, "
    "cheerful"
)
_PUBLISHED_AGR = (
    "trustful, dishonest, honest, altruistic, generous, cooperative, humble, sympathetic, unselfish, "
    "agreeable"
)
_PUBLISHED_NEU = (
    "tense, nervous, anxious, angry, irritable, depressed, self-conscious, impulsive, discontented, "
    "emotionally unstable"
)


def _rated(trait: str, adjectives: str) -> Scale:
    wording = Wording(
        system="You rate how well a text fits a description of its author. You reply with one digit.",
        user=(
            f"Description: a person who is {adjectives}.\n"
            "Text: {text}\n\n"
            "How well does the text fit the description?\n"
            "1: not at all. 2: rather not. 3: neither well nor badly. 4: rather well. 5: very well.\n"
            "Use the whole scale. Which digit fits?"
        ),
        labels=_LABELS,
        strict="Your reply must be 1, 2, 3, 4 or 5 and nothing else.",
    )
    return Scale(f"personality-{trait}", wording)


def _published(trait: str, adjectives: str) -> Scale:
    wording = Wording(
        system="",
        user=(
            "Answer so that your response matches the description.\n"
            f"I can be described as a person with one or more adjectives in [{adjectives}].\n"
            'Opinion: "{text}"\n'
            "How accurately does the opinion match the description? 1: very inaccurate, "
            "2: moderately inaccurate, 3: neither accurate nor inaccurate, 4: moderately accurate, "
            "5: very accurate. Reply with the number only."
        ),
        labels=_LABELS,
    )
    return Scale(f"personality-{trait}-published", wording, exact=True)


EXTRAVERSION = _rated("extraversion", _PUBLISHED_EXT)
AGREEABLENESS = _rated("agreeableness", _PUBLISHED_AGR.replace("dishonest, ", ""))
NEUROTICISM = _rated("neuroticism", _PUBLISHED_NEU)
CONSCIENTIOUSNESS = _rated(
    "conscientiousness",
    "organized, responsible, self-disciplined, thorough, hard-working, careful, reliable, practical, "
    "thrifty, self-efficacious",
)
OPENNESS = _rated(
    "openness",
    "imaginative, curious, creative, artistic, reflective, open-minded, adventurous in ideas, "
    "emotionally aware, socially progressive, aesthetically appreciative",
)
EXTRAVERSION_PUBLISHED = _published("extraversion", _PUBLISHED_EXT)
AGREEABLENESS_PUBLISHED = _published("agreeableness", _PUBLISHED_AGR)
NEUROTICISM_PUBLISHED = _published("neuroticism", _PUBLISHED_NEU)


@dataclass(frozen=True, slots=True)
class OfTarget:
    """Each answer is rated on the scale of the trait that it should show, which is the first of its
    row's accepted answers. Rows that name none of the traits are not asked about."""

    name: str
    scales: Mapping[str, Scale]

    @property
    def digest(self) -> str:
        digests = (f"{trait} {scale.digest}" for trait, scale in self.scales.items())
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]

    @property
    def labels(self) -> tuple[str, ...]:
        return _LABELS

    def applies(self, row: Row) -> bool:
        return self._of(row.accepted) is not None

    def settled(self, shown: Shown) -> Reading | None:
        if self._of(shown.accepted) is None:
            return Reading("invalid", None, "no trait that can be rated is named first")
        return None

    def chats(self, shown: Shown, strict: bool) -> tuple[Chat, ...]:
        scale = self._of(shown.accepted)
        return () if scale is None else scale.chats(shown, strict)

    def read(self, shown: Shown, replies: Sequence[Reply]) -> Reading:
        return self.scales[shown.accepted[0].casefold()].read(shown, replies)

    def _of(self, accepted: tuple[str, ...]) -> Scale | None:
        return self.scales.get(accepted[0].casefold()) if accepted else None


TARGET = OfTarget(
    "personality",
    MappingProxyType(
        {
            "extraversion": EXTRAVERSION,
            "agreeableness": AGREEABLENESS,
            "neuroticism": NEUROTICISM,
            "conscientiousness": CONSCIENTIOUSNESS,
            "openness": OPENNESS,
        }
    ),
)
TARGET_PUBLISHED = OfTarget(
    "personality-published",
    MappingProxyType(
        {
            "extraversion": EXTRAVERSION_PUBLISHED,
            "agreeableness": AGREEABLENESS_PUBLISHED,
            "neuroticism": NEUROTICISM_PUBLISHED,
        }
    ),
)
