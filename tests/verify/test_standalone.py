"""The verifier in one file: without the package, and of one mind with it."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import AuditorError
from auditor.evidence import canonical_json
from auditor.ledger import SigningKey, parse_ledger
from auditor.ledger.proofs import format_proof, make_proof
from auditor.ledger.record_key import RecordKey
from auditor.ledger.records_integrity import check_records
from auditor.verify import verify_run
from auditor.verify.proof import verify_proof
from auditor.verify.standalone import standalone_source

RecordedRun = Callable[..., Path]
Verifier = Callable[..., subprocess.CompletedProcess[str]]

BARE = """
import runpy, sys
for name in {blocked!r}:
    sys.modules[name] = None  # importing it fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "verify.py"
    path.write_bytes(standalone_source())
    return path


@pytest.fixture(scope="session")
def standalone(script: Path) -> ModuleType:
    """The file as a module of its own, for the many mutants."""
    spec = importlib.util.spec_from_file_location("verify_standalone", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def verifier(script: Path) -> Verifier:
    """Run the file in a Python of its own that can import neither auditor nor what is blocked."""

    def run(*arguments: object, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        code = BARE.format(blocked=["auditor", "pydantic", "numpy", "rfc8785", *without])
        return subprocess.run(
            [sys.executable, "-I", "-c", code, str(script), *map(str, arguments)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


@pytest.fixture
def public(tmp_path: Path, signer: SigningKey) -> Path:
    path = tmp_path / "me.pub"
    path.write_text(f"{signer.verifying_key}\n")
    return path


@pytest.fixture(scope="session")
def rich_run(recorded_run: RecordedRun) -> Path:
    records = [str(n) for n in range(70)]
    return recorded_run(records, steps=[[list(range(70)), [5, 6]], [[5, -1], []]])


def package_code(run: Path, key: SigningKey) -> int:
    """What the package says of a run, with its committed records."""
    try:
        found = verify_run(run, key=key.verifying_key)
        ledger = parse_ledger((run / "ledger.jsonl").read_bytes())
        faults = check_records(run, ledger)
    except AuditorError:
        return 1
    except OSError:
        return 1
    return 1 if faults else found.exit_code


def test_a_run_and_its_proofs_without_the_package(
    verifier: Verifier, rich_run: Path, record_key: RecordKey, public: Path, tmp_path: Path
) -> None:
    for record, included in (("5", True), ("none", False)):
        path = tmp_path / "proof.json"
        path.write_bytes(format_proof(make_proof(rich_run, record, key=record_key)))
        done = verifier(path, "--key", public, "--json")
        assert done.returncode == 0, done.stderr
        assert (" is among" in done.stderr) == included
        assert verifier(path).returncode == 3
    done = verifier(rich_run, "--key", public, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["head"] == verify_run(rich_run).integrity.head_digest
    assert verifier(rich_run, "--head", document["head"], "--key", public).returncode == 0
    assert verifier(rich_run, "--head", "sha256:" + "0" * 64).returncode == 1
    assert verifier(rich_run).returncode == 3


def test_without_cryptography_everything_else_is_checked_and_it_says_so(
    verifier: Verifier, rich_run: Path, public: Path, tmp_path: Path
) -> None:
    done = verifier(rich_run, "--key", public, without=("cryptography",))
    assert done.returncode == 3
    assert "signatures were not checked" in done.stderr
    bad = tmp_path / "small"
    shutil.copytree(rich_run, bad)
    (bad / "run.json").write_bytes(b"{}")
    assert verifier(bad, "--key", public, without=("cryptography",)).returncode == 1


def test_a_copy_inside_the_run_checks_the_run_that_it_lies_in(
    verifier: Verifier, recorded_run: RecordedRun, tmp_path: Path
) -> None:
    from auditor.ledger import RunFolder

    run = RunFolder.create(tmp_path / "run")
    with run.writer() as writer:
        run.register(writer, signer=None)
        run.write("verify.py", standalone_source())
        run.seal(writer, None)
    code = BARE.format(blocked=["auditor"])
    command = [sys.executable, "-I", "-B", "-c", code, str(run.path / "verify.py")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 3
    with (run.path / "verify.py").open("ab") as file:
        file.write(b"\n")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [["nowhere"], ["run", "--key", "nowhere"], ["run", "--key", "text"], ["run", "--head", "x"],
     ["text"], ["empty"], ["run", "--nonsense"]],
)  # fmt: skip
def test_wrong_usage_is_2(
    verifier: Verifier, rich_run: Path, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "run").symlink_to(rich_run)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    names = {"nowhere", "run", "text", "empty"}
    done = verifier(*(tmp_path / text if text in names else text for text in arguments))
    assert done.returncode == 2, done.stderr


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Return the content after one flip, cut, swap of lines, deletion or repetition."""
    how = draw.choice(["flip", "cut", "line swap", "line drop", "line repeat", "append"])
    lines = data.splitlines(keepends=True)
    at = draw.randrange(max(len(lines), 1))
    if how == "flip" and data:
        place = draw.randrange(len(data))
        return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
    if how == "cut":
        return data[: draw.randrange(max(len(data), 1))]
    if how == "append":
        return data + draw.choice([b"\n", b" ", b"{}", b"\0"])
    if how == "line swap" and len(lines) > 1:
        lines[at], lines[at - 1] = lines[at - 1], lines[at]
    elif how == "line drop":
        del lines[at : at + 1]
    else:
        lines[at:at] = lines[at : at + 1]
    return b"".join(lines)


def test_it_and_the_package_find_the_same_mutants_of_a_run(
    standalone: ModuleType, rich_run: Path, public: Path, signer: SigningKey, tmp_path: Path
) -> None:
    draw = random.Random(0)
    files = sorted(path for path in rich_run.rglob("*") if path.is_file())
    found = 0
    for _ in range(150):
        folder = tmp_path / "small"
        shutil.copytree(rich_run, folder)
        target = folder / draw.choice(files).relative_to(rich_run)
        how = draw.choice(["content"] * 8 + ["gone", "added", "empty folder", "link"])
        before = target.read_bytes()
        if how == "content":
            target.write_bytes(mutate(before, draw))
        elif how == "gone":
            target.unlink()
        elif how == "added":
            (folder / "evidence/new.bin").write_bytes(b"x")
        elif how == "empty folder":
            (folder / "evidence/new").mkdir()
        else:
            (folder / "evidence/new").symlink_to(target)
        changed = how != "content" or target.read_bytes() != before
        ours = standalone.main([str(folder), "--key", str(public)])
        assert ours == package_code(folder, signer) == int(changed), (how, target.name)
        found += changed
        shutil.rmtree(folder)
    assert found > 100


def test_it_and_the_package_find_the_same_mutants_of_a_proof(
    standalone: ModuleType,
    rich_run: Path,
    public: Path,
    record_key: RecordKey,
    signer: SigningKey,
    tmp_path: Path,
) -> None:
    draw, path = random.Random(1), tmp_path / "proof.json"
    good = [format_proof(make_proof(rich_run, r, key=record_key)) for r in ("5", "none")]
    for _ in range(400):
        data = draw.choice(good)
        bad = mutate(data, draw)
        path.write_bytes(bad)
        ours = standalone.main([str(path), "--key", str(public)])
        try:
            theirs = verify_proof(path, key=signer.verifying_key).exit_code
        except AuditorError:
            theirs = 2
        assert ours == theirs
        assert (ours == 0) == (bad == data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=500)
@given(JSON)
def test_its_canonical_json_is_that_of_the_library(
    standalone: ModuleType, document: object
) -> None:
    data = canonical_json(document)
    assert standalone.canonical(document).encode() == data
    assert standalone.canonical(standalone.read_json(data)).encode() == data


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # RFC 8785, appendix B
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_the_standard_lists_them(
    standalone: ModuleType, bits: str, text: str
) -> None:
    import struct

    assert standalone.ecmascript(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


@pytest.mark.parametrize(
    "data",
    [b"", b"nan", b"NaN", b"[1e999]", b'{"a":1,"a":1}', b"[1,2] ", b"01", b'"\\u0061"', b"1.0",
     b'"\\ud800"', b"[" * 100_000, b"1" * 10_000, b'{"b":1,"a":1}', b"-0", b"\xff"],
)  # fmt: skip
def test_other_json_is_refused(standalone: ModuleType, data: bytes) -> None:
    with pytest.raises(standalone.Bad):
        standalone.read_json(data)
