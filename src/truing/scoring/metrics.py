"""The glossary: every number that Truing shows, what it means and how it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from truing.protocols.protocol import KL
from truing.scoring.flaws import FLAWS
from truing.scoring.glossary.choices import CHOICES
from truing.scoring.glossary.judged import JUDGED
from truing.scoring.glossary.metric import MIRAGE, NO_RESPONSE, NOT_SCORED, ROME, Metric, Unit
from truing.scoring.glossary.personality import PERSONALITY
from truing.scoring.glossary.rewriting import REWRITING

__all__ = ["GLOSSARY", "NAMED_ASPECTS", "Metric", "Unit", "metric_for"]

_ENTRIES = (
    Metric(
        "efficacy",
        "Efficacy",
        "Does the edited statement hold when asked as it was edited? Also called reliability.",
        "mean of the scorer's score on the edit prompts, against the new target",
        "scored edit prompts",
        NOT_SCORED,
        f"{ROME}; {MIRAGE}",
        "share",
        "higher",
    ),
    Metric(
        "generalization",
        "Generalization",
        "Does the edited statement hold when asked in other words?",
        "mean of the scorer's score on rephrasings, against the new target",
        "scored rephrasings",
        NOT_SCORED,
        f"{ROME}; {MIRAGE}",
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
        NOT_SCORED
        + " Prompts to which the base model answers nothing are invalid: there is nothing to keep.",
        f"{MIRAGE}; under likelihood scorers the neighbourhood success of {ROME}",
        "share",
        "higher",
    ),
    Metric(
        "portability",
        "Portability",
        "Do facts that follow from the edit hold too (aliases, reverse, several hops)?",
        "mean of the scorer's score on questions that the edit implies the answer of",
        "scored portability questions",
        NOT_SCORED,
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
        NOT_SCORED,
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
        NO_RESPONSE,
        f"{ROME} (generation entropy; published tables often show 100 times this)",
        "bits",
        "higher",
    ),
    Metric(
        "distinct-2",
        "Distinct word pairs",
        "How few word pairs repeat in a text.",
        "different word pairs / word pairs of a text",
        "texts of two words or more",
        NO_RESPONSE,
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
        NO_RESPONSE,
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
        NO_RESPONSE,
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
        NO_RESPONSE,
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
        NO_RESPONSE,
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
        NO_RESPONSE,
        "Truing",
        "tokens",
        "neither",
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
        "drawdown",
        "Drawdown (DD)",
        "How far has what the model expects in texts on other topics moved from the base model? 0 for an "
        "unedited model; a few thousandths are rounding in 16-bit weights.",
        "mean over texts of the mean over their tokens of KL(base || edited), whole vocabulary",
        "texts on other topics, fed token by token",
        "Texts that could not be read under both models are left out.",
        "Mao et al. 2024, Editing Personality for Large Language Models (arXiv 2310.02168), section 4",
        "nats per token",
        "lower",
    ),
    Metric(
        "top-1-agreement",
        "Top-1 agreement",
        "At how many tokens of texts on other topics is the base model's first choice still the first?",
        "mean over texts of tokens with the same first choice / tokens",
        "texts on other topics, fed token by token",
        "Texts that could not be read under both models are left out.",
        "Truing; drawdown counts probabilities, this counts choices",
        "share",
        "higher",
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
GLOSSARY: Mapping[str, Metric] = MappingProxyType(
    {m.name: m for m in (*_ENTRIES, *CHOICES, *JUDGED, *PERSONALITY, *REWRITING)}
)
_WITH_RUBRIC = ("local:", "openai:", "panel:", "human:")
_METRIC_OF_RUBRIC: Mapping[str, str] = MappingProxyType(
    {
        "concept": "concept-grade",
        "instruction": "instruction-grade",
        "fluency": "fluency-grade",
        "preference": "win-rate",
        **{f"flaw-{name}": "flaw" for name in FLAWS},
    }
)
NAMED_ASPECTS = frozenset(
    {"efficacy", "generalization", "locality", "portability", "fluency", "preference", "leakage"}
)


def metric_for(aspect: str, judge: str) -> str:
    """The glossary's name for the mean score of ``judge`` on ``aspect``.

    Named aspects keep their names whatever follows a slash (``portability/two-hop`` is
    ``portability``); the health judge makes ``fluency``, ``kl`` makes ``top-1-agreement``; any other aspect is ``accuracy``. Asked
    judges whose rubric (the last part of their name) is no question of right or wrong have metrics
    of their own.
    """
    if judge == "health":
        return "fluency"
    if judge == KL:
        return "top-1-agreement"
    if judge.startswith(_WITH_RUBRIC):
        rubric = judge.rpartition("/")[2]
        if rubric.partition("-")[0] == "personality":
            return "trait-rating"
        if rubric in _METRIC_OF_RUBRIC:
            return _METRIC_OF_RUBRIC[rubric]
        if judge.startswith("human:") and "/" in judge:
            return "review-score"
    head = aspect.partition("/")[0]
    return head if head in NAMED_ASPECTS else "accuracy"
