"""``audit.yaml``: a whole audit described by a file, with lines and columns in its errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from auditor.documents import Node, read_document
from auditor.engine.arguments import label_of
from auditor.errors import InputError, PolicyError, nearest
from auditor.evidence import Stage, Value
from auditor.evidence.value import explain_complaints

__all__ = [
    "AUDIT_SCHEMA",
    "AuditFile",
    "DataSpec",
    "ModelSpec",
    "PredictionsSpec",
    "read_audit_file",
]

AUDIT_SCHEMA = "auditor/audit/v1"


class RiskSpec(Value):
    """A risk of the register, linked to the rules that speak of it."""

    id: str
    text: str
    rules: tuple[str, ...] = ()


class SystemSpec(Value):
    """What only people know of the audited system."""

    name: str | None = None
    provider: str | None = None
    purpose: str | None = None
    users: str | None = None
    misuse: str | None = None
    oversight: str | None = None
    contacts: str | None = None
    risks: tuple[RiskSpec, ...] = ()


class DataSpec(Value):
    """The tables and what their columns are for; paths are relative to the audit file.

    The keys are the arguments of :meth:`auditor.Audit.data`. ``sources`` names a file, or lists
    the sources themselves; ``schema`` is a text or a mapping from columns to types.
    """

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    target: str | None = None
    positive: Annotated[str | None, BeforeValidator(label_of)] = None
    sensitive: Annotated[tuple[str, ...], Field(min_length=1)]
    record_id: str | None = None
    task: Literal["binary", "multiclass", "regression"] = "binary"
    schema_: Annotated[str | dict[str, str] | None, Field(alias="schema")] = None
    sources: str | tuple[dict[str, Any], ...] = ()
    text: tuple[str, ...] = ()
    entity: str | None = None
    benchmarks: dict[str, str] = Field(default_factory=dict)
    folders: dict[str, str] = Field(default_factory=dict)
    production: str | None = None
    population: str | None = None
    population_column: str | None = None
    annotators: tuple[str, ...] = ()
    proxies: bool = False
    features: tuple[str, ...] = ()
    bins: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    intersections: Annotated[int, Field(ge=1)] = 2
    reference: Literal["largest", "best", "rest"] | dict[str, str] = "largest"

    @model_validator(mode="after")
    def _looked_at(self) -> DataSpec:
        if self.features and not self.proxies:
            raise ValueError("features without proxies: nothing would look at them")
        if self.population_column is not None and self.population is None:
            raise ValueError("population_column without population: there is no table to read")
        return self


class PredictionsSpec(Value):
    """A table with predictions beside targets and sensitive attributes."""

    table: str
    prediction: str | None = None
    score: str | None = None
    threshold: float | None = None


class ModelSpec(Value):
    """A model file that is read without unpickling, to be run on ``data.test``.

    skops files hold scikit-learn estimators. safetensors needs the importable class, and its
    arguments, that takes the numeric ``features``; ONNX takes them as its one input.
    """

    file: str
    cls: Annotated[str | None, Field(alias="class")] = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    features: tuple[str, ...] = ()


class AuditFile(Value):
    """The content of an audit file."""

    schema_: Annotated[Literal["auditor/audit/v1"], Field(alias="schema")]
    system: SystemSpec = SystemSpec()
    policy: str | None = None
    data: DataSpec
    predictions: PredictionsSpec | None = None
    model: ModelSpec | None = None
    stages: Annotated[
        tuple[Literal["data", "evaluation", "pre-deployment"], ...], Field(min_length=1)
    ] = ("data", "evaluation", "pre-deployment")

    @model_validator(mode="after")
    def _measurable(self) -> AuditFile:
        if self.predictions is not None and self.model is not None:
            raise ValueError("both predictions and a model are given; give one of them")
        if "evaluation" in self.stages and self.predictions is None and self.model is None:
            raise ValueError("the stage evaluation needs predictions or a model")
        data = self.data
        if "data" in self.stages and not (data.train or data.validation or data.test):
            raise ValueError("the stage data needs data.train, data.validation or data.test")
        if self.model is not None and self.data.test is None:
            raise ValueError("a model needs data.test to be run on")
        return self


_MODELS: Mapping[tuple[str | int, ...], type[BaseModel]] = {
    (): AuditFile,
    ("system",): SystemSpec,
    ("data",): DataSpec,
    ("predictions",): PredictionsSpec,
    ("model",): ModelSpec,
}


def read_audit_file(path: Path) -> AuditFile:
    """Read an audit file; raises :class:`InputError` with ``file:line:column``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the file cannot be read: {error.strerror}", where=str(path),
            valid="an audit file; auditor init writes one",
        ) from None  # fmt: skip
    root = read_document(data, where=str(path))
    if not isinstance(root.value, dict) or "schema" not in root.value:
        raise PolicyError("not an audit file", where=f"{path}:1:1", valid=f"schema: {AUDIT_SCHEMA}")
    try:
        return AuditFile.model_validate(root.native())
    except ValidationError as error:
        raise _complaint(error, root, str(path)) from None


def _complaint(error: ValidationError, root: Node, where: str) -> PolicyError:
    errors = error.errors(include_url=False)
    # A misspelt key also leaves the right one missing: the misspelling is what helps.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    location = tuple(first["loc"])
    node: Any = root.at(location)
    valid = None
    place, what = explain_complaints([first, *errors])
    if first["type"] == "extra_forbidden":
        key = str(location[-1])
        node = root.at(location[:-1]).key(key) or node
        model = _MODELS.get(location[:-1])
        valid = None if model is None else nearest(key, _names(model))
    elif place:
        what = f"{place}: {what}"
    if location[:1] == ("stages",) and first["type"] == "literal_error":
        valid = "other stages are audited from the training script, with Audit.attach"
    return PolicyError(what, where=f"{where}:{node.line}:{node.column}", valid=valid)


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def stages_of(file: AuditFile) -> tuple[Stage, ...]:
    """Return the stages in their order."""
    return tuple(sorted((Stage(name) for name in file.stages), key=lambda stage: stage.order))
