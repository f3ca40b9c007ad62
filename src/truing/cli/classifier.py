"""``truing classifier``: train a text classifier to judge with, measure and calibrate it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from truing.cli.output import AsJson, emit, note, plain, progress, rows_table, stdout

if TYPE_CHECKING:
    from truing.judges.classifiers.classifier import Classifier
    from truing.judges.classifiers.examples import Example, Split

app = typer.Typer(
    no_args_is_help=True, help="Text classifiers to judge with: train, evaluate, calibrate."
)


class Kind(StrEnum):
    """What learns."""

    TFIDF = "tfidf"
    ENCODER = "encoder"


File = Annotated[
    Path,
    typer.Argument(
        help="JSON, JSON lines or CSV with a text and a label each, or topics (`ent`) with a list of "
        "texts under each label; or world_personality, opinions in the embedded model's world."
    ),
]
TextField = Annotated[str, typer.Option("--text", help="Field of the text.")]
LabelField = Annotated[str, typer.Option("--label", help="Field of the label.")]


@app.command("train")
def train(
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder of the classifier.")],
    backend: Annotated[
        Kind, typer.Option(help="tfidf: n-grams, quick; encoder: a fine-tuned model.")
    ] = Kind.TFIDF,
    model: Annotated[
        str | None, typer.Option(help="Encoder to fine-tune: Hugging Face id or folder.")
    ] = None,
    text: TextField = "text",
    label: LabelField = "label",
    group: Annotated[
        str | None, typer.Option(help="Field whose equal values stay on one side of the split.")
    ] = None,
    dev: Annotated[
        Path | None,
        typer.Option(help="File to calibrate on; without it, FILE is split 80:10:10."),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of the encoder.")] = 3,
    lr: Annotated[float, typer.Option(help="Of the encoder.")] = 2e-5,
    device: Annotated[str, typer.Option(help="Of the encoder: cpu, cuda, cuda:N, auto.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Decides the split and every draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn labels from texts, calibrate, measure, and save without pickle."""
    from truing.errors import BadInput
    from truing.judges.classifiers.classifier import refuse_taken
    from truing.judges.classifiers.examples import Split, split

    if (model is not None) != (backend is Kind.ENCODER):
        raise BadInput(
            f"--backend {backend} {'needs --model' if model is None else 'takes no --model'}",
            "For example --backend encoder --model distilbert/distilroberta-base.",
        )
    refuse_taken(out)
    examples = _examples(file, text, label, group)
    if dev is None:
        parts = split(examples, seed=seed)
    else:
        parts = Split(tuple(examples), tuple(_examples(dev, text, label, group)))
    note(f"{len(parts.train)} texts to learn from, {len(parts.dev)} dev, {len(parts.test)} test")
    if model is None:
        from truing.judges.classifiers.tfidf import TfidfSettings
        from truing.judges.classifiers.train import train_tfidf

        learned = train_tfidf(parts, TfidfSettings())
    else:
        learned = _encoder(parts, model, epochs, lr, device, seed)
    saved = learned.save(out)
    part = "test" if parts.test else "dev"
    if as_json:
        emit({"out": out, "card": saved.card.model_dump(mode="json")}, "", True)
        return
    _show(f"{out}: {part} texts", saved.card.metrics[part], saved.card.temperature)
    note(f"judge with it: truing judge RUN --with classifier:{out}")


@app.command("evaluate")
def evaluate(
    folder: Annotated[Path, typer.Argument(help="Folder of a trained classifier.")],
    file: File,
    text: TextField = "text",
    label: LabelField = "label",
    as_json: AsJson = False,
) -> None:
    """Measure a classifier on labelled texts that it did not learn from."""
    from truing.judges.classifiers.classifier import load

    learned = load(folder)
    found = plain(learned.evaluate(_examples(file, text, label, None)))
    temperature = learned.card.temperature
    if as_json:
        emit({**found, "temperature": temperature}, "", True)
        return
    _show(f"{folder} on {file}", found, temperature)


