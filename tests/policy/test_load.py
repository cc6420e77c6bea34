from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.checks import CHECKS
from auditor.documents import read_document
from auditor.errors import PolicyError
from auditor.evidence import Slice, Stage, sha256
from auditor.policy import (
    CheckUse,
    Defaults,
    LoadedPolicy,
    Policy,
    Rule,
    Waiver,
    load_policy,
    parse_policy,
    parse_region,
    policy_schema,
    policy_text,
)

RULE = """
  - id: parity
    title: Parity
    metric: selection_rate_ratio
    stage: evaluation
    accept: ">= 0.8"
"""


def changed(old: str, new: str) -> str:
    assert old in RULE
    return f"rules:{RULE.replace(old, new)}"


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        pytest.param(f"rulez:{RULE}", "5:1", "unknown key 'rulez'; did you mean 'rules'?",
                     id="misspelt key"),
        pytest.param(changed("metric:", "metrics:"), "8:5",
                     "unknown key 'metrics'; did you mean 'metric'?", id="misspelt rule key"),
        pytest.param(f"defaults: {{confidense: 0.9}}\nrules:{RULE}", "5:12",
                     "did you mean 'confidence'?", id="misspelt default"),
        pytest.param(changed('">= 0.8"', '"<= 0.8"'), "10:13",
                     "'<= 0.8' refuses the ideal value of selection_rate_ratio, which is 1",
                     id="inverted bound"),
        pytest.param(changed("selection_rate_ratio", "false_positive_rate").replace(
                     '">= 0.8"', '">= 0.1"'), "10:13",
                     "refuses the ideal value of false_positive_rate, which is 0",
                     id="inverted rate"),
        pytest.param(changed("selection_rate_ratio", "mean_loss").replace("evaluation", "training"),
                     "10:13", "is inverted: lower is better for mean_loss", id="inverted loss"),
        pytest.param(changed('">= 0.8"', '"1.25 .. 0.8"'), "10:13", "write '0.8 .. 1.25'",
                     id="inverted interval"),
        pytest.param(changed('">= 0.8"', '">= 0"'), "10:13", "holds for every value",
                     id="vacuous"),
        pytest.param(changed('">= 0.8"', '"<= -1"'), "10:13", "can never hold", id="impossible"),
        pytest.param(changed('">= 0.8"', "0.8"), "10:13", "'0.8' is no accepted region",
                     id="no region"),
        pytest.param(changed("selection_rate_ratio", "selection_rat_ratio"), "8:13",
                     "unknown metric 'selection_rat_ratio'; did you mean 'selection_rate_ratio'?",
                     id="unknown metric"),
        pytest.param(changed("evaluation", "evalution"), "9:12",
                     "stage: 'evalution' is not valid; did you mean 'evaluation'?",
                     id="unknown stage"),
        pytest.param(changed("evaluation", "pre-deployment"), "9:12",
                     "is never measured at stage 'pre-deployment' (by bias.class-metrics, "
                     "bias.group-metrics, bias.soft-membership); valid: training, fine-tuning, "
                     "evaluation, monitoring", id="impossible stage"),
        pytest.param(f"rules:{RULE}    check: bias.group-metric\n", "11:12",
                     "did you mean 'bias.group-metrics'?", id="unknown check"),
        pytest.param(f"rules:{RULE}    check: provenance.overlap\n", "11:12",
                     "does not yield selection_rate_ratio; valid: bias.class-metrics, "
                     "bias.group-metrics, bias.soft-membership",
                     id="wrong check"),
        pytest.param(f"rules:{RULE}    reference: smallest\n", "11:16",
                     "'smallest' is not valid", id="unknown reference"),
        pytest.param(f"rules:{RULE}    over: [sex]\n    reference: {{race: White}}\n", "12:16",
                     "'race' is not among the attributes of this rule", id="foreign reference"),
        pytest.param(changed("selection_rate_ratio", "accuracy") + "    reference: best\n",
                     "11:16", "compares nothing, so it takes no reference", id="no comparison"),
        pytest.param(changed("selection_rate_ratio", "demographic_parity_ratio")
                     + "    reference: best\n", "11:16", "over all pairs", id="extreme"),
        pytest.param(f"rules:{RULE}    over: sex\n", "11:11",
                     "over: expected a list, found 'sex'", id="wrong type"),
        pytest.param(f"rules:{RULE}    over: [sex, 'sex**race']\n", "11:11",
                     "is no intersection", id="bad intersection"),
        pytest.param(f"rules:{RULE}    looks: many\n", "11:12",
                     "looks: expected a whole number, found 'many'", id="no number"),
        pytest.param(f"rules:{RULE}    confidence: 95\n", "11:17", "less than 1", id="percent"),
        pytest.param(f"rules:{RULE}    cites: [four fifths]\n", "11:13",
                     "a clause as catalogue:clause", id="no clause"),
        pytest.param(f"rules:{RULE}{RULE}", "6:3", "the id 'parity' stands twice",
                     id="duplicate rule"),
        pytest.param(f"rules:{RULE}    title: again\n", "11:5", "stands in line 7 already",
                     id="duplicate key"),
        pytest.param("rules: {a: b}\n", "5:8", "expected a list, found a mapping", id="no list"),
        pytest.param("rules: [just text]\n", "5:9", "expected a mapping, found 'just text'",
                     id="no rule"),
        pytest.param("rules:\n  - id: parity\n", "6:5", "'metric' is missing", id="missing key"),
        pytest.param("", "1:1", "the policy has no rules", id="no rules"),
        pytest.param(f"as_of: 2026-13-01\nrules:{RULE}", "5:8", "is no date", id="bad date"),
        pytest.param(f"as_of: 20261101\nrules:{RULE}", "5:8", "is no date", id="date as number"),
        pytest.param(
            f"rules:{RULE}waivers:\n  - {{rule: parity, owner: A, reason: B, expires: soon}}\n",
            "12:50", "'soon' is no date", id="bad expiry"),
        pytest.param(
            f"rules:{RULE}waivers:\n  - {{rule: party, owner: A, reason: B, "
            "expires: 2027-01-01}\n", "12:12", "unknown rule 'party'; did you mean 'parity'?",
            id="waiver of nothing"),
        pytest.param(
            f"rules:{RULE}waivers:\n  - {{rule: parity, reason: B, expires: 2027-01-01}}\n",
            "12:5", "'owner' is missing", id="waiver without owner"),
        pytest.param(f"checks: [bias.group-metric]\nrules:{RULE}", "5:10",
                     "unknown check 'bias.group-metric'; did you mean", id="checks unknown"),
        pytest.param(f"checks:\n  - bias.group-metrics: {{intersection: 2}}\nrules:{RULE}", "6:26",
                     "has no field 'intersection'; did you mean 'intersections'?",
                     id="checks field"),
        pytest.param(f"checks:\n  - bias.group-metrics: {{intersections: none}}\nrules:{RULE}",
                     "6:41", "intersections: expected a whole number, found", id="checks value"),
        pytest.param(f"checks: [[a, b]]\nrules:{RULE}", "5:10", "a check is its id",
                     id="checks shape"),
        pytest.param(f"extends: [nobody]\nrules:{RULE}", "5:11", "there is no policy 'nobody'",
                     id="extends nobody"),
        pytest.param(f"extends: baseline\nrules:{RULE}", "5:10", "expected a list",
                     id="extends text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_line_and_column(
    tmp_path: Path, head: str, body: str, place: str, words: str
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(head + body)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert caught.value.where == f"{path}:{place}"
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("just text", "expected a mapping, found 'just text'"),
        ("- a\n", "expected a mapping, found a list"),
        ("id: a\n", "'schema' is missing; schema: auditor/policy/v1"),
        ("schema: auditor/policy/v9\nid: a\n", "schema: 'auditor/policy/v9' is not known"),
    ],
)
def test_what_is_no_policy_at_all_is_said_so(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert words in str(caught.value)
    assert str(caught.value.where).startswith(f"{path}:1:")


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"# " + b"x" * (1 << 20))
    with pytest.raises(PolicyError, match="larger than 1 MiB"):
        load_policy(path)


