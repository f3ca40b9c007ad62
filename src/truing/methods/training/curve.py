"""The learning curve as one small SVG: validation efficacy, generalization and locality by step."""

from __future__ import annotations

from collections.abc import Sequence

from truing.methods.training.record import Line

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 48, 16, 130, 40
COLOURS = {"efficacy": "#1b6ca8", "generalization": "#7a3e9d", "locality": "#c2571a"}


def svg(lines: Sequence[Line], title: str) -> str:
    """A picture of the validations among ``lines``; shares from 0 to 1."""
    checks = [line for line in lines if line.kind == "validation"]
    last = max([line.step for line in checks] or [1]) or 1
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(step: int) -> float:
        return LEFT + wide * step / last

    def y(value: float) -> float:
        return TOP + high * (1 - value)

    drawn = [
        f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ddd"/>'
        f'<text x="{LEFT - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.1f}</text>'
        for v in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    ends: list[float] = []
    for name, colour in COLOURS.items():
        points = [(x(c.step), y(c.values[name])) for c in checks if name in c.values]
        if not points:
            continue
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at = points[-1][1] + 4
        while any(abs(at - other) < 14 for other in ends):
            at += 14
        ends.append(at)
        drawn.append(f'<text x="{LEFT + wide + 8}" y="{at:.1f}" fill="{colour}">{name}</text>')
    drawn.append(f'<text x="{LEFT}" y="{HEIGHT - 10}">updates: 0 to {last}. {_plain(title)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(drawn)}</svg>\n"
    )


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
