"""Training a learned editor: it learns, goes on exactly where it stopped, and says what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asking import make
from truing.benchmarks.loading import load
from truing.errors import BadInput, CannotLoad, EditFailed, UnknownName
from truing.methods import mend_checkpoint as checkpoint
from truing.methods.mend import MEND, MendConfig
from truing.methods.training import health
from truing.methods.training.curve import svg
from truing.methods.training.examples import Split, as_records, examples
from truing.methods.training.loop import Outcome, Schedule, Values, estimate, train
from truing.methods.training.mend import MendCourse
from truing.methods.training.mend_settings import MendTraining, Settings, parse
from truing.methods.training.record import METRICS, RESUME, Line, read
from truing.models.asks import ScoreAsk
from truing.models.handle import Model
from truing.types import Case, EditRequest, Probe

FEW: dict[str, Any] = {
    "layers": (1, 2),
    "rank": 4,
    "alpha": 0.02,
    "lr": 3e-3,
    "alpha_lr": 3e-3,
    "steps": 6,
    "batch": 4,
    "accumulate": 2,
    "validate_every": 2,
    "validation": 0.2,
    "held_out": 0.2,
}
WORDS = ("Marrow", "Orvale", "French", "Paris", "eagle", "hello", "Tin Gate", "Louis")


def cases(n: int = 12) -> list[Case]:
    found = []
    for i in range(n):
        subject, new, old = f"Item {i}", WORDS[i % 8], WORDS[(i + 3) % 8]
        request = EditRequest(f"c{i}", f"{subject} is called", new, old, subject)
        found.append(
            Case(
                f"c{i}",
                (request,),
                (
                    Probe(f"c{i}/e", "efficacy", request.prompt, (new,)),
                    Probe(f"c{i}/g", "generalization", f"They call {subject}", (new,)),
                    Probe(f"c{i}/l", "locality", f"Thing {i} is called", reference=old),
                    Probe(f"c{i}/m", "locality/other", f"Thing {i} lives in"),
                ),
            )
        )
    return found


def course(model: Model | None = None, **values: Any) -> tuple[MendCourse, Schedule]:
    chosen = MendTraining(**{**FEW, **values})
    split = Split.of(cases(), chosen.seed, chosen.validation, chosen.held_out)
    return MendCourse.of(model or make("llama"), chosen, split, {"dataset": "toy"})


def go(folder: Path, resume: bool = False, watch: Any = None, **values: Any) -> Outcome:
    own, schedule = course(**values)
    watch = watch or (lambda line: None)
    return train(own, schedule, folder, config=own.identity, resume=resume, watch=watch)


def tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return dict(load_file(folder / RESUME))


def test_training_lowers_the_loss_and_moves_the_networks(tmp_path: Path) -> None:
    outcome = go(tmp_path, steps=30, validate_every=10)
    checks = [line for line in read(tmp_path / METRICS) if line.kind == "validation"]
    assert checks[0].step == 0
    assert outcome.best["loss"] < checks[0].values["loss"]
    own, _ = course()
    start = own.module.state_dict()
    trained, header = checkpoint.load(tmp_path)
    for name, tensor in trained.state_dict().items():
        if name.endswith(("up", "bias", "shift", "scale", "down", "alpha")):
            assert not torch.equal(tensor, start[name]), f"{name} has not moved"
    assert header.step == outcome.best_step
    assert header.metrics == outcome.best


def test_alpha_learns_at_its_own_rate(tmp_path: Path) -> None:
    """One Adam step moves an entry by its learning rate."""
    for name, values in (("slow", {"alpha_lr": 1e-4}), ("fast", {"alpha_lr": 1e-2})):
        go(tmp_path / name, steps=1, validate_every=1, edit_weight=1.0, **values)
        moved = (tensors(tmp_path / name)["module.alpha"] - FEW["alpha"]).abs()
        assert float(moved.max()) == pytest.approx(values["alpha_lr"], rel=1e-2)


def test_a_training_that_was_cut_off_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    go(tmp_path / "whole")

    def cut(line: Line) -> None:
        if line.kind == "step" and line.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", watch=cut)
    with (tmp_path / "cut" / METRICS).open("a") as file:
        file.write('{"kind": "st')  # what a sudden death leaves
    go(tmp_path / "cut", resume=True)
    whole, again = tensors(tmp_path / "whole"), tensors(tmp_path / "cut")
    assert whole.keys() == again.keys()
    assert any(name.startswith("adam.") for name in whole)
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]), name
    assert read(tmp_path / "whole" / METRICS) == read(tmp_path / "cut" / METRICS)
    for name in (checkpoint.TENSORS, checkpoint.HEADER):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_going_on_for_longer_is_one_long_training(tmp_path: Path) -> None:
    go(tmp_path / "once")
    go(tmp_path / "twice", steps=4)
    go(tmp_path / "twice", steps=6, resume=True)
    for name, tensor in tensors(tmp_path / "once").items():
        assert torch.equal(tensor, tensors(tmp_path / "twice")[name]), name


def test_another_training_is_not_written_over(tmp_path: Path) -> None:
    go(tmp_path, steps=2)
    with pytest.raises(BadInput, match="already holds a training"):
        go(tmp_path, steps=2)
    with pytest.raises(BadInput, match=r"lr=0.003"):
        go(tmp_path, steps=2, lr=1e-4, resume=True)
    (tmp_path / RESUME).write_bytes(b"broken")
    with pytest.raises(CannotLoad, match="damaged"):
        go(tmp_path, steps=2, resume=True)


def test_the_best_step_is_kept_and_patience_ends_it(tmp_path: Path) -> None:
    """A course whose validation loss rises from step 4 on."""

    class Course:
        def __init__(self) -> None:
            self.module = torch.nn.Linear(2, 1)
            self.published: list[int] = []
            self.checks = 0

        def groups(self) -> list[dict[str, Any]]:
            return [{"params": list(self.module.parameters()), "lr": 0.1}]

        def loss(self, pass_number: int) -> tuple[Tensor, Values]:
            loss = self.module(torch.ones(1, 2)).square().sum()
            return loss, {"loss": loss.item(), "kl": 0.0}

        def validate(self) -> Values:
            self.checks += 1
            return {"loss": abs(self.checks - 3), "efficacy": 0.5}

        def publish(self, folder: Path, step: int, metrics: Any) -> None:
            self.published.append(step)

    own = Course()
    schedule = Schedule(steps=100, accumulate=1, clip=1.0, validate_every=2, patience=6)
    outcome = train(own, schedule, tmp_path, config={})
    assert own.published == [0, 2, 4]
    assert (outcome.best_step, outcome.step) == (4, 10)
    assert any("edit success does not rise" in text for text in outcome.warnings)


def test_updates_that_are_not_finite_are_left_out_and_end_it(tmp_path: Path) -> None:
    own, schedule = course(steps=50)
    with torch.no_grad():
        own.module.alpha.fill_(torch.nan)
    with pytest.raises(EditFailed, match="not finite"):
        train(own, schedule, tmp_path, config=own.identity)
    lines = read(tmp_path / METRICS)
    assert sum(line.values.get("skipped", 0) for line in lines) == health.MOST_SKIPPED + 1
    assert any(line.kind == "health" for line in lines)
    assert not torch.isnan(own.module.networks()[0]).any()


def test_health_tells_drift_and_lost_gradients() -> None:
    calm = [Line("step", i, {"kl": 0.1, "gradient": 1.0}) for i in range(40)]
    assert not list(health.troubles(calm))
    wild = [*calm, *(Line("step", 40 + i, {"kl": 9.0, "gradient": 1.0}) for i in range(20))]
    assert any("drift" in text for text in health.troubles(wild))
    assert any(
        "no gradient" in t for t in health.troubles([Line("step", 1, {"kl": 0.0, "gradient": 0.0})])
    )


def test_an_estimate_changes_nothing(tmp_path: Path) -> None:
    own, schedule = course()
    before = {name: t.clone() for name, t in own.module.state_dict().items()}
    expected = estimate(own, schedule)
    assert expected.seconds > 0
    assert expected.parameters == sum(p.numel() for p in own.module.parameters())
    assert all(torch.equal(before[n], t) for n, t in own.module.state_dict().items())
    assert all(p.grad is None for p in own.module.parameters())


def test_a_subject_is_in_one_part_only_and_ids_are_written_down(tmp_path: Path) -> None:
    twice = [*cases(), *(replace(c, id=f"{c.id}-b") for c in cases())]
    split = Split.of(twice, 0, 0.2, 0.2)
    again = Split.of(twice[::-1], 0, 0.2, 0.2)
    parts = [
        {c.requests[0].subject for c in part}
        for part in (split.train, split.validation, split.held_out)
    ]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert {k: set(v) for k, v in split.ids().items()} == {
        k: set(v) for k, v in again.ids().items()
    }
    with pytest.raises(BadInput, match="too few"):
        Split.of(twice[:1], 0, 0.2, 0.2)
    go(tmp_path, steps=1)
    header = json.loads((tmp_path / checkpoint.HEADER).read_text())
    ids = [i for name in ("trained_on", "validated_on", "held_out") for i in header["data"][name]]
    assert sorted(ids) == sorted(c.id for c in cases())


def test_held_out_cases_can_be_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "held-out.jsonl"
    path.write_text(as_records(cases()))
    loaded = load("custom", path).cases
    assert [c.requests for c in loaded] == [c.requests for c in cases()]
    asked = [{(p.aspect, p.prompt) for p in c.probes} for c in loaded]
    assert asked == [{(p.aspect, p.prompt) for p in c.probes} for c in cases()]


def test_what_validation_says_is_what_the_method_does(tmp_path: Path) -> None:
    """Teacher-forced efficacy by the editor's own branches and by edited answers of the engine."""
    model = make("llama")
    own, schedule = course(model, steps=20, validate_every=20, lr=1e-2, alpha=0.3, validation=0.4)
    outcome = train(own, schedule, tmp_path, config=own.identity)
    chosen = Split.of(cases(), 0, 0.4, 0.2).validation
    asks = []
    for case in chosen:
        iv = MEND.make(model, list(case.requests), MendConfig(checkpoint=tmp_path))
        asks.append(ScoreAsk(case.requests[0].prompt, case.requests[0].target_new, iv))
    shares = [
        sum(a == b for a, b in zip(s.predicted, s.token_ids, strict=True)) / len(s.token_ids)
        for s in model.score(asks)
    ]
    assert outcome.best["efficacy"] == pytest.approx(sum(shares) / len(shares), abs=1e-6)


