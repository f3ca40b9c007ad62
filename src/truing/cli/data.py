"""``truing data``: what public data there is, where it comes from, and getting it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from truing.cli.output import AsJson, emit, note, progress, rows_table

app = typer.Typer(no_args_is_help=True, help="Public datasets: list, describe, get, verify.")


@app.command("ls")
def list_datasets(as_json: AsJson = False) -> None:
    """The registry: name, benchmark that reads it, rows, licence."""
    from truing.benchmarks import catalogue

    found = catalogue.listing()
    rows = [
        (d.name, d.benchmark or "", "" if d.rows is None else f"{d.rows:,}", d.licence, d.summary)
        for d in found
    ]
    emit(
        [d.model_dump(mode="json") for d in found],
        rows_table("", ("name", "benchmark", "rows", "licence", "what it is"), rows),
        as_json,
    )


@app.command("info")
def describe(
    name: Annotated[str, typer.Argument(help="A name of `truing data ls`.")],
    as_json: AsJson = False,
) -> None:
    """Source, revision, licence, checksums, citation."""
    from truing.benchmarks import catalogue

    found = catalogue.info(name)
    rows = [
        (k, str(v))
        for k, v in found.model_dump(mode="json").items()
        if k != "files" and v is not None
    ]
    rows += [
        (f"file {f.path}", f"{found.url(f)} sha256 {f.sha256 or 'recorded on first download'}")
        for f in found.files
    ]
    emit(found.model_dump(mode="json"), rows_table("", ("field", "value"), rows), as_json)


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="A name of `truing data ls`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to put it in.")] = Path("data"),
    mirror: Annotated[
        str | None, typer.Option(help="Folder or address that holds NAME/FILE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download with resume and checksum; nothing that is there is overwritten."""
    from truing.benchmarks import catalogue

    with progress(name, None) as bar:
        seen: dict[str, int] = {}

        def on_bytes(file: str, sofar: int, whole: int | None) -> None:
            bar.label(file)
            if whole is not None:
                bar.total(whole)
            bar.advance(sofar - seen.get(file, 0))
            seen[file] = sofar

        paths = catalogue.get(name, out, progress=on_bytes, mirror=mirror)
    note(f"{len(paths)} file(s) in {out / name}")
    emit({"files": paths}, rows_table("", ("file",), [(str(p),) for p in paths]), as_json)


@app.command("verify")
def verify(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of downloaded data.")],
    as_json: AsJson = False,
) -> None:
    """Compare files with their recorded checksums."""
    from truing.benchmarks import catalogue

    checked = catalogue.verify(path)
    rows = [(str(c.path), c.state, c.dataset or "") for c in checked]
    emit(checked, rows_table("", ("file", "state", "dataset"), rows), as_json)
    if any(c.state in ("changed", "missing") for c in checked):
        raise typer.Exit(1)
