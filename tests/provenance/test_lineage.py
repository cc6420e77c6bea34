from __future__ import annotations

import json
from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.provenance.lineage import (
    Code,
    Data,
    Derivation,
    GroupRows,
    How,
    Lineage,
    lineage_of,
)

RAW = Data(id="source:raw", name="raw", kind="source", rows=100)
EXTRA = Data(id="source:extra", name="extra", kind="source")
CLEAN = Data(id="blake3:01", name="clean", rows=90)
TRAIN = Data(id="blake3:02", name="train", rows=60)
TEST = Data(id="blake3:03", name="test", rows=30)


def built() -> Lineage:
    return (
        Lineage(sources=(RAW, EXTRA))
        .derive(
            CLEAN, [RAW, "source:extra"], How(name="join and clean", parameters={"how": "left"})
        )
        .derive((TRAIN, TEST), [CLEAN], How(name="split", kind="split", seed=7))
    )


def test_data_go_back_to_their_sources() -> None:
    lineage = built()
    assert lineage.ancestors(TEST.id) == (RAW, EXTRA, CLEAN)
    assert lineage.origins(TEST.id) == (RAW, EXTRA)
    assert lineage.origins(RAW.id) == (RAW,)
    assert lineage.ancestors(RAW.id) == ()
    split = lineage.derivations[1]
    assert (split.rows_before, split.rows_after) == (90, 90)
    assert lineage.derivations[0].rows_before is None


def test_deriving_changes_nothing_that_is_there() -> None:
    before = Lineage(sources=(RAW,))
    after = before.derive(CLEAN, [RAW], How(name="clean"))
    assert before.derivations == ()
    assert len(after.derivations) == 1


def test_the_same_step_again_is_one_step() -> None:
    lineage = built()
    assert lineage.derive(CLEAN, [RAW, EXTRA], lineage.derivations[0].how) == lineage


def test_a_step_that_changes_nothing_makes_no_edge() -> None:
    lineage = built().derive(CLEAN, [CLEAN], How(name="drop duplicates"))
    assert lineage.maker == built().maker
    assert len(lineage.derivations) == 3


def test_a_cycle_is_refused() -> None:
    with pytest.raises(InputError, match="a cycle: step 'undo' makes the data 'raw'"):
        built().derive(RAW, [CLEAN], How(name="undo"))
    with pytest.raises(InputError, match="a cycle: step 'merge' makes the data 'clean'"):
        built().derive(CLEAN, [TRAIN, TEST], How(name="merge"))


def test_unknown_inputs_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown data 'blake3:0'; did you mean 'blake3:0"):
        built().derive(Data(id="x", name="x"), ["blake3:0"], How(name="f"))
    stranger = Data(id="sha256:77", name="stranger")
    with pytest.raises(InputError, match="'stranger' are neither a source nor the output"):
        built().derive(Data(id="x", name="x"), [stranger], How(name="f"))


def test_data_are_made_once() -> None:
    with pytest.raises(InputError, match="makes the data 'train' again: step 'split' made them"):
        built().derive(TRAIN, [EXTRA], How(name="again"))
    with pytest.raises(InputError, match="declared twice"):
        Lineage.from_json(
            {"schema": "auditor/lineage/v1", "sources": [{"id": "a", "name": "a"}] * 2}
        )
    with pytest.raises(InputError, match="names the same data twice"):
        built().derive((TRAIN, TRAIN), [EXTRA], How(name="twice"))


def test_recorded_steps_may_begin_with_data_that_nobody_declared() -> None:
    step = Derivation(inputs=(RAW,), outputs=(CLEAN,), how=How(name="clean"))
    with pytest.raises(InputError, match="neither a source"):
        Lineage().add(step)
    lineage = Lineage().add(step, undeclared="begin")
    assert lineage.origins(CLEAN.id) == (RAW,)


def test_what_is_written_reads_back_as_the_same() -> None:
    how = How(
        name="f", code=Code(digest="sha256:" + "0" * 64, method="m", captured={"default n": "x"}),
        groups={"sex": (GroupRows(value=None, before=2, after=1),)}, columns_added=("a",),
    )  # fmt: skip
    lineage = built().derive(Data(id="z", name="z"), [TRAIN], how)
    again = Lineage.from_json(json.loads(json.dumps(lineage.to_json())), where="lineage.json")
    assert again == lineage
    assert again.data == lineage.data


