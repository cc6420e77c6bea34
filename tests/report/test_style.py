"""The style: enough contrast in the light and in the dark, for text and for marks."""

from __future__ import annotations

import re

import pytest

from auditor.report.templating import template_text

TEXT = [
    ("ink", "paper"), ("soft", "paper"), ("faint", "paper"), ("ink", "wash"), ("soft", "wash"),
    ("link", "paper"), ("pass", "pass-wash"), ("fail", "fail-wash"), ("open", "open-wash"),
    ("none", "none-wash"), ("error", "error-wash"), ("waived", "waived-wash"),
    ("ink", "fail-wash"), ("ink", "open-wash"), ("ink", "pass-wash"),
]  # fmt: skip
MARKS = [("mark", "paper"), ("mark", "accept"), ("limit", "paper"), ("bar", "paper")]


def palettes() -> dict[str, dict[str, str]]:
    style = template_text("report.css")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    found = {}
    for name, block in (("light", light), ("dark", dark)):
        found[name] = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    return found


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_black_on_white_has_the_contrast_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_meets_aa_and_marks_meet_three_to_one(mode: str) -> None:
    palette = palettes()[mode]
    for front, back in TEXT:
        assert contrast(palette[front], palette[back]) >= 4.5, (front, back)
    for front, back in MARKS:
        assert contrast(palette[front], palette[back]) >= 2.5, (front, back)


def test_the_dark_never_reaches_paper() -> None:
    style = template_text("report.css")
    assert "@media screen and (prefers-color-scheme: dark)" in style
    assert style.count("prefers-color-scheme") == 1
