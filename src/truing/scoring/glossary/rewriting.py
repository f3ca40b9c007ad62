"""Numbers of rewritten facts, as the ROME line of work tells them."""

from __future__ import annotations

from truing.scoring.glossary.metric import ROME, Metric

_MEMIT = f"{ROME}; Meng et al. 2023, Mass-Editing Memory in a Transformer"
_PER_CASE = "cases with such a prompt; the mean over a case's prompts, then over cases"
_NO_SIDES = "Prompts without two scored texts are left out."
_NO_GOLD = "Prompts without a text to predict are left out."

REWRITING = (
    Metric(
        "rewrite-score",
        "Score (S)",
        "Does a rewritten fact hold, in other words too, without moving its neighbours?",
        "harmonic mean of the numbers for edit prompts, paraphrases and the neighbourhood",
        "cases",
        "Undefined where one of the three is 0 or missing.",
        _MEMIT,
        "share",
        "higher",
    ),
    Metric(
        "rewrite-success",
        "Success (ES, PS, NS)",
        "Is the new object likelier than the true one; in the neighbourhood, the true one than the new?",
        "prompts where exp(mean log P per token) of the wanted text is the larger one / prompts; ties fail",
        _PER_CASE,
        _NO_SIDES,
        _MEMIT,
        "share",
        "higher",
    ),
    Metric(
        "rewrite-magnitude",
        "Magnitude (EM, PM, NM)",
        "How much likelier is it?",
        "difference of exp(mean log P per token) between the wanted text and the other",
        _PER_CASE,
        _NO_SIDES,
        _MEMIT,
        "points",
        "higher",
    ),
    Metric(
        "rewrite-accuracy",
        "Accuracy (EA, PA, NA)",
        "Is the whole of the wanted text what the model expects?",
        "prompts where every token of it is the first choice / prompts",
        _PER_CASE,
        _NO_GOLD,
        _MEMIT,
        "share",
        "higher",
    ),
    Metric(
        "rewrite-token-accuracy",
        "Accuracy by token (ET, PT, NT)",
        "How much of the wanted text does the model expect?",
        "tokens of it that are the first choice / tokens, teacher-forced",
        _PER_CASE,
        _NO_GOLD,
        "Mitchell et al. 2022, Fast Model Editing at Scale (zsRE); Meng et al. 2023",
        "share",
        "higher",
    ),
    Metric(
        "reference-score",
        "Consistency (RS)",
        "Does what is written about a subject read like texts about subjects that truly have the new object?",
        "cosine of the TF-IDF vectors of all that was written and of all reference texts, each joined",
        "cases with reference texts",
        "Cases without reference texts or without any answer are left out; no word in common is 0.",
        ROME,
        "share",
        "higher",
    ),
)
