from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import InputError
from auditor.ledger.tree import tree_root
from auditor.provenance import folders
from auditor.provenance.file_digests import file_digest
from auditor.provenance.folders import FileEntry, SuffixCount, folder_manifest

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6
).filter(lambda name: name not in {".", ".."})


def write(top: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)
    return top


FILES = {"b.PNG": b"xy", "a/z.png": b"", "a.txt": b"abc", ".hidden": b"h", "a/b/é": b"1"}


def test_a_folder_is_bound_as_documented(tmp_path: Path) -> None:
    found = folder_manifest(write(tmp_path, FILES), method="sha256")
    names = [".hidden", "a.txt", "a/b/é", "a/z.png", "b.PNG"]
    assert [entry.name for entry in found.entries] == names
    leaves = [
        b'{"bytes":%d,"digest":"sha256:%s","name":"%s"}'
        % (len(FILES[n]), hashlib.sha256(FILES[n]).hexdigest().encode(), n.encode())
        for n in names
    ]
    assert found.root == f"sha256:{tree_root(leaves).hex()}"
    assert (found.files, found.bytes) == (5, 7)
    assert found.suffixes == {
        "": SuffixCount(2, 2), ".png": SuffixCount(2, 2), ".txt": SuffixCount(1, 3),
    }  # fmt: skip
    assert found.method == "sha256-rfc6962-files-1"


@given(st.dictionaries(NAMES, st.binary(max_size=3), max_size=4), st.data())
def test_another_name_or_content_is_another_root(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        try:
            first = folder_manifest(write(Path(one), files))
            changed = dict(files)
            if files:
                name = data.draw(st.sampled_from(sorted(files)))
                content = changed.pop(name)
                changed[data.draw(NAMES)] = data.draw(st.sampled_from([content, b"new"]))
            second = folder_manifest(write(Path(other), changed))
        except OSError:  # a name that this file system has no room for
            return
        assert (first.root == second.root) == (files == changed)


def test_equal_contents_under_other_names_are_another_folder(tmp_path: Path) -> None:
    """Which the root digest of model-signing 1.1.1 does not tell."""
    one = folder_manifest(write(tmp_path / "1", {"cat.png": b"a", "dog.png": b"b"}))
    two = folder_manifest(write(tmp_path / "2", {"cat.png": b"b", "dog.png": b"a"}))
    three = folder_manifest(write(tmp_path / "3", {"a.png": b"a", "b.png": b"b"}))
    assert len({one.root, two.root, three.root}) == 3


def test_a_folder_below_is_not_a_name_with_another_sign(tmp_path: Path) -> None:
    one = folder_manifest(write(tmp_path / "1", {"a/b": b""}))
    two = folder_manifest(write(tmp_path / "2", {"a\\b": b""}))
    assert one.root != two.root


def test_an_empty_folder_has_the_root_of_no_leaf(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = folder_manifest(tmp_path)
    assert found.root == f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert (found.files, found.entries, found.suffixes) == (0, (), {})


def test_odd_entries_are_all_named(tmp_path: Path) -> None:
    write(tmp_path, {"a/good": b""})
    (tmp_path / "link").symlink_to("a/good")
    (tmp_path / "folder-link").symlink_to("a")
    os.mkfifo(tmp_path / "a" / "pipe")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # the name of a socket is short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        with pytest.raises(InputError) as error:
            folder_manifest(tmp_path)
    for text in ("'link' (a link)", "'folder-link' (a link)", "'a/pipe' (a pipe)",
                 "'socket' (a socket)", "'\\udcff' (no UTF-8)"):  # fmt: skip
        assert text in str(error.value)


def test_many_odd_entries_are_counted(tmp_path: Path) -> None:
    for index in range(8):
        (tmp_path / f"l{index}").symlink_to("x")
    with pytest.raises(InputError, match=r"'l4' \(a link\) and 3 more; regular files"):
        folder_manifest(tmp_path)


def test_a_folder_whose_name_is_no_utf8_is_named(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe")).mkdir()
    with pytest.raises(InputError, match=r"'\\udcfe' \(no UTF-8\)"):
        folder_manifest(tmp_path)


@pytest.mark.parametrize("name", ["gone", "file"])
def test_what_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{name}: the folder cannot be read: N"):
        folder_manifest(tmp_path / name)


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_folder_that_changes_meanwhile_is_refused(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a": b"1", "b": b"2"})

    def meddled(path: Path, **options: object) -> str:
        found = file_digest(path)
        if path.name == "b":
            (tmp_path / "c").touch() if change == "added" else (tmp_path / "a").unlink()
        return found

    monkeypatch.setattr(folders, "file_digest", meddled)
    with pytest.raises(InputError, match="'[ac]' changed while the folder was read"):
        folder_manifest(tmp_path, threads=1)


def test_an_entry_is_its_leaf() -> None:
    assert FileEntry('a"\n', 3, "blake3:00").leaf() == (
        b'{"bytes":3,"digest":"blake3:00","name":"a\\"\\n"}'
    )
