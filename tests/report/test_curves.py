"""Training curves: derived again from what the ledger binds, and only where there were looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auditor.report import make_view, render
from auditor.stats import SliceTable

from .conftest import COUNTS, StartRun

Confusion = Callable[..., SliceTable]


def at_look(confusion: Confusion, look: int) -> SliceTable:
    return confusion({k: [n * (1 + (i == 3) * look) for i, n in enumerate(v)]
                      for k, v in COUNTS.items()})  # fmt: skip


def test_each_look_gives_a_point_with_its_own_numbers(
    start_run: StartRun, confusion: Confusion
) -> None:
    run = start_run(policy=None)
    for look in (1, 2, 3):
        run.measure("bias.group-metrics", at_look(confusion, look), stage="training", look=look)
    table = make_view(run.finish()).curves
    assert (table.looks, table.drawn) == (3, 3)
    curve = next(c for c in table.curves if c.title == "Accuracy" and c.attribute == "sex")
    women = next(line for line in curve.lines if line.name == "F")
    assert [point[0] for point in women.points] == [1, 2, 3]
    right = [(880 + 180 * (1 + look)) / (1_400 + 180 * look) for look in (1, 2, 3)]
    assert [point[1] for point in women.points] == pytest.approx(right)


def test_groups_of_few_records_have_no_line_and_are_counted(
    start_run: StartRun, confusion: Confusion
) -> None:
    run = start_run(policy=None)
    for look in (1, 2):
        run.measure("bias.group-metrics", confusion(), stage="training", look=look)
    curves = make_view(run.finish()).curves.curves
    curve = next(c for c in curves if c.title == "Selection rate" and c.attribute == "race")
    assert {line.name for line in curve.lines} == {"everybody", "Black", "White"}
    assert curve.hidden == 2


def test_one_look_draws_nothing(start_run: StartRun, confusion: Confusion) -> None:
    run = start_run(policy=None)
    run.measure("bias.group-metrics", confusion(), stage="training", look=1)
    record = run.finish()
    assert make_view(record).curves.curves == ()
    assert 'id="training"' not in render(record, "html").decode()


def test_many_looks_are_drawn_evenly_and_said_to_be(
    start_run: StartRun, confusion: Confusion
) -> None:
    run = start_run(policy=None)
    for look in range(1, 46):
        run.measure("bias.group-metrics", confusion(), stage="training", look=look)
    record = run.finish()
    table = make_view(record).curves
    assert (table.looks, table.drawn) == (45, 40)
    numbers = [point[0] for point in table.curves[0].lines[0].points]
    assert (numbers[0], numbers[-1], len(numbers)) == (1, 45, 40)
    assert "45 looks" in render(record, "html").decode()


def test_looks_of_a_check_that_is_not_installed_are_left_out(
    start_run: StartRun, confusion: Confusion
) -> None:
    run = start_run(policy=None)
    for look in (1, 2):
        run.measure("bias.group-metrics", confusion(), stage="training", look=look)
        run.writer.append(
            "measurement",
            {"stage": "training", "check": {"id": "plugin.gone", "fields": {}}, "look": look,
             "statistics": []},
        )  # fmt: skip
    curves = make_view(run.finish()).curves.curves
    assert {curve.title for curve in curves} >= {"Accuracy", "Selection rate"}
