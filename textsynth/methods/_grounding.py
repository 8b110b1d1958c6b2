"""What holds a question and its answer to a passage: rules on words, the same in every process and language of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from textsynth.overlap import rouge_l
from textsynth.text import words

_STOP = frozenset(
    "a about above after again against all also am an and any are as at be because been before being below between both but "
    "by can cannot could did do does doing down during each few for from further had has have having he her here hers him "
    "his how i if in into is it its itself just may me might more most must my no nor not of off on once only or other our "
    "out over own same shall she should so some such than that the their them then there these they this those through to "
    "too under until up use used using very was we were what when where which while who whom whose why will with would yes "
    "you your s t d ll re ve m".split()
)
_NOUN = (
    r"(?:text|passage|document|excerpt|paragraph|sentence|article|section|context|snippet|quote|statement|abstract|chapter|"
    r"page|story|author|information|pep|proposal|paper|report|guide|manual|specification|rfc|example|code|list|table|figure)s?"
)
_ALWAYS = r"(?:text|passage|excerpt|paragraph|sentence|snippet|quote|statement|author)s?"
_REFERS = re.compile(
    rf"\b(?:this|these|those)\b|\bthat\s+{_NOUN}\b|\bof the (?:given|following|above|mentioned)\b"
    rf"|\bthe\s+(?:\w+\s+)?{_ALWAYS}\b"
    rf"|\b(?:the\s+)?(?:above|following|given|provided|quoted|mentioned|previous|preceding)\s+{_NOUN}\b"
    rf"|\b{_NOUN}\s+(?:above|below)\b|\b(?:mentioned|described|discussed|listed|stated|given) (?:here|above|below)\b"
    r"|\b(?:sentence|passage|paragraph)\s+(?:\[?\d+|[a-c]\b)|\[\d+\]"
    r"|^\W*(?:what|who|why|how|when|where|which)\s+(?:does|do|did|is|are|was|were|can|could|will|would|should|has|have)\s+"
    r"(?:it|they|he|she|this|these|that|those|we)\b(?!\s+(?:mean\s+(?:to|that|when)|possible|necessary|important|called\s+when))"
    r"|^\W*(?:is|are|does|do|can|will|should)\s+(?:it|they|this|these|that|those|we)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")  # whole: "3.23" is not in "2020-03-23"
COPIED = 0.8
"""From this ROUGE-L on, a question is a sentence of the passage with a question mark."""


def content(text: str) -> list[str]:
    """Return the words of a text that say something: no articles, pronouns, auxiliaries."""
    return [word for word in words(text) if word not in _STOP]


def refers_to_text(question: str) -> str:
    """Return the words by which a question needs the text beside it, or nothing."""
    found = _REFERS.search(question)
    return found[0] if found else ""


def first_question(text: str) -> str:
    """Return the first of the questions in a text, without what a model puts before it (": ", "Question: ")."""
    flat = re.sub(r"^(?:(?:question|q)\s*)?[\d.:)\-*\s]+(?=[^\W\d])", "", " ".join(text.split()), flags=re.IGNORECASE)
    return flat[: flat.index("?") + 1] if "?" in flat else flat


def support(answer: str, quote: str) -> float:
    """Return the share of the answer's content words that stand in the quote, 0 if it has none.

    Endings of words of five letters and more may differ. With a number that the quote lacks, nothing is supported.
    """
    told, known = content(answer), set(words(quote))
    if set(_NUMBER.findall(answer)) - set(_NUMBER.findall(quote)):
        return 0.0
    stems = {stem(word) for word in known}
    return sum(word in known or stem(word) in stems for word in told) / len(told) if told else 0.0


def stem(word: str) -> str:
    """Return a word of five letters and more without its ending: its first three quarters, at least four letters."""
    return word if len(word) < 5 else word[: max(4, -(-3 * len(word) // 4))]


def agreement(one: str, other: str) -> float:
    """Return the F1 of two answers' content words (all words where one has none), as SQuAD counts it (Rajpurkar 2016)."""
    first, second = content(one), content(other)
    if not first or not second:
        first, second = words(one), words(other)
    common = (Counter(first) & Counter(second)).total()
    return 2 * common / (len(first) + len(second)) if common else 0.0


def is_copied(question: str, sentences: Sequence[str]) -> bool:
    """Return whether a question is one of the sentences with few words changed."""
    asked = words(question)
    return any(rouge_l(asked, words(sentence)) >= COPIED for sentence in sentences)


def gives_away(question: str, answer: str) -> bool:
    """Return whether all content words of the answer stand in the question already."""
    told, asked = content(answer), set(content(question))
    return bool(told) and all(word in asked for word in told)


def best_share(question: str, sentences: Collection[str]) -> float:
    """Return the largest share of the question's content words that one sentence has."""
    asked = {stem(word) for word in content(question)}
    if not asked:
        return 0.0
    return max((len(asked & {stem(word) for word in words(s)}) / len(asked) for s in sentences), default=0.0)


def find(phrase: str, text: str, *, flags: re.RegexFlag = re.NOFLAG) -> re.Match[str] | None:
    """Return where a phrase stands in a text as whole words, white space aside; full stops at its end do not count."""
    parts = [re.escape(part) for part in phrase.strip().rstrip(".").split()]
    if not parts:
        return None
    return re.search(r"(?<!\w)" + r"\s+".join(parts) + r"(?!\w)", text, flags)


def share(part: int, whole: int) -> float:
    """Return a part of a whole, 0 of nothing."""
    return round(part / whole, 4) if whole else 0.0
