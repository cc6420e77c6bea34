from __future__ import annotations

from pathlib import Path

import pytest

PICTURES = {"01-audit-predictions": 5, "02-audit-a-training-loop": 2, "04-provenance": 1}
"""How many pictures each notebook shows at least."""

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def test_there_is_a_notebook_to_execute() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(PICTURES)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_notebook_runs_from_the_first_cell_to_the_last(path: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    shown = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    assert not [o for o in shown if o.output_type == "error"]
    charts = [o["data"]["image/svg+xml"] for o in shown if "image/svg+xml" in o.get("data", {})]
    assert len(charts) >= PICTURES[path.stem]
    pages = [o["data"]["text/html"] for o in shown if "text/html" in o.get("data", {})]
    assert not any("<script" in page for page in pages), "nothing is fetched from anywhere"
    assert any("intact" in o.get("text", "") for o in shown)
