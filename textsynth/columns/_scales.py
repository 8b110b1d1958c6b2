"""Sets of words that have an order."""

from __future__ import annotations

from collections.abc import Collection

SCALES = (
    ("very low", "low", "medium", "high", "very high"),
    ("lowest", "low", "medium", "high", "highest"),
    ("low", "moderate", "high", "critical"),
    ("low", "medium", "high", "urgent", "critical"),
    ("low", "normal", "high", "urgent", "critical"),
    ("minor", "major", "critical", "blocker"),
    ("info", "warning", "error", "critical"),
    ("none", "mild", "moderate", "severe"),
    ("very small", "small", "medium", "large", "very large"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("very dissatisfied", "dissatisfied", "neutral", "satisfied", "very satisfied"),
    ("extremely dissatisfied", "slightly dissatisfied", "undecided", "slightly satisfied", "extremely satisfied"),
    ("extremely dislike", "slightly dislike", "undecided", "slightly like", "extremely like"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("very negative", "negative", "neutral", "positive", "very positive"),
    ("very bad", "bad", "fair", "good", "very good", "excellent"),
    ("poor", "fair", "good", "very good", "excellent"),
    ("beginner", "intermediate", "advanced", "expert"),
    ("easy", "medium", "hard"),
    ("free", "basic", "standard", "premium", "enterprise"),
    ("bronze", "silver", "gold", "platinum"),
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
    tuple("january february march april may june july august september october november december".split()),
    tuple("jan feb mar apr may jun jul aug sep oct nov dec".split()),
)


def find_scale(values: Collection[str]) -> tuple[str, ...]:
    """Return the values in their order if they are three or more steps of a known scale; else nothing."""
    if not 3 <= len(values) <= 12:
        return ()
    plain = {value.strip().lower().replace("-", " ").replace("_", " "): value for value in values}
    for scale in SCALES:
        if len(plain) == len(values) and plain.keys() <= set(scale):
            return tuple(plain[step] for step in scale if step in plain)
    return ()
