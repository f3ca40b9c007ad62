"""The glossary: every number that Truing shows, what it means and how it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Unit = Literal["share", "bits", "tokens", "nats", "nats per token", "points"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry. ``denominator`` says what is counted, ``missing`` what is left out and why.

    ``better`` says which way is good: ``neither`` for descriptions.
    """

    name: str
    title: str
    definition: str
    formula: str
    denominator: str
    missing: str
    source: str
    unit: Unit
    better: Literal["higher", "lower", "neither"]


_NOT_SCORED = (
    "Rows that abstain, are invalid or have no verdict are left out and counted beside the number. "
    "Empty and looping answers (degenerate) stay in and count 0."
)
_NO_RESPONSE = "Rows without a response, and texts too short for the number, are left out."
_NO_SHIFT = "Rows without two scored choices, now or under the base model, are left out."
_PRES = (
    "Pres et al. 2024, Towards Reliable Evaluation of Behavior Steering Interventions in LLMs, there "
    "rescaled by each model's own extreme items"
)
_MIRAGE = "Yang et al. 2025, The Mirage of Model Editing"
_ROME = "Meng et al. 2022, Locating and Editing Factual Associations in GPT"
_AXBENCH = "Wu et al. 2025, AxBench, there from 0 to 2"

_ENTRIES = (
    Metric(
        "efficacy",
        "Efficacy",
        "Does the edited statement hold when asked as it was edited? Also called reliability.",
        "mean of the scorer's score on the edit prompts, against the new target",
        "scored edit prompts",
        _NOT_SCORED,
        f"{_ROME}; {_MIRAGE}",
        "share",
        "higher",
    ),
    Metric(
        "generalization",
        "Generalization",
        "Does the edited statement hold when asked in other words?",
        "mean of the scorer's score on rephrasings, against the new target",
        "scored rephrasings",
        _NOT_SCORED,
        f"{_ROME}; {_MIRAGE}",
        "share",
        "higher",
    ),
    Metric(
        "locality",
        "Locality",
        "Do prompts that the edit does not concern still get the base model's answer? Agreement with "
        "the unedited model, not correctness. Also called specificity.",
        "mean agreement with the base model: share of same tokens over the gold's length, or same text",
        "scored locality prompts",
        _NOT_SCORED
        + " Prompts to which the base model answers nothing are invalid: there is nothing to keep.",
        f"{_MIRAGE}; under likelihood scorers the neighbourhood success of {_ROME}",
        "share",
        "higher",
    ),
    Metric(
        "portability",
        "Portability",
        "Do facts that follow from the edit hold too (aliases, reverse, several hops)?",
        "mean of the scorer's score on questions that the edit implies the answer of",
        "scored portability questions",
        _NOT_SCORED,
        "Yao et al. 2023, Editing Large Language Models: Problems, Methods, and Opportunities",
        "share",
        "higher",
    ),
    Metric(
        "accuracy",
        "Accuracy",
        "Is the answer an accepted one? For questions that are none of the four edit aspects.",
        "mean of the scorer's score",
        "scored questions",
        _NOT_SCORED,
        "plain proportion",
        "share",
        "higher",
    ),
    Metric(
        "fluency",
        "Fluency",
        "Does the model still write healthy text: not empty, not stuck in a loop?",
        "healthy texts / texts; the loop rule is truing.scoring.health.looping",
        "texts written for fluency prompts (100 tokens, seeded sampling from the 5 likeliest)",
        "Rows without a response are left out.",
        "Truing; the loop rule is health-1",
        "share",
        "higher",
    ),
    Metric(
        "ngram-entropy",
        "N-gram entropy",
        "How varied the words of a text are. It falls when a model repeats itself.",
        "(2/3 H2 + 4/3 H3) / 2, with Hn the entropy in bits of the relative n-gram frequencies of a text",
        "texts of three tokens or more",
        _NO_RESPONSE,
        f"{_ROME} (generation entropy; published tables often show 100 times this)",
        "bits",
        "higher",
    ),
    Metric(
        "distinct-2",
        "Distinct word pairs",
        "How few word pairs repeat in a text.",
        "different word pairs / word pairs of a text",
        "texts of two words or more",
        _NO_RESPONSE,
        "Li et al. 2016, A Diversity-Promoting Objective Function for Neural Conversation Models",
        "share",
        "higher",
    ),
    Metric(
        "fluent-rate",
        "Fluent answers",
        "How often is an answer neither empty nor stuck in a loop?",
        "answers that are neither empty nor looping / answers",
        "answers",
        _NO_RESPONSE,
        "Truing; the loop rule is health-1",
        "share",
        "higher",
    ),
    Metric(
        "repetition-rate",
        "Repetition rate",
        "How often an answer is stuck in a loop.",
        "looping answers / answers, over the whole text as generated",
        "answers",
        _NO_RESPONSE,
        "Truing; the loop rule is health-1",
        "share",
        "lower",
    ),
    Metric(
        "empty-rate",
        "Empty rate",
        "How often an answer holds no word.",
        "answers without a word / answers",
        "answers",
        _NO_RESPONSE,
        "Truing",
        "share",
        "lower",
    ),
    Metric(
        "length-capped-rate",
        "Length-capped rate",
        "How often an answer had to be stopped at the token limit.",
        "answers stopped by length / answers",
        "answers",
        _NO_RESPONSE,
        "Truing",
        "share",
        "lower",
    ),
    Metric(
        "mean-length",
        "Mean length",
        "How long answers are.",
        "mean number of generated tokens, the end token included when there is one",
        "answers",
        _NO_RESPONSE,
        "Truing",
        "tokens",
        "neither",
    ),
    Metric(
        "likelihood-margin",
        "Likelihood margin",
        "By how much the wanted choice is more likely than the likeliest other.",
        "log P(first choice) - max log P(other choice), whole texts",
        "probes with two choices or more",
        "Rows without two scored choices are left out.",
        f"{_ROME}, there as a difference of probabilities",
        "nats",
        "higher",
    ),
    Metric(
        "preference",
        "Preference",
        "Of a contrast pair, does the side to promote win: is it the likelier one, or, under free "
        "protocols, what the model says?",
        "mean of the scorer's score on test pairs, for the side to promote",
        "scored test pairs",
        _NOT_SCORED,
        "Pres et al. 2024, there without a rate; Rimsky et al. 2024 for choices between letters",
        "share",
        "higher",
    ),
    Metric(
        "promotion",
        "Promotion",
        "How much likelier did the wanted choice become? Read it beside suppression: an intervention "
        "that makes every text less likely lowers this number and raises the other.",
        "mean of (log P(wanted) now - log P(wanted) of the base model) / tokens",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        _PRES,
        "nats per token",
        "higher",
    ),
    Metric(
        "suppression",
        "Suppression",
        "How much less likely did the other choice become? High suppression with negative promotion "
        "is a model that became worse at both.",
        "mean of (log P(other) of the base model - log P(other) now) / tokens",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        _PRES,
        "nats per token",
        "higher",
    ),
    Metric(
        "margin-shift",
        "Margin shift",
        "How much further ahead of the other choice is the wanted one?",
        "mean of promotion + suppression",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        "Truing; the sum of the two",
        "nats per token",
        "higher",
    ),
    Metric(
        "anti-steered-rate",
        "Anti-steered rate",
        "How often did an intervention move a probe the wrong way?",
        "probes whose margin shift is below -0.001 nats per token / probes",
        "probes with two choices, scored now and by the base model",
        _NO_SHIFT,
        "Tan et al. 2024, Analysing the Generalisation and Reliability of Steering Vectors",
        "share",
        "lower",
    ),
    Metric(
        "retention",
        "Retention",
        "Of the edits that held right after they were made, how many hold at the end?",
        "mean final score of the probes that were correct immediately after their own edit",
        "probes correct at moment 'immediate'",
        "Probes without a final verdict are counted as missing; probes that never held are not asked.",
        "Truing; the two moments are those of sequential editing in the literature",
        "share",
        "higher",
    ),
    Metric(
        "noise-floor",
        "Noise floor",
        "How often the unedited model's answer changes when nothing but the batching does.",
        "probes with another answer in a second pass of the base model / probes",
        "probes answered in both passes",
        "Probes without a response in either pass are left out.",
        "Truing; read locality losses below it as noise",
        "share",
        "lower",
    ),
    Metric(
        "trait-rating",
        "Trait rating",
        "How much of the asked trait shows in the text, as a judge rates it.",
        "mean of (rating - 1) / 4, with ratings from 1 (not at all) to 5 (very much)",
        "rated texts",
        _NOT_SCORED,
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
        _NOT_SCORED,
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
        _NOT_SCORED,
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
        _NOT_SCORED,
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
    Metric(
        "drawdown",
        "Drawdown",
        "What an edit cost: the loss of locality or of a capability.",
        "1 - locality, or score of the base model - score of the edited model on the same probes",
        "as for the number it is the loss of",
        "As for the number it is the loss of.",
        "Truing",
        "share",
        "lower",
    ),
    Metric(
        "minimum-detectable-effect",
        "Minimum detectable effect",
        "The smallest true difference that a paired comparison of this size would find.",
        "(z(1 - alpha/2) + z(power)) * standard error of the paired difference, clustered by case",
        "paired probes",
        "Pairs with an unscored side are left out.",
        "Bloom 1995, Minimum Detectable Effects; Miller 2024, Adding Error Bars to Evals",
        "points",
        "lower",
    ),
)
GLOSSARY: Mapping[str, Metric] = MappingProxyType({m.name: m for m in _ENTRIES})
_WITH_RUBRIC = ("local:", "openai:", "panel:", "human:")
_METRIC_OF_RUBRIC: Mapping[str, str] = MappingProxyType(
    {
        "concept": "concept-grade",
        "instruction": "instruction-grade",
        "fluency": "fluency-grade",
        "preference": "win-rate",
    }
)
NAMED_ASPECTS = frozenset(
    {"efficacy", "generalization", "locality", "portability", "fluency", "preference"}
)


def metric_for(aspect: str, judge: str) -> str:
    """The glossary's name for the mean score of ``judge`` on ``aspect``.

    Named aspects keep their names whatever follows a slash (``portability/two-hop`` is
    ``portability``); the health judge makes ``fluency``; any other aspect is ``accuracy``. Asked
    judges whose rubric (the last part of their name) is no question of right or wrong have metrics
    of their own.
    """
    if judge == "health":
        return "fluency"
    if judge.startswith(_WITH_RUBRIC):
        rubric = judge.rpartition("/")[2]
        if rubric.startswith("personality-"):
            return "trait-rating"
        if rubric in _METRIC_OF_RUBRIC:
            return _METRIC_OF_RUBRIC[rubric]
        if judge.startswith("human:") and "/" in judge:
            return "review-score"
    head = aspect.partition("/")[0]
    return head if head in NAMED_ASPECTS else "accuracy"
