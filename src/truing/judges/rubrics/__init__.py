"""What asked judges are asked, one file per family."""

from __future__ import annotations

from truing.judges.base import Rubric
from truing.registry import Entry, Registry
from truing.scoring.flaws import FLAWS

DEFAULT = "correctness"
WITH_RUBRIC = ("local:", "openai:", "panel:")
_HERE = "truing.judges.rubrics"
TRAITS = ("extraversion", "agreeableness", "neuroticism", "conscientiousness", "openness")
PUBLISHED_TRAITS = TRAITS[:3]

RUBRICS: Registry[Rubric] = Registry(
    "rubric",
    {
        DEFAULT: Entry(
            f"{_HERE}.correctness:CORRECTNESS",
            "does the answer say what the accepted one says; without one, what the base model said",
        ),
        "correctness-published": Entry(
            f"{_HERE}.correctness:PUBLISHED",
            "the same in the intent and with the parsing of Yang et al. 2025: 1 only for the reply A",
        ),
        "behavior": Entry(
            f"{_HERE}.behavior:BEHAVIOR", "does the answer choose the expected behaviour"
        ),
        "concept": Entry(
            f"{_HERE}.grades:CONCEPT", "0-2: is the concept (the accepted answer) in the text"
        ),
        "instruction": Entry(f"{_HERE}.grades:INSTRUCTION", "0-2: does the text do what was asked"),
        "fluency": Entry(f"{_HERE}.grades:FLUENCY", "0-2: is the text well-formed language"),
        "preference": Entry(
            f"{_HERE}.preference:PREFERENCE",
            "is the answer better than the base model's, asked in both orders",
        ),
        "personality": Entry(
            f"{_HERE}.personality:TARGET",
            "1-5: how the trait that the answer should show, the first accepted one, shows in it",
        ),
        "personality-published": Entry(
            f"{_HERE}.personality:TARGET_PUBLISHED",
            "the same with the published lists of adjectives and their exact parsing (Mao et al. 2024)",
        ),
        **{
            f"personality-{trait}": Entry(
                f"{_HERE}.personality:{trait.upper()}", f"1-5: how {trait} shows in the text"
            )
            for trait in TRAITS
        },
        **{
            f"personality-{trait}-published": Entry(
                f"{_HERE}.personality:{trait.upper()}_PUBLISHED",
                "1-5 with the published list of adjectives and its exact parsing (Mao et al. 2024)",
            )
            for trait in PUBLISHED_TRAITS
        },
        **{
            f"flaw-{flaw}": Entry(
                f"{_HERE}.flaws:{flaw.upper().replace('-', '_')}",
                f"has the text more {flaw} than the base model's, asked in both orders",
            )
            for flaw in FLAWS
        },
    },
)


def rubric_of(judge: str) -> str | None:
    """The rubric in a judge's name, ``None`` where it has none (rules, classifiers)."""
    last = judge.rpartition("/")[2]
    return last if judge.startswith(WITH_RUBRIC) and last in RUBRICS else None


def for_comparison_only(judge: str) -> bool:
    """Whether a judge is kept beside the others only: a published rubric, one person of several."""
    one_person = judge.startswith("human:") and not judge.startswith("human:all/")
    return one_person or (rubric_of(judge) or "").endswith("-published")
