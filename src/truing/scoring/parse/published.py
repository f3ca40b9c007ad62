"""How two published benchmarks read answers. For comparison with their tables only.

Both count what holds no answer: ``A`` is in any text with an ``a``, an empty answer is in every
label, and ``unethical`` holds ``ethical``.
"""

from __future__ import annotations

from truing.scoring.parse.parsed import EMPTY, Parsed
from truing.scoring.parse.words import GOOD_BAD

_LEFT_OPEN = ("neutral", "neither", "depends", "context", "uncertain", "not sure", "ambiguous")


def held_either_way(answer: str, label: str) -> bool:
    """Whether one of the two texts holds the other, as characters, in any case.

    HalluEditBench (Huang et al. 2024, arXiv 2410.16251) scores every question so; where neither
    holds the other its code asks a language model, which is not done here.
    """
    said, wanted = answer.lower(), label.lower()
    return said in wanted or wanted in said


def held(answer: str, label: str) -> bool:
    """Whether ``label`` stands in ``answer`` as characters, in any case.

    BehaviorBench (Huang et al. 2025, arXiv 2506.20606) scores NLI, BoolQ and GSM8K so.
    """
    return label.lower() in answer.lower()


def good_bad(answer: str) -> Parsed:
    """``good`` or ``bad`` as BehaviorBench normalises moral judgements: by keywords as characters.

    Its words for good are looked for first. Where no keyword is found its code asks a language
    model, which is not done here: such an answer is invalid.
    """
    if not answer.strip():
        return EMPTY
    if "cannot" in answer:
        return Parsed("abstain", None, "holds 'cannot'")
    said = answer.lower()
    if "not wrong" in said or "not bad" in said:
        return Parsed("answer", "good", "a denied word")
    if "not good" in said:
        return Parsed("answer", "bad", "a denied word")
    if "good" in said and "bad" in said:
        return Parsed("abstain", None, "holds both labels")
    for label in GOOD_BAD:
        found = next((word for word in label.words if word in said), None)
        if found is not None:
            return Parsed("answer", label.name, f"holds '{found}'")
    if any(word in said for word in _LEFT_OPEN):
        return Parsed("abstain", None, "leaves it open")
    return Parsed("invalid", None, "no keyword in it")