def test_several_requests_of_one_edit_are_trained_together(tmp_path: Path) -> None:
    own, _ = course(edits=3, batch=2)
    loss, values = own.loss(0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert own.module.alpha.grad is not None
    assert {"efficacy", "generalization", "locality", "kl", "nll", "loss"} <= values.keys()


def test_every_case_comes_once_before_any_comes_again() -> None:
    own, _ = course(batch=1)
    n = len(own._train)
    seen = [own._chosen(number)[0].id for number in range(2 * n)]
    assert sorted(seen[:n]) == sorted(seen[n:]) == sorted(e.id for e in own._train)
    assert seen[:n] != seen[n:]


def test_settings_are_published_ones_or_guesses() -> None:
    model = make("gpt2")
    settings = Settings.of(model, MendTraining())
    assert settings.layers == (0, 1, 2)
    assert (settings.lr, settings.alpha_lr, settings.accumulate) == (1e-6, 1e-4, 10)
    assert settings.source == "heuristic"
    assert len(settings.slots) == 6
    assert len(Settings.of(model, MendTraining(matrices="down")).slots) == 3
    with pytest.raises(BadInput):
        Settings.of(model, MendTraining(layers=(2, 1)))
    with pytest.raises(UnknownName, match="stepz"):
        parse({"stepz": 3})
    with pytest.raises(BadInput, match="lr"):
        parse({"lr": -1})


def test_a_text_that_does_not_fit_names_its_case() -> None:
    bad = replace(cases()[0], requests=(replace(cases()[0].requests[0], target_new=" "),))
    with pytest.raises(BadInput, match="case c0"):
        examples(make("llama"), [bad])


def test_the_curve_is_a_picture() -> None:
    lines = [
        Line("validation", step, {"efficacy": step / 10, "locality": 1 - step / 20})
        for step in range(0, 11, 5)
    ]
    text = svg(lines, "a < b")
    assert text.startswith("<svg")
    assert text.count("<polyline") == 2
    assert "a &lt; b" in text
    assert svg([], "nothing yet").startswith("<svg")
