"""``auditor run``: a whole audit described by a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from auditor.cli.options import Json, Key, Out, exit_code

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", short_help="Run the audit that a file describes.")(run)


def run(
    audit: Annotated[Path, typer.Argument(help="The audit file; auditor init writes one.")],
    out: Out = None,
    sign_key: Key = None,
    seed: Annotated[int, typer.Option(help="The seed that the record states.")] = 0,
    json: Json = False,
) -> None:
    """Run the audit that a file describes: data, evaluation, gate, report.

    Example: auditor run audit.yaml --out runs/first --sign-key me.key
    """
    from auditor.cli.oneshot import finish, one_shot
    from auditor.cli.show import working
    from auditor.engine.audit_file import read_audit_file
    from auditor.provenance.sources import given_sources

    file = read_audit_file(audit)
    folder = audit.resolve().parent
    data = file.data
    given: dict[str, Any] = {
        "target": data.target, "positive": data.positive, "sensitive": data.sensitive,
        "bins": {k: list(v) for k, v in data.bins.items()}, "intersections": data.intersections,
        "record_id": data.record_id,
    }  # fmt: skip
    if data.task != "binary":
        given["task"] = data.task
    tables = {
        split: _beside(folder, path)
        for split, path in (("train", data.train), ("validation", data.validation),
                            ("test", data.test))
        if path is not None
    }  # fmt: skip
    sources = given_sources(
        _beside(folder, data.sources) if isinstance(data.sources, str) else data.sources,
        where=f"{audit}, data.sources",
    )
    policy = None if file.policy is None else _policy(folder, file.policy)
    with one_shot(
        out=out, policy=policy, key=sign_key, seed=seed,
        fields={"bias.group-metrics": data.model_dump(
            include={"reference", "intersections"}, exclude_unset=True
        )},
        system=file.system.model_dump(mode="json", exclude_defaults=True) or None,
    ) as opened:  # fmt: skip
        if "data" in file.stages and tables:
            with working("Auditing the data"):
                opened.data(
                    **tables, **given, text=data.text, entity=data.entity,
                    schema=data.schema_, sources=sources,
                    benchmarks={n: _beside(folder, p) for n, p in data.benchmarks.items()},
                    folders={n: _beside(folder, p) for n, p in data.folders.items()},
                    production=data.production and _beside(folder, data.production),
                    population=data.population and _beside(folder, data.population),
                    population_column=data.population_column, annotators=data.annotators,
                    proxies=data.proxies, features=data.features,
                )  # fmt: skip
        if "evaluation" in file.stages:
            with working("Evaluating"):
                if file.predictions is not None:
                    spec = file.predictions
                    opened.evaluate(
                        predictions=_beside(folder, spec.table), prediction=spec.prediction,
                        score=spec.score, threshold=spec.threshold, **given,
                    )  # fmt: skip
                elif file.model is not None:
                    from auditor.engine.model_files import load_model_file

                    model = load_model_file(
                        Path(_beside(folder, file.model.file)), cls=file.model.cls,
                        arguments=file.model.arguments, features=file.model.features,
                    )  # fmt: skip
                    opened.evaluate(model, tables["test"], **given)
        stage = "pre-deployment" if "pre-deployment" in file.stages else file.stages[-1]
        status = finish(opened, out=out, json=json, stage=stage)
    raise typer.Exit(exit_code(status))


def _beside(folder: Path, path: str) -> str:
    return str(folder / Path(path).expanduser())


def _policy(folder: Path, name: str) -> str:
    """A policy is a file beside the audit file, or the id of a bundled one."""
    return str(folder / name) if (folder / name).is_file() else name