@pytest.mark.parametrize("source", ["nowhere.yaml", "no/where", "baselin", "", "a\0b.yaml"])
def test_a_policy_that_is_nowhere_is_one_clear_error(source: str) -> None:
    with pytest.raises(PolicyError):
        load_policy(source)


def test_a_folder_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path)


def test_policies_that_extend_each_other_are_refused(tmp_path: Path, head: str) -> None:
    (tmp_path / "a.yaml").write_text(f"{head}extends: [./b.yaml]\nrules:{RULE}")
    (tmp_path / "b.yaml").write_text(f"{head}extends: [./a.yaml]\nrules:{RULE}")
    with pytest.raises(PolicyError, match=r"b\.yaml:5:11: policies extend each other: a → b → a"):
        load_policy(tmp_path / "a.yaml")


def test_a_child_overrides_rules_whole_adds_waivers_and_changes_single_defaults(
    tmp_path: Path, head: str
) -> None:
    (tmp_path / "parent.yaml").write_text(
        f"{head}defaults: {{confidence: 0.9, min_denominator: 50}}\n"
        f"checks: [bias.group-metrics: {{intersections: 1}}, provenance.overlap]\n"
        f"rules:{RULE}    cites: ['us-ugesp:1607.4.D']\n"
        "  - {id: second, title: S, metric: accuracy, stage: evaluation, accept: '>= 0.5'}\n"
        "waivers: [{rule: parity, owner: A, reason: B, expires: 2027-01-01}]\n"
    )
    (tmp_path / "child.yaml").write_text(
        f"{head.replace('id: test', 'id: child')}extends: [./parent.yaml]\n"
        "defaults: {confidence: 0.99}\n"
        "checks: [bias.group-metrics: {intersections: 2}]\n"
        f"rules:{RULE.replace('0.8', '0.9')}"
        "waivers: [{rule: second, owner: C, reason: D, expires: 2027-01-01}]\n"
    )
    policy = load_policy(tmp_path / "child.yaml").policy
    assert policy.id == "child"
    assert policy.extends == ()
    assert policy.defaults == Defaults(confidence=0.99, min_denominator=50)
    assert [rule.id for rule in policy.rules] == ["parity", "second"]
    assert policy.rule("parity").accept.low == 0.9
    assert policy.rule("parity").cites == ()
    assert [waiver.rule for waiver in policy.waivers] == ["parity", "second"]
    assert policy.checks == (
        CheckUse(id="bias.group-metrics", fields={"intersections": 2}),
        CheckUse(id="provenance.overlap"),
    )


