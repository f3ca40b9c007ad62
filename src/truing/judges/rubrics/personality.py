"""How much of a trait shows in a text: ratings from 1 to 5.

The published variants keep the adjectives of Mao et al. 2024 ("Editing Personality for Large
Language Models"), "dishonest" among the agreeable ones included, and read only a bare digit.
"""

from __future__ import annotations

from truing.judges.rubrics.scale import Scale
from truing.judges.rubrics.wording import Wording

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
