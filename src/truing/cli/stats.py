"""``truing stats``: second moments of MLP inputs, which ROME and MEMIT solve against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from truing.cli.output import AsJson, emit, note, progress, rows_table

if TYPE_CHECKING:
    from truing.methods.kernels.moments import Moments

app = typer.Typer(no_args_is_help=True, help="Second-moment statistics: collect, import, show.")


@app.command("collect")
def collect(
    model: Annotated[str, typer.Argument(help="Hugging Face id, folder, or truing/pocket.")],
    text: Annotated[
        Path, typer.Argument(help="Text: one document per line, or JSONL with a field.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (.safetensors).")],
    layers: Annotated[str, typer.Option(help="Layers: 3,4,5 or 3-5.")],
    field: Annotated[str, typer.Option(help="JSONL: the field that holds the text.")] = "text",
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many documents.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Cut documents here.")] = None,
    skip_bos: Annotated[
        bool, typer.Option(help="Leave the first token of a document out.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Collect over your own text. Interrupted? The same command goes on where it stopped."""
    from truing.cli.inputs import documents, layer_numbers
    from truing.methods.kernels import moments
    from truing.models.handle import Model

    texts = documents(text, field, limit)
    loaded = Model.load(model)
    with progress("documents", len(texts)) as bar:
        found = moments.collect(
            loaded,
            texts,
            layer_numbers(layers),
            source=text.name,
            skip_bos=skip_bos,
            max_tokens=max_tokens,
            checkpoint=out.with_suffix(".partial.safetensors"),
            progress=bar.advance,
        )
    moments.save(found, out)
    note(f"wrote {out}")
    _show(found, as_json)


@app.command("import")
def import_npz(
    files: Annotated[
        list[str],
        typer.Argument(help="LAYER=FILE.npz of the ROME/MEMIT line of tools, one per layer."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write (.safetensors).")],
    as_json: AsJson = False,
) -> None:
    """Read exchanged .npz files without unpickling anything."""
    from truing.errors import BadInput
    from truing.methods.kernels import moments

    found: dict[int, Path] = {}
    for pair in files:
        layer, equals, path = pair.partition("=")
        if not equals or not layer.isdigit():
            raise BadInput(f"{pair!r} is not LAYER=FILE.npz", "For example 17=layer17.npz.")
        found[int(layer)] = Path(path)
    made = moments.import_npz(found, source=", ".join(p.name for p in found.values()))
    moments.save(made, out)
    note(f"wrote {out}")
    _show(made, as_json)


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A statistics file.")], as_json: AsJson = False
) -> None:
    """What a statistics file holds and how settled it is."""
    from truing.methods.kernels import moments

    _show(moments.load(file), as_json)


def _show(found: Moments, as_json: bool) -> None:
    header = found.header
    rows = [
        (str(layer), f"{tuple(c.shape)}", f"{c.diagonal().mean():.4g}")
        for layer, c in sorted(found.second_F_F.items())
    ]
    settling = ", ".join(f"{tokens:,} tokens: {change:.3f}" for tokens, change in header.settling)
    title = (
        f"{header.model or 'unknown model'}: {header.tokens:,} tokens of {header.documents:,} documents; "
        f"relative change at each doubling: {settling or 'too little text to tell'}"
    )
    emit(
        {"header": header.model_dump(mode="json"), "layers": sorted(found.second_F_F)},
        rows_table(title, ("layer", "shape", "mean square"), rows),
        as_json,
    )