def test_an_ancestor_that_is_reached_twice_counts_once(tmp_path: Path, head: str) -> None:
    (tmp_path / "root.yaml").write_text(
        f"{head}rules:{RULE}waivers: [{{rule: parity, owner: A, reason: B, expires: 2027-01-01}}]\n"
    )
    (tmp_path / "x.yaml").write_text(
        f"{head}extends: [./root.yaml]\nrules:{RULE.replace('0.8', '0.9')}"
    )
    (tmp_path / "y.yaml").write_text(f"{head}extends: [./root.yaml]\n")
    (tmp_path / "child.yaml").write_text(f"{head}extends: [./x.yaml, ./y.yaml]\n")
    policy = load_policy(tmp_path / "child.yaml").policy
    assert len(policy.waivers) == 1
    assert policy.rule("parity").accept.low == 0.9  # y does not bring the root's rule back


def test_the_resolved_text_gives_an_equal_policy_and_digest() -> None:
    for name in ("baseline", "demo-credit", "four-fifths-screen"):
        loaded = load_policy(name)
        again = parse_policy(loaded.text, "policy.yaml")
        assert again.policy == loaded.policy
        assert again.text == policy_text(loaded.policy) == loaded.text
        assert again.digest == loaded.digest == sha256(loaded.text)


def test_a_policy_of_a_run_extends_nothing(head: str) -> None:
    with pytest.raises(PolicyError, match=r"run:5:10: a resolved policy extends nothing"):
        parse_policy(f"{head}extends: [baseline]\nrules:{RULE}".encode(), "run")


def test_texts_are_kept_as_they_are_written(head: str) -> None:
    text = (
        head.replace("1.0.0", "1.10")
        + f"rules:{RULE}    slice: {{country: NO, age: 25, race: null}}\n"
        + "waivers: [{rule: parity, slice: {country: NO}, owner: 007, reason: yes, "
        + "expires: 2027-01-01}]\n"
    )
    policy = parse_policy(text.encode(), "p").policy
    assert policy.version == "1.10"
    assert policy.rules[0].slice == Slice({"country": "NO", "age": "25", "race": None})
    assert policy.waivers[0].owner == "007"
    assert policy.waivers[0].reason == "yes"
    assert parse_policy(policy_text(policy), "p").policy == policy


