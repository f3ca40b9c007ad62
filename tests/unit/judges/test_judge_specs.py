"""Judges by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from judged_rows import row
from truing.errors import BadInput, UnknownName
from truing.judges.asked import LanguageJudge
from truing.judges.panel import Panel
from truing.judges.rubrics import RUBRICS
from truing.judges.specs import JudgeSettings, JudgeSpec, make_all, parse, parse_all


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("rules", JudgeSpec("rules")),
        ("contains", JudgeSpec("rule", "contains")),
        ("local:truing/pocket", JudgeSpec("local", "truing/pocket", None, "correctness")),
        ("local:truing/pocket/behavior", JudgeSpec("local", "truing/pocket", None, "behavior")),
        ("local:org/m@v1.2", JudgeSpec("local", "org/m", "v1.2", "correctness")),
        ("local:org/m@main/fluency", JudgeSpec("local", "org/m", "main", "fluency")),
        ("local:/models/fluency/x", JudgeSpec("local", "/models/fluency/x", None, "correctness")),
        ("openai:gpt-x", JudgeSpec("openai", "gpt-x", None, "correctness")),
        ("openai:org/m:free/preference", JudgeSpec("openai", "org/m:free", None, "preference")),
        ("classifier:models/traits", JudgeSpec("classifier", "models/traits")),
    ],
)
def test_names_say_who_is_asked_and_what(text: str, spec: JudgeSpec) -> None:
    assert parse(text) == spec
    assert parse(spec.name) == spec


def test_the_rubric_of_the_command_is_for_those_that_name_none() -> None:
    given = parse("local:a/b", "behavior"), parse("local:a/b/fluency", "behavior")
    assert [spec.rubric for spec in given] == ["behavior", "fluency"]


def test_a_panel_takes_what_follows_it() -> None:
    specs = parse_all(["rules,local:a,panel:local:b,local:c/correctness,contains", "openai:d"])
    assert [spec.kind for spec in specs] == ["rules", "local", "panel", "openai"]
    panel = specs[2]
    assert panel.name == "panel:local:b/correctness,local:c/correctness,contains"
    assert parse(panel.name) == panel
    assert panel.digests == {"correctness": RUBRICS.get("correctness").digest}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("contain", "unknown judge"), ("gpt", "unknown judge"), ("local:", "names no model"),
        ("classifier:", "names no path"), ("panel:local:a", "two judges"),
        ("panel:local:a,local:a", "two judges"), ("panel:rules,local:a", "cannot sit"),
        ("panel:local:a/fluency,local:b/concept", "different things"),
    ],
)  # fmt: skip
def test_what_is_no_judge_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse(text)


def test_an_unknown_rubric_and_a_judge_named_twice_are_refused() -> None:
    with pytest.raises(UnknownName, match="rubric"):
        parse("local:a", "correctnes")
    with pytest.raises(BadInput, match="twice"):
        parse_all(["local:a", "local:a/correctness"])


def test_judges_have_the_names_of_their_specs_and_share_a_model() -> None:
    specs = parse_all(["local:a/b@r,local:a/b@r/behavior,contains,panel:local:a/b@r,openai:m"])
    judges = make_all(specs, JudgeSettings(base_url="http://127.0.0.1:1/v1"))
    assert [judge.name for judge in judges] == [spec.name for spec in specs]
    first, second, _, panel = judges
    assert isinstance(first, LanguageJudge)
    assert isinstance(second, LanguageJudge)
    assert isinstance(panel, Panel)
    assert isinstance(panel.members[0], LanguageJudge)
    assert first.speaker is second.speaker is panel.members[0].speaker


def test_a_spec_tells_what_it_would_ask() -> None:
    spec = parse("panel:local:a,local:b,contains")
    assert len(list(spec.chats(row("Orvale")))) == 2
    assert list(spec.chats(row(""))) == []
    assert list(spec.chats(row(None))) == []
    assert len(list(parse("local:a/preference").chats(row("Orvale")))) == 2


def test_reading_names_loads_no_torch() -> None:
    code = (
        "import sys; from truing.judges.specs import parse; parse('panel:local:a,openai:b');"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
