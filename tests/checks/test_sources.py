from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.checks import CHECKS, Evidence, NotMeasurable
from auditor.checks.provenance.sources import Sources
from auditor.errors import InputError
from auditor.evidence import Finding, Stage
from auditor.provenance.sources import Source

TABLES = {"train": pd.DataFrame({"sex": ["F", "M"], "y": [1, 0]})}

OPEN: dict[str, Any] = {
    "name": "open", "licence": "CC-BY-4.0", "origin": "https://example.org", "rows": 900,
    "collected": {"from": 2020}, "personal": False, "synthetic": False,
    "opt_outs": {"honoured": True},
}  # fmt: skip
CLOSED: dict[str, Any] = {
    "name": "closed", "licence": "CC-BY-NC-4.0", "rows": 100, "personal": True,
    "consent": ["contract"], "special_categories": ["health"], "synthetic": False,
    "opt_outs": {"honoured": False},
}  # fmt: skip
SILENT: dict[str, Any] = {"name": "silent", "rows": 1_000}


@pytest.fixture
def measured(run: Any, subject: Any) -> Any:
    def measure(*sources: dict[str, Any], **fields: Any) -> list[Finding]:
        made = subject(Stage.DATA, tables=TABLES, sensitive=("sex",))
        declared = tuple(Source.from_json(fields) for fields in sources)
        return run(Sources(**fields), replace(made, sources=declared))

    return measure


def test_shares_worked_by_hand(measured: Any, pick: Any) -> None:
    findings = measured(OPEN, CLOSED, uses=("commercial",))
    found = {f.metric: (f.value, f.n, f.method) for f in findings if f.metric.endswith("[rows]")}
    assert found == {
        "compatible_licence_rate[rows]": (0.9, 1_000, "census"),
        "incompatible_licence_rate[rows]": (0.1, 1_000, "census"),
        "known_licence_rate[rows]": (1.0, 1_000, "census"),
        "known_origin_rate[rows]": (0.9, 1_000, "census"),
        "known_collection_dates_rate[rows]": (0.9, 1_000, "census"),
        "legal_basis_rate[rows]": (0.9, 1_000, "census"),
        "synthetic_rate[rows]": (0.0, 1_000, "census"),
        "opt_outs_honoured_rate[rows]": (0.9, 1_000, "census"),
        "declared_personal_data_rate[rows]": (0.1, 1_000, "census"),
        "declared_special_category_rate[rows]": (0.1, 1_000, "census"),
        "documented_source_rate[rows]": (0.9, 1_000, "census"),
    }
    assert pick(findings, "compatible_licence_rate[sources]").value == 0.5
    assert not [f for f in findings if f.metric.endswith("[tokens]")]


def test_unknown_is_not_evaluated_and_names_its_sources(measured: Any, pick: Any) -> None:
    findings = measured(OPEN, SILENT, licences=("permissive",))
    for metric in ("compatible_licence_rate", "incompatible_licence_rate", "legal_basis_rate",
                   "synthetic_rate", "opt_outs_honoured_rate",
                   "declared_personal_data_rate"):  # fmt: skip
        finding = pick(findings, f"{metric}[rows]")
        assert finding.status == "not-evaluated"
        assert finding.reason == "unknown for 1,000 of 1,900 rows: silent"
    assert pick(findings, "known_licence_rate[rows]").value == 900 / 1_900


def test_what_is_known_to_be_incompatible_is_found_beside_the_unknown(
    measured: Any, pick: Any
) -> None:
    findings = measured(OPEN, CLOSED, SILENT, uses=("commercial",))
    found = pick(findings, "incompatible_licence_rate[rows]")
    assert (found.value, found.n, found.method) == (100 / 2_000, 2_000, "census-at-least")
    assert pick(findings, "compatible_licence_rate[rows]").status == "not-evaluated"


def test_nothing_asked_of_licences_is_not_evaluated(measured: Any, pick: Any) -> None:
    findings = measured(OPEN)
    reason = pick(findings, "compatible_licence_rate[rows]").reason
    assert reason == "nothing was asked: the check names neither licences nor uses"
    assert pick(findings, "legal_basis_rate[rows]").value == 1


