from __future__ import annotations

import functools
import json
import types
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from auditor.evidence import canonical_json, sha256
from auditor.provenance.code import AST_METHOD, code_of
from auditor.provenance.lineage import Derivation, Lineage, lineage_of
from auditor.provenance.preparation import Preparation, preparation

FRAME = pd.DataFrame({"sex": ["F", "F", "M", None, "M"], "age": [20, None, 30, 40, 50]})


def digest(table: Any) -> str:
    text = table.to_csv() if hasattr(table, "to_csv") else str(table.to_pydict())
    return sha256(text.encode())


class Recorded(list[dict[str, Any]]):
    def step(self, position: int = -1) -> Derivation:
        return Derivation.from_json(json.loads(canonical_json(self[position])))


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def drop_missing(frame: pd.DataFrame, *, column: str = "age") -> pd.DataFrame:
    return frame.dropna(subset=[column])


def observed(function: Any, recorded: Recorded, **options: Any) -> Preparation[Any, Any]:
    return preparation(function, record=recorded.append, digest=digest, **options)


def test_a_preparation_is_recorded_and_otherwise_what_it_was(recorded: Recorded) -> None:
    results: list[pd.DataFrame] = []

    def keep(frame: pd.DataFrame, *, column: str = "age") -> pd.DataFrame:
        results.append(drop_missing(frame, column=column).assign(old=True))
        return results[0]

    assert observed(keep, recorded, groups=("sex",))(FRAME) is results[0]
    step = recorded.step()
    assert step.how.name == "keep"
    assert step.how.parameters == {"column": "age"}
    assert (step.rows_before, step.rows_after) == (5, 4)
    assert (step.how.columns_added, step.how.columns_removed) == (("old",), ())
    assert [(g.value, g.before, g.after) for g in step.how.groups["sex"]] == [
        ("F", 2, 1), ("M", 2, 2), (None, 1, 1)
    ]  # fmt: skip
    assert step.inputs[0].id == digest(FRAME)
    assert step.outputs[0].id == digest(results[0])


def test_dropped_rows_by_group_are_those_of_pandas(recorded: Recorded, adult: pd.DataFrame) -> None:
    young = observed(lambda frame: frame[frame["age"] < 40], recorded, groups=("sex", "race"))
    result = young(adult)
    for column in ("sex", "race"):
        before, after = adult[column].value_counts(), result[column].value_counts()
        counted = recorded.step().how.groups[column]
        assert {g.value: (g.before, g.after) for g in counted} == {
            value: (before[value], after.get(value, 0)) for value in before.index
        }