_texts = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters=""), min_size=1, max_size=150
).filter(lambda text: text.strip())
_fields = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150)
@given(
    title=_texts, version=_texts, values=st.dictionaries(_texts, st.none() | _texts, max_size=3),
    fields=st.dictionaries(_texts, _fields, max_size=3), low=st.floats(0.01, 1),
)  # fmt: skip
def test_any_policy_survives_its_own_text(
    title: str, version: str, values: dict[str, str | None], fields: dict[str, object], low: float
) -> None:
    rule = Rule(
        id="r", title=title, metric="selection_rate_ratio", stage=Stage.EVALUATION,
        accept=parse_region(f">= {low!r}"), slice=Slice(values) if values else None,
    )  # fmt: skip
    waiver = Waiver(
        rule="r", slice=Slice(values) if values else None, owner=title, reason=version,
        expires=date(2027, 3, 31),
    )  # fmt: skip
    policy = Policy(
        schema="auditor/policy/v1", id="p", version=version[:100], title=title, rules=(rule,),
        waivers=(waiver,), checks=(CheckUse(id="bias.group-metrics", fields=fields),),
    )  # fmt: skip
    text = policy_text(policy)
    # The fields of the check are arbitrary here, so the file is read without holding them
    # against the check.
    root = read_document(text, where="p")
    assert root.at(["title"]).text() == policy.title
    assert root.at(["version"]).text() == policy.version
    if fields:
        assert root.at(["checks", 0, "bias.group-metrics"]).native() == fields
    if values:
        assert root.at(["rules", 0, "slice"]).text() == values
        assert root.at(["waivers", 0, "slice"]).text() == values
    without = policy.model_copy(update={"checks": ()})
    loaded = parse_policy(policy_text(without), "p")
    assert loaded.policy == without
    assert policy_text(loaded.policy) == loaded.text


_word = st.sampled_from(
    ["schema: auditor/policy/v1", "id: a", "version: 1", "title: T", "rules:", "  - id: r",
     "    title: T", "    metric: auc", "    stage: evaluation", "    accept: '>= 0.5'",
     "    over: [sex]", "    accept: 3", "waivers: []", "checks: [bias.group-metrics]",
     "checks: {a: b}", "defaults: {confidence: 2}", "defaults: 3", "extends: [baseline]",
     "\t", "- x", "rules: null", "    slice: {}", "    reference: {sex: F}", "as_of: 1"]
)  # fmt: skip


@given(st.lists(_word, max_size=14).map("\n".join) | st.text(max_size=100))
def test_whatever_is_not_a_policy_is_a_policy_error_with_a_place(text: str) -> None:
    try:
        place = f"p.yaml:{len(parse_policy(text.encode(), 'p.yaml').policy.rules)}:1"
    except PolicyError as error:
        place = str(error.where)
    assert re.fullmatch(r"p\.yaml:[1-9]\d*:[1-9]\d*", place)


def test_titles_may_be_left_out() -> None:
    rule = "{id: r, metric: accuracy, stage: evaluation, accept: '>= 0.5'}"
    text = f"schema: auditor/policy/v1\nid: a\nversion: 1.0.0\nrules: [{rule}]\n"
    loaded = parse_policy(text.encode(), "p")
    assert loaded.policy.title is None
    assert b"title" not in policy_text(loaded.policy)
    assert parse_policy(policy_text(loaded.policy), "p").policy == loaded.policy


def test_a_policy_made_in_python_loads_like_a_file(
    policy: Callable[..., LoadedPolicy], tmp_path: Path
) -> None:
    loaded = load_policy(policy().policy)
    path = tmp_path / "p.yaml"
    path.write_bytes(loaded.text)
    assert load_policy(path).digest == loaded.digest


def test_a_check_that_failed_to_load_does_not_stop_the_reading(
    monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    monkeypatch.setitem(CHECKS.broken, "acme.check", "ImportError: no module")
    text = f"{head}checks: [acme.check: {{level: 3}}]\nrules:{RULE}    check: acme.check\n"
    loaded = parse_policy(text.encode(), "p")
    assert loaded.policy.checks[0].fields == {"level": 3}


def test_a_bundled_policy_is_found_by_its_id_from_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, head: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "child.yaml").write_text(f"{head}extends: [baseline]\n")
    assert load_policy("baseline").policy.id == "baseline"
    assert load_policy("child.yaml").policy.rules == load_policy("baseline").policy.rules


def test_the_schema_for_editors_names_every_key_and_refuses_others() -> None:
    schema = policy_schema()
    assert schema["properties"]["schema"]["const"] == "auditor/policy/v1"
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Rule"]["additionalProperties"] is False
    assert set(schema["$defs"]["Rule"]["properties"]) == set(Rule.model_fields)
    assert set(schema["properties"]) == {
        "schema", "id", "version", "title", "as_of", "extends", "defaults", "checks", "rules",
        "waivers",
    }  # fmt: skip


def test_the_text_is_declarations(runs: SimpleNamespace) -> None:
    document = yaml.safe_load(load_policy("demo-credit").text)
    assert document["as_of"] == date(2026, 11, 1)
    assert document["checks"] == [
        {"bias.group-metrics": {"sensitive": ["sex", "race"], "intersections": 2}}
    ]
