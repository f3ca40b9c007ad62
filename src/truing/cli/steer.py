"""``truing steer``: pairs for a behaviour, and where and how strongly to steer."""

from __future__ import annotations

import typer

from truing.cli import steer_build, steer_sweep

app = typer.Typer(help="Contrast pairs, layers and strengths.", no_args_is_help=True)
app.command("build")(steer_build.build)
app.command("sweep")(steer_sweep.sweep)
