from __future__ import annotations

from pathlib import Path

import blake3
import pytest

from auditor.errors import InputError
from auditor.provenance import file_digest, file_manifest


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5_000])
def test_a_file_has_the_digest_of_its_bytes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    assert file_digest(path) == "blake3:" + blake3.blake3(content).hexdigest()


def test_the_digest_of_nothing_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert file_digest(tmp_path / "f") == (
        "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    )


def test_a_manifest_names_files_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    (entry,) = file_manifest([tmp_path / "a.csv"])
    assert (entry["name"], entry["bytes"]) == ("a.csv", 4)
    assert str(tmp_path) not in str(entry)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: the file cannot be read: No such file"):
        file_digest(tmp_path / "gone")