def test_steps_of_a_record_are_read_and_what_does_not_fit_is_named() -> None:
    steps = [step.to_json() for step in built().derivations]
    lineage, problems = lineage_of([*steps, steps[0], {"how": {}}, None, {
        "inputs": [EXTRA.to_json()], "outputs": [TRAIN.to_json()], "how": {"name": "again"}},
    ])  # fmt: skip
    assert lineage == built()
    assert len(problems) == 3
    assert "derivation 4" in problems[0]
    assert "step 'again' makes the data 'train' again" in problems[2]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "not a lineage"),
        ({"schema": "auditor/lineage/v2"}, "not a lineage"),
        ({"schema": "auditor/lineage/v1", "nodes": []}, "nodes"),
        ({"schema": "auditor/lineage/v1", "sources": [{"id": "a"}]}, "name"),
        ({"schema": "auditor/lineage/v1", "sources": [{"id": "a", "name": "a", "rows": -1}]},
         "rows"),
        ({"schema": "auditor/lineage/v1",
          "derivations": [{"how": {"name": "f", "parameters": {"x": 2**60}}}]}, "canonical"),
        ({"schema": "auditor/lineage/v1",
          "derivations": [{"how": {"name": "f", "parameters": {"x": "y" * 70_000}}}]}, "bytes"),
        ({"schema": "auditor/lineage/v1",
          "derivations": [{"inputs": [{"id": "a", "name": "a"}], "how": {"name": "f"}}]},
         "neither a source"),
    ],
)  # fmt: skip
def test_a_lineage_that_cannot_be_used_says_why(document: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Lineage.from_json(document, where="lineage.json")


KEYS = st.sampled_from(["schema", "sources", "derivations", "id", "name", "kind", "rows", "inputs",
                        "outputs", "how", "parameters", "groups", "value", "seed",
                        "code"])  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(KEYS, ANYTHING, max_size=4), st.lists(ANYTHING, max_size=4))
def test_any_json_is_a_lineage_or_refused(document: Any, bodies: Any) -> None:
    try:
        Lineage.from_json(document | {"schema": "auditor/lineage/v1"}, where="f")
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 -- either way is right
    lineage, problems = lineage_of([document, *bodies])
    assert len(lineage.derivations) + len(problems) <= 1 + len(bodies)


def test_deep_and_wide_graphs_are_read_without_recursion() -> None:
    chain = [
        {"inputs": [{"id": f"d{i}", "name": "d"}], "outputs": [{"id": f"d{i + 1}", "name": "d"}],
         "how": {"name": "f"}}
        for i in range(5_000)
    ]  # fmt: skip
    lineage, problems = lineage_of(chain)
    assert problems == ()
    assert len(lineage.ancestors("d5000")) == 5_000
    nested: Any = "x"
    for _ in range(100_000):
        nested = [nested]
    _, problems = lineage_of([{"how": {"name": "f", "parameters": {"p": nested}}}])
    assert len(problems) == 1


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 12), min_size=1, max_size=3), st.integers(0, 12)),
             max_size=14)
)  # fmt: skip
def test_ancestors_are_those_of_networkx(edges: list[tuple[list[int], int]]) -> None:
    """Whatever steps are added, what is accepted is acyclic, and ancestors are reachability."""
    nodes = [Data(id=str(i), name=str(i)) for i in range(13)]
    lineage, graph = Lineage(sources=tuple(nodes[:4])), nx.DiGraph()
    graph.add_nodes_from(str(i) for i in range(4))
    for position, (inputs, output) in enumerate(edges):
        before = [nodes[i] for i in dict.fromkeys(inputs)]
        try:
            lineage = lineage.derive(nodes[output], before, How(name=str(position)))
        except InputError:
            continue
        graph.add_edges_from((d.id, str(output)) for d in before if d.id != str(output)
                             and nodes[output] not in before)  # fmt: skip
    assert nx.is_directed_acyclic_graph(graph)
    for identifier in lineage.data:
        found = {data.id for data in lineage.ancestors(identifier)}
        assert found == nx.ancestors(graph, identifier)
