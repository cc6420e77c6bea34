"""Overlap in real data: what comparisons of words find of rephrased twins, and what they miss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from auditor.datasets import open_table
from auditor.provenance import repeated
from auditor.provenance.containment import containment
from auditor.provenance.entities import entity_overlap
from auditor.provenance.near_duplicates import near_duplicates
from auditor.provenance.tokens import Tokens, text_tokens

Figures = Callable[[str, Any], None]


def stream(texts: pd.Series) -> list[Tokens]:
    return [text_tokens(pa.array(list(texts)))]


def quality(found: np.ndarray, true: np.ndarray) -> dict[str, float | None]:
    hit = int((found & true).sum())
    return {
        "recall": hit / int(true.sum()),
        "precision": hit / int(found.sum()) if found.any() else None,
        "found": int(found.sum()),
    }


def gsm8k(folder: Path) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """Every second test question has its rephrased twin in the training text."""
    read = [
        pd.read_json(folder / "contamination" / name, lines=True)
        for name in ("gsm8k_train.jsonl.gz", "gsm8k_test_with_rephrase.jsonl.gz")
    ]
    train, test = read
    twinned = np.arange(len(test)) % 2 == 0
    source = pd.concat([train.question[:1_000], test.rephrased_question[twinned]])
    return test, source, twinned


@pytest.mark.slow
def test_rephrased_questions_are_mostly_missed_and_rarely_mistaken(
    shared_data: Path, figures: Figures
) -> None:
    test, source, twinned = gsm8k(shared_data)
    measured: dict[str, Any] = {}
    for similarity, shingle in ((0.8, 2), (0.5, 1)):
        found = near_duplicates(
            {"train": stream(source), "test": stream(test.question)},
            similarity=similarity, shingle=shingle,
        )["test"].in_source  # fmt: skip
        measured[f"near {similarity} of {shingle}-grams"] = quality(found, twinned)
    for ngram, contained in ((13, 0.5), (5, 0.1)):
        shares = containment({"test": stream(test.question)}, stream(source), ngram=ngram)["test"]
        measured[f"contained {contained} of {ngram}-grams"] = quality(shares >= contained, twinned)
    figures("overlap of rephrased GSM8K questions", measured)
    assert measured["near 0.8 of 2-grams"]["found"] == 0
    wide = measured["near 0.5 of 1-grams"]
    assert wide["recall"] > 0.19
    assert wide["precision"] > 0.9
    assert measured["contained 0.5 of 13-grams"]["recall"] < 0.01
    assert measured["contained 0.1 of 5-grams"]["recall"] > 0.1


def test_verbatim_and_re_wrapped_questions_are_all_found(
    shared_data: Path, figures: Figures
) -> None:
    test, source, _ = gsm8k(shared_data)
    planted = np.arange(len(test)) % 3 == 0
    wrapped = test.question[planted].str.upper().str.replace(" ", "\n", n=7)
    source = pd.concat([source[:1_000], "Solve this:\n" + wrapped + "\nThink step by step."])
    shares = containment({"test": stream(test.question)}, stream(source))["test"]
    measured = quality(shares >= 0.5, planted)
    figures("overlap of re-wrapped GSM8K questions", measured)
    assert measured["recall"] == 1
    assert measured["precision"] == 1
    exact = near_duplicates(
        {"train": stream(wrapped), "test": stream(test.question)}, similarity=0.8
    )["test"].in_source
    assert (exact == planted).all()


def test_a_translation_is_missed(shared_data: Path, figures: Figures) -> None:
    read = pd.read_json(
        shared_data / "contamination" / "mmlu_sociology_with_rephrase.jsonl.gz", lines=True
    )
    asked = read.question + " " + read.choices.map(" ".join)
    every = np.ones(len(read), bool)
    measured: dict[str, Any] = {}
    for column in ("rephrased_english", "translated_chinese"):
        shares = containment({"test": stream(asked)}, stream(read[column]), ngram=5)["test"]
        near = near_duplicates(
            {"train": stream(read[column]), "test": stream(asked)}, similarity=0.3, shingle=1
        )["test"].in_source
        measured[column] = {
            "near": quality(near, every), "contained": quality(shares >= 0.1, every)
        }  # fmt: skip
    figures("overlap of rephrased and translated MMLU questions", measured)
    assert measured["translated_chinese"]["near"]["found"] == 0
    assert measured["translated_chinese"]["contained"]["found"] == 0
    assert measured["rephrased_english"]["near"]["recall"] > 0.1


def test_the_known_duplicates_of_adult_and_of_the_tweets(shared_data: Path) -> None:
    adult = pd.read_csv(shared_data / "tabular" / "adult.csv.gz")
    columns = [column for column in adult if column != "split"]
    assert repeated(open_table(adult).row_hashes(columns)).sum() == 52
    tweets = pd.read_csv(shared_data / "text" / "tweets_hate_offensive.csv.gz")
    assert repeated(open_table(tweets).row_hashes(["tweet"])).sum() == 134
    near = near_duplicates({"train": stream(tweets.tweet)}, similarity=1.0)["train"].repeated
    assert (near | ~tweets.tweet.duplicated().to_numpy()).all()


def test_images_of_one_lesion_cross_a_random_split_and_no_split_by_lesion(
    shared_data: Path,
) -> None:
    images = pd.read_csv(shared_data / "image" / "ham10000_metadata_full.csv.gz")
    rng = np.random.default_rng(0)

    def shared(held_out: np.ndarray) -> int:
        sides = [
            open_table(images[side]).row_hashes(["lesion_id"])[:, 0]
            for side in (held_out, ~held_out)
        ]
        known = [np.ones(side.size, bool) for side in sides]
        return int(entity_overlap(sides[0], known[0], sides[1], known[1]).shared.sum())

    drawn = rng.random(len(images)) < 0.2
    expected = images.lesion_id[drawn].isin(images.lesion_id[~drawn]).sum()
    assert shared(drawn) == expected > 500
    lesions = images.lesion_id.unique()
    assert shared(images.lesion_id.isin(lesions[rng.random(lesions.size) < 0.2]).to_numpy()) == 0
