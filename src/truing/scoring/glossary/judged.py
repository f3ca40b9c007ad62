"""Grades that judges give who are asked."""

from __future__ import annotations

from truing.scoring.glossary.metric import NOT_SCORED, Metric

_AXBENCH = "Wu et al. 2025, AxBench, there from 0 to 2"

JUDGED = (
    Metric(
        "trait-rating",
        "Trait rating",
        "How much of the asked trait shows in the text, as a judge rates it.",
        "mean of (rating - 1) / 4, with ratings from 1 (not at all) to 5 (very much)",
        "rated texts",
        NOT_SCORED,
        "after Mao et al. 2024, Editing Personality for Large Language Models, there as differences",
        "share",
        "higher",
    ),
    Metric(
        "concept-grade",
        "Concept",
        "Is the concept that the text was steered towards in it, as a judge grades it?",
        "mean of grade / 2, with grades 0, 1 and 2",
        "graded texts",
        NOT_SCORED,
        _AXBENCH,
        "share",
        "higher",
    ),
    Metric(
        "instruction-grade",
        "Instruction",
        "Does the text do what was asked, as a judge grades it?",
        "mean of grade / 2, with grades 0, 1 and 2",
        "graded texts",
        NOT_SCORED,
        _AXBENCH,
        "share",
        "higher",
    ),
    Metric(
        "fluency-grade",
        "Fluency, graded",
        "Is the text well-formed language, as a judge grades it?",
        "mean of grade / 2, with grades 0, 1 and 2",
        "graded texts",
        NOT_SCORED,
        _AXBENCH,
        "share",
        "higher",
    ),
    Metric(
        "win-rate",
        "Win rate",
        "Is the answer better than the base model's, as a judge sees them in both orders?",
        "(wins + ties / 2) / compared answers; the base model's own answer is a tie",
        "compared answers",
        "Where the judge prefers the same place in both orders it abstains; such rows, invalid ones "
        "and those without a verdict are left out and counted beside the number. Empty and looping "
        "answers (degenerate) stay in and count 0.",
        "Wu et al. 2025, AxBench, there without the second order",
        "share",
        "higher",
    ),
    Metric(
        "flaw",
        "More of a flaw",
        "Does the text have more of the flaw than the base model's (1), as much (0.5) or less (0)? "
        "Above 0.5 the edit brought it in.",
        "(texts with more + texts with as much / 2) / compared texts",
        "compared texts",
        "Judges who name the same place in both orders, and people who cannot tell, abstain; texts that are "
        "empty or loops are not compared. All are left out and counted beside the number.",
        "Halevy et al. 2024, Flex Tape Can't Fix That (arXiv 2403.00180), there from 1 to 2",
        "share",
        "lower",
    ),
    Metric(
        "review-score",
        "Review",
        "What people said to a question of the reviewers' own.",
        "mean of the scores of the labels that people chose",
        "reviewed answers with a decision",
        "Ties between people abstain; answers that were not drawn are missing. Both are counted beside.",
        "Truing",
        "share",
        "neither",
    ),
)
