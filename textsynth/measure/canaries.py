"""Canaries: texts planted in the real data that could come back in synthetic texts only by memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure import ngrams
from textsynth.measure.attacks import attack
from textsynth.measure.measured import Gate, Measured
from textsynth.measure.sampled import Floats, Rows, wilson
from textsynth.measure.wordmodel import WordModel
from textsynth.minhash import Words, hash_grams
from textsynth.text import words as split_words

PREFIX = 15
SUFFIX = 15
_ECHO = 4
_ADVICE = (
    "Memorisation alarm: texts that were planted come back. The generator repeats what it was shown or trained on."
)


@dataclass(frozen=True, slots=True)
class Planted:
    """Records with canaries among them, and what they are.

    Args:
        records: the given records and the planted ones, mixed.
        canaries: the planted texts.
        repeats: how many times each canary was planted.
        controls: texts made alike that were not planted.
    """

    records: tuple[Mapping[str, Any], ...]
    canaries: tuple[str, ...]
    repeats: tuple[int, ...]
    controls: tuple[str, ...]


def plant(
    records: Sequence[Mapping[str, Any]],
    text_field: str,
    *,
    repeats: Sequence[int] = (1, 4, 16),
    each: int = 20,
    seed: int = 0,
) -> Planted:
    """Return the records with canaries planted among them.

    A canary is a copy of a record whose text is the beginning of a real text followed by words drawn at random from the
    rarer half of the vocabulary: likely enough to be taken up, too unlikely to come by chance (Meeus et al. 2025, The
    Canary's Echo, arXiv 2502.14921).

    Args:
        records: real records.
        text_field: the field with the text.
        repeats: how many times canaries are planted.
        each: canaries for each number of repeats; as many controls as canaries are made.
        seed: of everything drawn.

    Raises:
        ValueError: no record has enough words in the field.
    """
    texts = [str(record.get(text_field) or "") for record in records]
    long = [at for at, text in enumerate(texts) if len(text.split()) >= PREFIX]
    if not long:
        raise ValueError(
            f"canaries need texts of at least {PREFIX} words in {text_field!r}, the {len(records)} records have none"
        )
    random = np.random.default_rng([seed, 19])
    rare = _rare_words(texts)
    hosts = random.choice(long, 2 * each * len(repeats))
    made = [_canary(texts[at], rare, random) for at in hosts]
    half, times = len(made) // 2, tuple(int(n) for n in repeats for _ in range(each))
    planted = [
        {**records[at], text_field: text}
        for at, text, n in zip(hosts[:half], made[:half], times, strict=True)
        for _ in range(n)
    ]
    every = [*records, *planted]
    return Planted(
        tuple(every[at] for at in random.permutation(len(every))), tuple(made[:half]), times, tuple(made[half:])
    )


def _rare_words(texts: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    for text in texts:
        for word in split_words(text):
            counts[word] = counts.get(word, 0) + 1
    words = sorted((word for word in counts if word.isalpha()), key=lambda word: (counts[word], word))
    return words[: max(1, len(words) // 2)]


def _canary(text: str, rare: Sequence[str], random: np.random.Generator) -> str:
    suffix = [rare[at] for at in random.integers(len(rare), size=SUFFIX)]
    return " ".join([*text.split()[:PREFIX], *suffix])


def echo(planted: Planted, synthetic: Sequence[str], *, seed: int = 0) -> list[Measured]:
    """Return ``privacy.canaries`` and ``privacy.canaries.xN`` per number of repeats N.

    The first is the share of canaries of whose drawn words any 4 in a row stand in a synthetic text, ``real`` that of the
    controls. The others are the AUC of telling canaries from controls by the mean log probability of the drawn words under
    a bigram model of the synthetic texts (the attack of arXiv 2502.14921).
    """
    if not len(synthetic):
        return [
            Measured(name="privacy.canaries", value=None, size=0, meaning="Not measured: there are no synthetic texts.")
        ]
    made = ngrams.read(synthetic)
    echoed, control = (_echoed(texts, made) for texts in (planted.canaries, planted.controls))
    model = WordModel(made, order=2)
    scores, others = (_suffix_logs(model, texts) for texts in (planted.canaries, planted.controls))
    repeats = np.array(planted.repeats)
    found = [_echo_rate(echoed, control, repeats, len(synthetic))]
    for times in sorted(set(planted.repeats)):
        one = attack(
            "canary", scores[repeats == times], others, f"the probability of canaries planted {times} times", seed=seed
        )
        found.append(replace(one, name=f"privacy.canaries.x{times}", detail={**one.detail, "repeats": times}))
    return found


def _echo_rate(echoed: NDArray[np.bool_], control: NDArray[np.bool_], repeats: Rows, size: int) -> Measured:
    value, real = float(echoed.mean()), float(control.mean())
    interval = wilson(int(echoed.sum()), len(echoed))
    rates = {int(n): float(echoed[repeats == n].mean()) for n in np.unique(repeats)}
    shown = ", ".join(f"planted {n} times {rate:.0%}" for n, rate in rates.items())
    return Measured(
        name="privacy.canaries",
        value=value,
        real=real,
        size=size,
        low=interval.low,
        high=interval.high,
        gate=Gate(high=real, advice=_ADVICE),
        meaning=f"{value:.0%} of {len(echoed)} canaries come back in the synthetic texts ({shown}), of the controls {real:.0%}.",
        detail={"rates": {str(n): rate for n, rate in rates.items()}},
    )


def _suffixes(texts: Sequence[str]) -> Words:
    return ngrams.read([" ".join(text.split()[PREFIX:]) for text in texts])


def _echoed(texts: Sequence[str], made: Words) -> NDArray[np.bool_]:
    suffixes = _suffixes(texts)
    grams, starts = hash_grams(suffixes, _ECHO)
    there = np.isin(grams, hash_grams(made, _ECHO)[0])
    return np.bincount(suffixes.rows[starts], weights=there, minlength=len(texts)) > 0


def _suffix_logs(model: WordModel, texts: Sequence[str]) -> Floats:
    found: Floats = np.nan_to_num(model.means(_suffixes(texts))[-1], nan=-1e3)
    return found
