from __future__ import annotations

from dataclasses import replace

from fake_run import WILD
from truing.report import sentences
from truing.report.grid import Grid, grids
from truing.report.load import Run
from truing.types import Measure, Value


def changed(run: Run, **means: float) -> Grid:
    """The single-edit grid with these wild efficacies."""

    def change(m: Measure) -> Measure:
        if m.aspect == "efficacy" and m.protocol == WILD and m.method in means:
            return replace(m, value=Value(40, means[m.method], 0.4, 0.8, "95%"))
        return m

    return grids([change(m) for m in run.measures], run.cells)[0]


def test_the_lead_gives_the_range_over_methods_and_no_mean_over_them(run: Run) -> None:
    grid = changed(run, ft_m=0.5, rome=0.6, memit=0.7, ice=0.9)
    assert "50–90\u202f%" in sentences.lead(grid)
    assert "When it answers freely" in sentences.lead(grid)


def test_flagged_numbers_do_not_enter_the_lead(run: Run) -> None:
    measures = [
        replace(m, flags=("nothing-changed",)) if m.method == "ft_m" else m for m in run.measures
    ]
    means = {
        m.method: m.value.mean
        for m in measures
        if m.regime == "single"
        and m.protocol == WILD
        and m.aspect == "efficacy"
        and m.judge == "contains"
    }
    low = min(v for k, v in means.items() if k not in ("none", "ft_m") and v is not None)
    text = sentences.lead(grids(measures, run.cells)[0])
    assert f"{round(100 * low)}–" in text


def test_every_sentence_carries_n_and_interval(run: Run) -> None:
    findings = sentences.findings(changed(run, rome=0.62))
    assert [f.label for f in findings] == ["ft_m", "rome", "memit", "ice"]
    rome = next(f for f in findings if f.label == "rome")
    assert "62\u202f% in the wild (40–80, n\u202f=\u202f40)" in rome.text
    assert "neighbours keep their answer" in rome.text
    assert [f.label for f in findings if f.flagged] == ["ft_m"]


def test_without_efficacy_there_is_no_lead(run: Run) -> None:
    rest = [m for m in run.measures if m.aspect == "locality"]
    assert sentences.lead(grids(rest, run.cells)[0]) == ""


def test_methods_are_said_to_differ_only_where_they_do(run: Run) -> None:
    one = [m for m in run.measures if m.method in ("none", "rome")]
    assert "Depending" not in sentences.lead(grids(one, run.cells)[0])
    assert sentences.lead(changed(run, ft_m=0.5)).startswith("Depending on the method")


def noisy(run: Run, mean: float) -> Grid:
    like = next(m for m in run.measures if m.method == "none" and m.aspect == "locality")
    noise = replace(like, moment="base", step=0, metric="noise-floor", value=Value(16, mean))
    return grids([*run.measures, noise], run.cells)[0]


def test_the_noise_floor_is_told_with_its_n(run: Run) -> None:
    assert sentences.noise(grids(run.measures, run.cells)[0]) == ""
    assert "the same answer to all 16 questions" in sentences.noise(noisy(run, 0.0))
    assert "at most 3\u202f% of its answers (locality, synthetic" in sentences.noise(
        noisy(run, 0.03)
    )


def test_the_noise_pass_is_no_moment_to_sum_up(run: Run) -> None:
    assert sentences.main_moment(noisy(run, 0.0)) == "immediate"