def test_a_decorator_keeps_name_and_docstring(recorded: Recorded) -> None:
    @preparation(record=recorded.append, digest=digest, name="halves")
    def halve(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Split in two."""
        left = frame.sample(frac=0.5, random_state=seed)
        return left, frame.drop(left.index)

    assert (halve.__name__, halve.__doc__) == ("halve", "Split in two.")
    left, right = halve(FRAME, 3)
    step = recorded.step()
    assert (step.how.name, step.how.kind, step.how.seed) == ("halves", "split", 3)
    assert [data.rows for data in step.outputs] == [len(left), len(right)]
    assert [data.name for data in step.outputs] == ["halves[0]", "halves[1]"]


def test_what_a_function_raises_passes_through_and_is_recorded(recorded: Recorded) -> None:
    def fail(frame: pd.DataFrame) -> pd.DataFrame:
        raise KeyError("a value of the data")

    with pytest.raises(KeyError, match="a value of the data"):
        observed(fail, recorded)(FRAME)
    step = recorded.step()
    assert step.how.error == "KeyError"
    assert step.outputs == ()
    assert step.inputs[0].rows == 5
    assert "a value of the data" not in json.dumps(recorded)


def test_wrong_arguments_are_the_functions_own_error(recorded: Recorded) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colum'"):
        observed(drop_missing, recorded)(FRAME, colum="age")
    assert recorded.step().how.error == "TypeError"


def test_a_table_changed_in_place_is_identified_as_it_was(recorded: Recorded) -> None:
    frame = FRAME.copy()

    def add(frame: pd.DataFrame) -> pd.DataFrame:
        frame["new"] = 1
        return frame

    assert observed(add, recorded)(frame) is frame
    step = recorded.step()
    assert step.inputs[0].id == digest(FRAME)
    assert step.outputs[0].id == digest(frame) != digest(FRAME)


def test_an_error_of_the_recording_breaks_nothing(recorded: Recorded) -> None:
    def broken(table: Any) -> str:
        raise RuntimeError

    made = preparation(drop_missing, record=recorded.append, digest=broken)(FRAME)
    pd.testing.assert_frame_equal(made, drop_missing(FRAME))
    assert recorded.step().how.error == "not recorded: RuntimeError"


def test_steps_make_a_lineage(recorded: Recorded) -> None:
    clean = observed(drop_missing, recorded)(FRAME)
    observed(lambda frame: frame.head(2), recorded, name="head")(clean)
    observed(drop_missing, recorded)(clean)
    lineage, problems = lineage_of(recorded)
    assert problems == ()
    assert [data.name for data in lineage.sources] == ["frame"]
    assert [data.rows for data in lineage.ancestors(recorded.step(1).outputs[0].id)] == [5, 4]
    assert isinstance(lineage, Lineage)


def test_polars_and_arrow_tables_are_tables(recorded: Recorded) -> None:
    arrow = pa.table({"sex": ["F", None], "age": [1, 2]})
    observed(lambda table: table.slice(0, 1), recorded, groups=("sex",))(arrow)
    assert [(g.value, g.before, g.after) for g in recorded.step().how.groups["sex"]] == [
        ("F", 1, 1), (None, 1, 0)
    ]  # fmt: skip
    frame = pl.DataFrame({"sex": ["F", None], "age": [1, 2]})
    preparation(
        lambda table: {"a": table.head(1), "b": table.tail(1)}, record=recorded.append,
        digest=lambda table: sha256(repr(table.rows()).encode()), groups=("sex",),
    )(frame)  # fmt: skip
    step = recorded.step()
    assert [data.name for data in step.outputs] == ["a", "b"]
    assert step.how.kind == "split"
    assert [(g.value, g.before, g.after) for g in step.how.groups["sex"]] == [
        ("F", 1, 1), (None, 1, 1)
    ]  # fmt: skip


def test_of_arguments_that_may_be_ids_only_the_length_is_kept(recorded: Recorded) -> None:
    people = [f"person-{i}" for i in range(500)]

    def without(frame: pd.DataFrame, ids: list[str], secret: str, frames: Any) -> pd.DataFrame:
        return frame

    observed(without, recorded)(FRAME, people, "x" * 300, object())
    parameters = recorded.step().how.parameters
    assert parameters["ids"] == {"type": "list", "length": 500}
    assert parameters["secret"] == {"length": 300}
    assert parameters["frames"] == {"type": "object"}
    assert "person-1" not in json.dumps(recorded)


def _source(body: str, *, name: str = "f") -> Any:
    """Make a function whose source can be read, as a notebook's cell can."""
    import linecache

    file = f"<cell {abs(hash(body))}>"
    linecache.cache[file] = (len(body), None, body.splitlines(keepends=True), file)
    space: dict[str, Any] = {"staticmethod": staticmethod}
    exec(compile(body, file, "exec"), space)
    return space[name]


PLAIN = "def f(x, n=1):\n    y = x + n\n    return y\n"


def test_comments_and_white_space_do_not_change_the_code() -> None:
    digest = code_of(_source(PLAIN)).digest
    assert digest is not None
    for same in (
        "def f(x,n = 1):  # why\n\n    '''What.'''\n    y = (x +\n         n)\n\n    return y\n",
        "def f( x, n=1 ):\n  y = x + n  # sum\n  return (y)\n",
    ):
        assert code_of(_source(same)).digest == digest
    for other in (
        "def f(x, n=2):\n    y = x + n\n    return y\n",
        "def f(x, n=1):\n    y = x - n\n    return y\n",
        "def f(x, n=1):\n    y = x + n\n    return x\n",
        "def f(x, n=1):\n    y = x + 1\n    return y\n",
    ):
        assert code_of(_source(other)).digest != digest


def test_a_digest_of_code_is_the_same_in_every_process() -> None:
    assert code_of(_source(PLAIN)).digest == (
        "sha256:70bc764e14ada6edc92d51f11b02d223d0c2fda012425ccd653eb91bc2840d4b"
    )
    assert code_of(_source(PLAIN)).method == AST_METHOD


def test_what_a_function_captures_is_noted() -> None:
    def make(threshold: float, inner: Any) -> Any:
        def cut(frame: Any, n: int = 3) -> Any:
            return inner(frame[frame > threshold], n)

        return cut

    one, two = (code_of(make(value, len)) for value in (0.5, 0.6))
    assert one.digest == two.digest
    assert one.captured["closure threshold"] == sha256(b"0.5")
    assert two.captured["closure threshold"] == sha256(b"0.6")
    assert one.captured["default n"] == sha256(b"3")
    assert one.captured["closure inner"].startswith("a builtin_function")
    assert code_of(make(1, drop_missing)).captured["closure inner"] == code_of(drop_missing).digest
    part = code_of(functools.partial(drop_missing, column="age"))
    assert part.digest == code_of(drop_missing).digest
    assert part.captured["argument column"] == sha256(b'"age"')  # a word of the function's own
    part = code_of(functools.partial(drop_missing, column="Ada"))
    assert part.captured["argument column"] == "a str"


CALLS = """
import textwrap
LIMIT = 3

def f(x, n=1):
    inner = lambda y: clean(y)
    return inner(textwrap.dedent(x))

def clean(x):
    return other.last(x)

def unrelated(x):
    return x
"""


def _calling(clean: str = "other.last(x)", last: str = "x") -> Any:
    """Make a function that reaches one of its module, and through it one of another."""
    module = types.ModuleType("other")
    module.last = _source(f"def last(x):\n    return {last}\n", name="last")  # type: ignore[attr-defined]
    function = _source(CALLS.replace("other.last(x)", clean))
    function.__globals__["other"] = module
    return function


def test_the_code_of_a_step_is_that_of_the_functions_it_reaches() -> None:
    code = code_of(_calling())
    assert code.method == "sha256-python-ast-reached"
    assert sorted(code.captured) == ["calls clean", "calls other.last", "default n"]
    assert code_of(_calling()) == code
    for changed, name in (
        (_calling(last="x + 1"), "calls other.last"),
        (_calling(clean="other.last(x) + 1"), "calls clean"),
    ):
        other = code_of(changed)
        assert other.digest != code.digest
        differ = {k for k in code.captured if other.captured[k] != code.captured[k]}
        assert differ == {name}
    alone = code_of(_calling(clean="x"))
    assert "calls other.last" not in alone.captured


def test_functions_that_reach_each_other_and_many_functions_have_a_digest() -> None:
    body = "def f(x):\n    return g(x) + f(x)\n\ndef g(x):\n    return f(x)\n"
    code = code_of(_source(body))
    assert list(code.captured) == ["calls g"]
    assert code_of(_source(body)) == code
    assert code_of(_source(body.replace("g(x) +", "g(x) -"))).digest != code.digest
    many = "def f(x):\n    return x" + "".join(f" + g{i:03}(x)" for i in range(300)) + "\n\n"
    many += "\n".join(f"def g{i:03}(x):\n    return {i}\n" for i in range(300))
    captured = code_of(_source(many)).captured
    assert len(captured) == 199  # with itself 200
    assert "calls g198" in captured


def test_installed_packages_and_decorators_are_no_part_of_the_code() -> None:
    body = "def f(x):\n    return pd.concat([x]) if isinstance(x, str) else loads(x)\n"
    function = _source(body)
    function.__globals__.update(pd=pd, loads=json.loads)
    assert code_of(function).method == AST_METHOD
    cached = _source("def f(x):\n    return help(x)\n")
    cached.__globals__["help"] = functools.lru_cache(_source(PLAIN))
    assert list(code_of(cached).captured) == ["calls help"]
    assert code_of(cached).captured["calls help"] == code_of(_source(PLAIN)).digest


def test_lambdas_builtins_and_objects_have_what_code_there_is() -> None:
    one, two = code_of(lambda x: x + 1), code_of(lambda x: x + 2)
    assert one.method.startswith("sha256-bytecode-python-3.")
    assert one.digest != two.digest
    assert code_of(len).digest is None
    assert code_of(len).method == "no-python-code"

    class Clean:
        def __call__(self, frame: Any) -> Any:
            return frame

        def method(self, frame: Any) -> Any:
            return frame

    assert code_of(Clean()).method == AST_METHOD
    assert code_of(Clean().method).digest == code_of(Clean.method).digest


def test_methods_are_prepared_as_functions_are(recorded: Recorded) -> None:
    class Pipeline:
        @preparation(record=recorded.append, digest=digest)
        def clean(self, frame: pd.DataFrame) -> pd.DataFrame:
            return frame.dropna()

    assert len(Pipeline().clean(FRAME)) == 3
    assert list(recorded.step().how.parameters) == ["self"]
    assert recorded.step().rows_after == 3
