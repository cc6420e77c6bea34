from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.evidence import Slice, Stage
from auditor.evidence.value import Value

values = st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3), max_size=3)


class Holder(Value):
    where: Slice


@given(values)
def test_the_order_of_attributes_does_not_matter(given: dict[str, str | None]) -> None:
    one, other = Slice(given), Slice(dict(reversed(given.items())))
    assert one == other == given
    assert hash(one) == hash(other)
    assert one.attributes == tuple(sorted(given))


@given(values)
def test_a_slice_comes_back_from_json_with_its_missing_values(given: dict[str, str | None]) -> None:
    holder = Holder(where=Slice(given))
    assert Holder.model_validate_json(holder.model_dump_json()) == holder
    assert Holder.from_json({"where": given}).where == given


def test_a_slice_is_copied_and_pickled_as_what_it_is() -> None:
    where = Slice({"sex": "F", "race": None})
    assert copy.deepcopy(where) == where
    assert pickle.loads(pickle.dumps(where)) == where


def test_a_missing_value_is_unknown_and_everybody_is_known() -> None:
    assert Slice().known
    assert str(Slice()) == "all"
    assert not Slice({"race": None}).known
    assert Slice({"race": "None"}).known
    assert Slice({"race": None}) != Slice({"race": "None"})


@pytest.mark.parametrize("bad", [{"sex": 1}, ["sex"], "sex=F", {"sex": ["F"]}])
def test_other_values_are_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        Holder.model_validate({"where": bad})


def test_stages_come_in_the_order_of_a_models_life() -> None:
    assert [stage.order for stage in Stage] == list(range(8))
    assert Stage.DATA.order < Stage.EVALUATION.order < Stage.PRE_DEPLOYMENT.order
    assert str(Stage.PRE_DEPLOYMENT) == "pre-deployment"
