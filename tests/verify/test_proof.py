"""A proof says the truth about any record, and nothing can be changed in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import InputError, RunError
from auditor.ledger import SigningKey
from auditor.ledger.proofs import format_proof, make_proof, read_proof
from auditor.ledger.record_key import RecordKey
from auditor.verify import verify_run
from auditor.verify.proof import ProofVerification, check_proof, verify_proof

RecordedRun = Callable[..., Path]

ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def verified(data: bytes, folder: Path, signer: SigningKey) -> ProofVerification:
    path = folder / "proof.json"
    path.write_bytes(data)
    return verify_proof(path, key=signer.verifying_key)


@settings(max_examples=30)
@given(st.sets(ids, max_size=40), ids, st.data())
def test_for_any_records_and_any_id_the_proof_verifies_and_says_the_truth(
    recorded_run: RecordedRun,
    record_key: RecordKey,
    signer: SigningKey,
    records: set[str],
    other: str,
    data: st.DataObject,
) -> None:
    run = recorded_run(sorted(records))
    asked = data.draw(st.sampled_from([other, *sorted(records)]))
    proof = make_proof(run, asked, key=record_key)
    assert read_proof(format_proof(proof)) == proof
    found = check_proof(proof, key=signer.verifying_key)
    assert found.faults == ()
    assert found.exit_code == 0
    assert found.included == (asked in records)


def test_the_steps_that_used_a_record_are_shown(
    recorded_run: RecordedRun, record_key: RecordKey, signer: SigningKey, tmp_path: Path
) -> None:
    records = [str(number) for number in range(100)]
    first = [list(range(at, at + 50)) for at in (0, 50)]
    again = [[7, 7, 99], [], [-1, 7], list(range(1, 99)) * 3]
    run = recorded_run(records, steps=[first, again])
    assert verify_run(run, key=signer.verifying_key).faults == ()

    def steps_of(record: str) -> tuple[int, ...] | None:
        found = verified(format_proof(make_proof(run, record, key=record_key)), tmp_path, signer)
        assert found.exit_code == 0, found.faults
        return found.steps

    assert steps_of("7") == (1, 3, 5, 6)
    assert steps_of("0") == (1,)
    assert steps_of("99") == (2, 3)
    assert steps_of("100") == ()


def test_a_record_that_no_step_used_and_one_without_steps_are_told_apart(
    recorded_run: RecordedRun, record_key: RecordKey
) -> None:
    unused = check_proof(make_proof(recorded_run(steps=[[[0, 1]]]), "c", key=record_key))
    assert (unused.steps, unused.included, unused.faults) == ((), True, ())
    assert "no step that used it" in " ".join(unused.sentences())
    silent = check_proof(make_proof(recorded_run(), "c", key=record_key))
    assert (silent.steps, silent.included, silent.faults) == (None, True, ())
    assert "not recorded" in " ".join(silent.sentences())


@settings(max_examples=300)
@given(st.data())
def test_no_byte_of_a_proof_can_be_changed(
    proofs: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, signer: SigningKey,
    data: st.DataObject,
) -> None:  # fmt: skip
    good = proofs[data.draw(st.sampled_from(sorted(proofs)))]
    at = data.draw(st.integers(0, len(good) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "drop", "insert", "swap"]))
    bad = bytearray(good)
    if how == "flip":
        bad[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        del bad[at:]
    elif how == "drop":
        del bad[at]
    elif how == "insert":
        bad.insert(at, data.draw(st.sampled_from(b' 0a"\n')))
    else:
        bad[at : at + 2] = bad[at : at + 2][::-1]
    if bytes(bad) == good:
        return
    try:
        found = verified(bytes(bad), tmp_path_factory.mktemp("proof"), signer)
    except InputError:
        assert not bad.startswith(b"{")
    else:
        assert found.exit_code == 1
        assert found.faults


@pytest.fixture(scope="session")
def proofs(recorded_run: RecordedRun, record_key: RecordKey) -> dict[str, bytes]:
    run = recorded_run([str(n) for n in range(70)], steps=[[list(range(70)), [5, 6]], [[5]]])
    return {
        record: format_proof(make_proof(run, record, key=record_key)) for record in ("5", "none")
    }


def test_the_signer_and_the_head_are_held_against_what_is_known(
    recorded_run: RecordedRun, record_key: RecordKey, signer: SigningKey, tmp_path: Path
) -> None:
    signed = make_proof(recorded_run(), "a", key=record_key)
    assert check_proof(signed).exit_code == 3
    head = check_proof(signed).head_digest
    assert check_proof(signed, key=signer.verifying_key, head=head).exit_code == 0
    assert check_proof(signed, head="sha256:" + "0" * 64).exit_code == 1
    other = SigningKey.generate(tmp_path / "other.key").verifying_key
    assert check_proof(signed, key=other).exit_code == 1
    unsigned = make_proof(recorded_run(key=None), "a", key=record_key)
    assert check_proof(unsigned).exit_code == 3
    assert check_proof(unsigned, key=signer.verifying_key).exit_code == 1


def test_a_stripped_signature_is_found(recorded_run: RecordedRun, record_key: RecordKey) -> None:
    proof = make_proof(recorded_run(), "a", key=record_key)
    stripped = proof.model_copy(update={"head": proof.head.partition("\n\n")[0] + "\n\n"})
    assert [fault.where for fault in check_proof(stripped).faults] == ["head"]


def test_another_answer_or_another_record_does_not_verify(
    recorded_run: RecordedRun, record_key: RecordKey
) -> None:
    run = recorded_run(steps=[[[0, 1, 2]]])
    inside, outside = (make_proof(run, record, key=record_key) for record in ("a", "z"))
    for proof, change in [
        (inside, {"included": False}),
        (inside, {"included": False, "leaves": outside.leaves, "steps": []}),
        (inside, {"record": "b"}),
        (inside, {"split": "test"}),
        (inside, {"run": "large"}),
        (inside, {"entries": inside.entries[:2]}),
        (inside, {"steps": []}),
        (inside, {"leaves": []}),
        (inside, {"leaves": inside.leaves * 2}),
        (inside, {"steps": [*(inside.steps or ()), *(inside.steps or ())]}),
        (outside, {"included": True}),
        (outside, {"record": "a"}),
        (outside, {"leaves": outside.leaves[:1] if len(outside.leaves) > 1 else []}),
        (outside, {"steps": inside.steps, "entries": inside.entries}),
        (outside, {"key": inside.key}),
    ]:
        assert check_proof(proof.model_copy(update=change)).exit_code == 1, change


def test_a_key_made_up_afterwards_opens_nothing(
    recorded_run: RecordedRun, record_key: RecordKey
) -> None:
    run = recorded_run()
    with pytest.raises(InputError, match="not the record key to which entry 0"):
        make_proof(run, "a", key=RecordKey(bytes(32)))
    proof = make_proof(run, "a", key=record_key)
    forged = proof.key.model_copy(update={"key": "0" * 64})
    found = check_proof(proof.model_copy(update={"key": forged}))
    assert [fault.where for fault in found.faults] == ["key"]


def test_what_cannot_be_proved_is_said(
    recorded_run: RecordedRun, record_key: RecordKey, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="committed to no records"):
        make_proof(recorded_run(None), "a", key=record_key)
    with pytest.raises(InputError, match="no records of 'trian'; did you mean 'train'"):
        make_proof(recorded_run(), "a", key=record_key, split="trian")
    with pytest.raises(InputError, match="not Unicode text"):
        make_proof(recorded_run(), "\ud800", key=record_key)
    with pytest.raises(RunError, match="no such folder"):
        make_proof(tmp_path / "none", "a", key=record_key)
    run = recorded_run()
    file = run / "evidence/records-train.bin"
    file.write_bytes(bytes(32) + file.read_bytes()[32:])
    with pytest.raises(RunError, match="not the one that the ledger binds"):
        make_proof(run, "a", key=record_key)


@pytest.mark.parametrize("content", [b"", b"hello", b"[]", b"\xff\x00", b"null"])
def test_a_file_that_is_no_proof_at_all_is_wrong_input(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match="not a proof"):
        verify_proof(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be read"):
        verify_proof(tmp_path / "none")


@pytest.mark.parametrize(
    "content",
    [b"{}", b'{"schema":"auditor/proof/v1"}', b"{" * 100_000, b'{"a":' * 100_000, b'{"a":1e999}'],
)
def test_a_document_that_is_no_proof_has_a_fault(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert verify_proof(tmp_path / "file").exit_code == 1


def test_another_spelling_of_the_same_document_is_refused(
    proofs: dict[str, bytes], tmp_path: Path, signer: SigningKey
) -> None:
    document = json.loads(proofs["5"])
    for data in (json.dumps(document).encode(), proofs["5"][:-1], proofs["5"] + b"\n"):
        found = verified(data, tmp_path, signer)
        assert [fault.what for fault in found.faults] == [
            "the proof is not in canonical form (RFC 8785)"
        ]


def test_every_question_of_gsm8k_is_found_in_its_own_split_only(
    shared_data: Path, recorded_run: RecordedRun, record_key: RecordKey
) -> None:
    """Long texts as record ids: the 7,473 training questions, and test questions beside them."""
    import pandas as pd

    folder = shared_data / "contamination"
    train = pd.read_json(folder / "gsm8k_train.jsonl.gz", lines=True)["question"].tolist()
    test = pd.read_json(folder / "gsm8k_test_with_rephrase.jsonl.gz", lines=True)["question"]
    run = recorded_run(train, steps=[[list(range(64)), list(range(64, 128))]])
    inside = [check_proof(make_proof(run, text, key=record_key)) for text in train[60:68]]
    assert [found.faults for found in inside] == [()] * 8
    assert [found.steps for found in inside] == [(1,)] * 4 + [(2,)] * 4
    unused = check_proof(make_proof(run, train[500], key=record_key))
    assert (unused.included, unused.steps) == (True, ())
    for text in test[:8]:
        found = check_proof(make_proof(run, text, key=record_key))
        assert (found.included, found.faults) == (False, ())
