"""Adult census income, the table that ships with the package; ``ADULT.md`` tells its origin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from auditor.errors import InputError
from auditor.evidence.digest import sha256
from auditor.evidence.value import Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ADULT", "AdultSplit", "DatasetCard", "load_adult", "split_adult"]


class DatasetCard(Value):
    """What a data set is, where it is from, and under which licence it may be used."""

    name: str
    title: str
    licence: str
    source: str
    citation: str
    sha256: str
    rows: int


ADULT = DatasetCard(
    name="adult",
    title="Adult census income, complete rows",
    licence="CC-BY-4.0",
    source="https://doi.org/10.24432/C5XW20",
    citation="Becker, B. and Kohavi, R. (1996). Adult [Dataset]. UCI Machine Learning Repository.",
    sha256="sha256:cece108d99074357a1f5c22feabc9cd00fdee6a23f426f2381644bc0867fa533",
    rows=45_222,
)

_FILE = Path(__file__).resolve().parent / "adult.parquet"


class AdultSplit(NamedTuple):
    """Three tables without a record in common."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


def load_adult(*, with_id: bool = True) -> pd.DataFrame:
    """Read the embedded table: 45,222 rows in the order of the file, 15 columns.

    Numbers come as ``int64``, whatever the file packs them into, so that sums and products do not
    overflow; everything else is categorical, with all levels of the file. ``with_id`` puts a
    column ``id`` first: the row's position in the file, from 0.

    Raises :class:`InputError` where the file is not the one that this version was released with.

    >>> frame = load_adult()
    >>> rates = (frame["income"] == ">50K").groupby(frame["sex"], observed=True).mean()
    >>> print(round(rates["Female"] / rates["Male"], 4))
    0.3635
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = _read(_FILE)
    if (found := sha256(data)) != ADULT.sha256:
        raise InputError(
            f"the embedded data were changed: {found}",
            where=str(_FILE),
            valid=f"expected {ADULT.sha256}; install the package again",
        )
    frame: pd.DataFrame = pq.read_table(pa.BufferReader(data)).to_pandas()
    numbers = frame.select_dtypes("integer").columns
    frame = frame.astype(dict.fromkeys(numbers, "int64"))
    if with_id:
        frame.insert(0, "id", range(len(frame)))
    return frame


def split_adult(
    frame: pd.DataFrame, *, seed: int, test: float = 0.3, validation: float = 0.2
) -> AdultSplit:
    """Split the rows at random into train, validation and test; the seed decides, nothing else.

    ``test`` and ``validation`` are shares of all rows, rounded to whole rows; the training table
    gets the rest. Nothing is stratified: what a small group loses by chance, the audit shows.
    Every table keeps the order of ``frame`` and gets a fresh index.

    Raises :class:`InputError` for shares that leave one of the three tables without a row.
    """
    import numpy as np

    n = len(frame)
    if not (test >= 0 and validation >= 0):
        raise InputError(
            f"test={test} and validation={validation} are no shares", valid="each from 0 to 1"
        )
    n_test, n_validation = round(n * test), round(n * validation)
    if min(n_test, n_validation, n - n_test - n_validation) < 1:
        raise InputError(
            f"test={test} and validation={validation} of {n} rows leave a table empty",
            valid="shares that add up to less than 1",
        )
    order = np.random.default_rng(seed).permutation(n)
    ends = [n - n_test - n_validation, n - n_test]
    return AdultSplit(
        *(frame.iloc[np.sort(part)].reset_index(drop=True) for part in np.split(order, ends))
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the embedded data cannot be read ({error.strerror})",
            where=str(path),
            valid="install the package again",
        ) from None