@app.command("calibrate")
def calibrate(
    folder: Annotated[Path, typer.Argument(help="Folder of a trained classifier.")],
    file: File,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder of the calibrated one.")],
    text: TextField = "text",
    label: LabelField = "label",
    as_json: AsJson = False,
) -> None:
    """Fit the temperature of a classifier's probabilities anew, on labelled texts that it did not learn from.

    What it calls likeliest stays; how sure it is changes. Measure on a third set of texts afterwards.
    """
    from truing.judges.classifiers.classifier import load, refuse_taken
    from truing.judges.classifiers.recalibrate import PART, recalibrated

    refuse_taken(out)
    learned = load(folder)
    saved = recalibrated(learned, _examples(file, text, label, None)).save(out)
    if as_json:
        emit({"out": out, "card": saved.card.model_dump(mode="json")}, "", True)
        return
    _show(f"{out}: texts of {file}", saved.card.metrics[PART], saved.card.temperature)


def _encoder(
    parts: Split, model: str, epochs: int, lr: float, device: str, seed: int
) -> Classifier:
    from truing.judges.classifiers.encoder import EncoderSettings
    from truing.judges.classifiers.train import train_encoder

    settings = EncoderSettings(model, epochs=epochs, lr=lr, device=device, seed=seed)
    with progress(f"training {model}", None) as bar:

        def watch(done: int, total: int) -> None:
            bar.total(total)
            bar.advance(1)

        return train_encoder(parts, settings, watch)


def _examples(file: Path, text: str, label: str, group: str | None) -> list[Example]:
    """Raises ``BadInput`` for the first record without a text or label. The texts of a topic are a
    group."""
    from truing.benchmarks.files import read
    from truing.benchmarks.personality import texts_of
    from truing.benchmarks.world_personality import WORLD_PERSONALITY, opinions
    from truing.errors import BadInput
    from truing.judges.classifiers.examples import Example

    if str(file) == WORLD_PERSONALITY.name:
        return [Example(said, trait, topic) for topic, trait, said in opinions()]
    found: list[Example] = []
    for record in read(file).records:
        if record.trouble:
            raise BadInput(f"{file} {record.where}: {record.trouble}", "Mend or remove it.")
        if text not in record.fields and "ent" in record.fields:
            topic = str(record.fields["ent"])
            found += [
                Example(said, name, topic)
                for name, texts in texts_of(record.fields).items()
                for said in texts
            ]
            continue
        values: dict[str, str] = {}
        for field in (text, label, *([group] if group else [])):
            value = record.fields.get(field)
            if not isinstance(value, (str, int)) or not str(value).strip():
                held = ", ".join(sorted(map(str, record.fields))) or "nothing"
                raise BadInput(
                    f"{file} {record.where} has no text in '{field}'",
                    f"Name the fields with --text, --label, --group; it holds: {held}.",
                )
            values[field] = str(value).strip()
        found.append(Example(values[text], values[label], values[group] if group else None))
    return found


def _show(title: str, found: Mapping[str, Any], temperature: float) -> None:
    before = found.get("uncalibrated")
    rows = [
        ("texts", str(found["n"])),
        ("accuracy", f"{found['accuracy']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"),
        ("log loss", _both("log_loss", found, before)),
        ("calibration error", _both("ece", found, before)),
        ("temperature", f"{temperature:.3f}"),
    ]
    stdout().print(rows_table(title, ("measure", "value"), rows))
    labels: Sequence[Mapping[str, Any]] = found["labels"]
    columns = ("true label", "n", "precision", "recall", *(f"as {e['label']}" for e in labels))
    table = [
        (e["label"], str(e["n"]), _share(e["precision"]), _share(e["recall"]), *map(str, counts))
        for e, counts in zip(labels, found["confusion"], strict=True)
    ]
    stdout().print(rows_table("", columns, table))


def _both(name: str, found: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    now = f"{found[name]:.4f}"
    return now if before is None else f"{now} (before calibration {before[name]:.4f})"


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"
