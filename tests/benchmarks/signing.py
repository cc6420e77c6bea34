"""Signing a model's files, against model-signing on the same folder with the same hash."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Row, not_installed, side_by_side

MEBIBYTE = 2**20


def write_model(folder: Path, mebibytes: int, *, files: int) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for at in range(files):
        size = mebibytes * MEBIBYTE // files
        (folder / f"model-{at:05}.safetensors").write_bytes(rng.bytes(size))
    return folder


def signing(mebibytes: int, *, files: int = 8, verify: bool = False) -> Row:
    """Sign or verify a folder of ``files`` equal files; both sides read it from the page cache."""
    what = f"{'verify' if verify else 'sign'} a model of {mebibytes:,} MiB in {files} files"
    row: Row = {"what": what, "against": "model-signing, SHA-256, P-256", "bound": ">= 0.9"}
    if reason := not_installed("model_signing"):
        return {**row, "reason": reason}
    import model_signing

    from auditor.ledger.model_key import ModelKey, generate_model_key
    from auditor.ledger.model_signing import sign_model, verify_model

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = write_model(folder / "model", mebibytes, files=files)
        public = generate_model_key(folder / "me")
        key = ModelKey.load(folder / "me.p256")
        signature = sign_model(model, key)
        (folder / "model.sig").write_bytes(signature)
        signer: Any = model_signing.signing.Config().use_elliptic_key_signer(
            private_key=folder / "me.p256"
        )
        verifier: Any = model_signing.verifying.Config().use_elliptic_key_verifier(
            public_key=folder / "me.p256.pub"
        )

        def ours() -> None:
            if verify:
                assert verify_model(model, signature, public).intact
            else:
                sign_model(model, key)

        def theirs() -> None:
            if verify:
                verifier.verify(model, folder / "model.sig")
            else:
                signer.sign(model, folder / "theirs.sig")

        return {**row, **side_by_side(ours, theirs, runs=5)}