def test_a_source_of_unknown_size_leaves_no_share(measured: Any, pick: Any) -> None:
    endless = {k: v for k, v in OPEN.items() if k != "rows"} | {"tokens": 50}
    findings = measured(endless, CLOSED)
    assert pick(findings, "known_origin_rate[rows]").reason == (
        "the number of rows is not stated of open"
    )
    assert pick(findings, "known_origin_rate[tokens]").reason == (
        "the number of tokens is not stated of closed"
    )
    assert pick(findings, "known_origin_rate[sources]").value == 0.5
    alone = measured({"name": "alone"})
    assert pick(alone, "synthetic_rate[rows]").reason == "the number of rows is not stated of alone"


def test_no_rows_are_no_share(measured: Any, pick: Any) -> None:
    findings = measured(OPEN | {"rows": 0, "tokens": 0})
    assert pick(findings, "known_licence_rate[tokens]").reason == "no records"
    reason = pick(findings, "known_licence_rate[rows]").reason
    assert reason == "unknown for 2 of 2 rows: no declared source"  # they are in the table


def test_splits_narrow_the_sources(measured: Any, pick: Any) -> None:
    one, two = OPEN | {"used_for": ["train"]}, CLOSED | {"used_for": ["test"]}
    findings = measured(one, two, splits=("train",), uses=("commercial",))
    assert pick(findings, "compatible_licence_rate[rows]").value == 1


def test_what_is_required_is_a_field(measured: Any, pick: Any) -> None:
    findings = measured(OPEN, CLOSED, require=("licence", "special_categories"))
    assert pick(findings, "documented_source_rate[rows]").value == 1
    findings = measured(OPEN, CLOSED, require=("digest",))
    assert pick(findings, "documented_source_rate[rows]").value == 0


@pytest.mark.parametrize(
    ("sources", "fields", "reason"),
    [
        ((), {}, "no sources were declared"),
        ((SILENT,), {"splits": ("train",)}, "not stated what silent was used for"),
        ((SILENT | {"used_for": []},), {"splits": ("train",)}, "no source was used for train"),
    ],
)
def test_what_cannot_be_measured_has_its_reason(
    sources: Any, fields: Any, reason: str, subject: Any
) -> None:
    made = subject(Stage.DATA, tables=TABLES)
    declared = tuple(Source.from_json(fields) for fields in sources)
    with pytest.raises(NotMeasurable, match=reason):
        Sources(**fields).measure(replace(made, sources=declared))


def test_wrong_fields_are_refused_with_the_nearest() -> None:
    check = CHECKS.get("provenance.sources")
    with pytest.raises(InputError, match="did you mean 'non-commercial'"):
        check.build({"licences": ["non-comercial"]})
    with pytest.raises(InputError, match="did you mean 'commercial'"):
        check.build({"uses": ["comercial"]})
    with pytest.raises(InputError, match="has no field 'license'; did you mean 'licences'"):
        check.build({"license": []})


@given(
    st.lists(
        st.tuples(st.integers(0, 1_000), st.sampled_from(["MIT", "CC-BY-NC-4.0", None]),
                  st.sampled_from([True, False, None])),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_shares_are_those_of_pandas(rows: list[tuple[int, str | None, bool | None]]) -> None:
    frame = pd.DataFrame(rows, columns=["rows", "licence", "synthetic"], dtype=object)
    sources = tuple(
        Source.from_json({"name": f"s{i}", "rows": n, "licence": licence, "synthetic": synthetic})
        for i, (n, licence, synthetic) in enumerate(rows)
    )
    check = Sources(uses=("commercial",))
    counts = [check._count("rows", sources, lambda source: source.rows)]
    found = {f.metric: f for f in check.derive([Evidence("sha256:0", c) for c in counts],
                                               Stage.DATA)}  # fmt: skip
    total = frame["rows"].sum()
    known = frame.loc[frame["licence"].notna(), "rows"].sum()
    finding = found["known_licence_rate[rows]"]
    if not total:
        assert finding.reason == "no records"
        return
    assert finding.value == known / total
    incompatible = frame.loc[frame["licence"] == "CC-BY-NC-4.0", "rows"].sum()
    finding = found["incompatible_licence_rate[rows]"]
    assert finding.value == (incompatible / total if incompatible or known == total else None)
    synthetic = found["synthetic_rate[rows]"]
    unknown = frame.loc[frame["synthetic"].isna(), "rows"].sum()
    yes = frame.loc[[value is True for value in frame["synthetic"]], "rows"].sum()
    assert synthetic.value == (None if unknown else yes / total)
