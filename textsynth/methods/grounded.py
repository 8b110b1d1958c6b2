"""Questions and answers from documents, each with the words of the document that support it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, ClassVar, Literal

from textsynth.documents import Span
from textsynth.methods import Method, Setting, Steps
from textsynth.methods._exam import closed
from textsynth.methods._fields import SEED_STEP, parse
from textsynth.methods._grounding import (
    agreement,
    best_share,
    find,
    first_question,
    gives_away,
    is_copied,
    refers_to_text,
    share,
    support,
)
from textsynth.methods._passages import (
    PLACE,
    Passage,
    Sentence,
    answer_span,
    quote_names,
    read_passages,
    shared_link,
)
from textsynth.methods._texts import with_fields
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Message, Record, Request
from textsynth.schema import RecordSchema

TEMPLATES = {"unanswerable": "grounded/unanswerable", "answer": "grounded/answer", "check": "grounded/check"}
CHECK = 1_000
"""Number of the request that checks; those that ask are numbered from 0."""
RELEVANT = 0.3
"""Least share of its words that a question has in common with the passage, its title and section."""
ANSWERED = 0.85
"""From this share of an unanswerable question's words in one sentence on, that sentence surely answers it."""


@dataclass
class Grounded(Method):
    """Questions with answers from your documents, each with the words that support the answer quoted and checked.

    The seeds are chunks of documents (``seeds: {path: docs/, chunk: {words: 160}, shots: 1}``) or rows with a text. The
    model is shown the sentences of a chunk by number and names those that it asks about, so that each quote stands in its
    document to the letter: ``citations`` say where. If a draw shows several chunks (``shots: 2, choose: linked``), the
    question needs a sentence of each, and ``hops`` counts them.
    Dropped are answers whose words the quote lacks, questions that point at the text, copy a sentence or give the answer
    away, and answers that differ when the model is asked again with the quote alone. A share can be questions that the
    chunk does not answer, as in SQuAD 2.0: the model must say so when it is asked.

    Args:
        text: the column of the seeds, attribute or field of an earlier step with the passage.
        quote: sentences: the model chooses them by number; drawn: one sentence is drawn per chunk and the model asks about
            that, which small models do best and which spreads questions evenly; verbatim: written by the model, and dropped
            where it does not stand in the text.
        most_sentences: most sentences of one chunk that are quoted.
        question_chars: most characters of a question.
        answer_chars: most characters of an answer.
        least_support: least share of the answer's content words that must stand in the quote.
        verify: ask: a second request answers the question from the quote alone; none: it is not asked.
        agree: least F1 of the content words of the two answers.
        unanswerable: share of the draws, 0 to 1, that ask what the chunk does not answer. An attribute ``answerable``
            (true or false) decides instead, where there is one.
        no_answer: the answer of an unanswerable question.
        context: keep: the record has the passages; leave_out: it has not.
    """

    default_prompt = "grounded/ask"
    own_fields = ("question", "answer", "answerable", "context", "citations", "answer_span", "hops")
    seeds_are_records = False
    paper = (
        "spans: Rajpurkar et al. 2016, SQuAD, arXiv 1606.05250; unanswerable: Rajpurkar et al. 2018, arXiv 1806.03822; "
        "asked again: Alberti et al. 2019, Roundtrip Consistency, arXiv 1906.05416; several chunks: Yang et al. 2018, "
        "HotpotQA, arXiv 1809.09600"
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "no_passage": "give the seeds a text with whole sentences of 5 to 70 words, or raise seeds.chunk.least",
        "no_quote": "use quote: sentences, which cannot fail, or shorter chunks",
        "unsupported": "lower least_support, shorten answer_chars, or use a larger model",
        "cut_answer": "raise answer_chars, or ask for fewer words in the prompt",
        "refers_to_text": "say in the prompt that the question stands alone, or raise repairs",
        "not_a_question": "raise question_chars or repairs",
        "trivial": "raise sampling.temperature or repairs, or use a larger model",
        "disagrees": "lower agree, shorten answer_chars, or set verify: none",
        "off_topic": "show shorter chunks, or use a larger model",
        "answerable": "lower unanswerable, or use a larger model: it asked for what the chunk says",
    }

    text: str = "text"
    quote: Literal["sentences", "drawn", "verbatim"] = "sentences"
    most_sentences: int = 2
    question_chars: int = 200
    answer_chars: int = 160
    least_support: float = 0.75
    verify: Literal["ask", "none"] = "ask"
    agree: float = 0.5
    unanswerable: float = 0.0
    no_answer: str = ""
    context: Literal["keep", "leave_out"] = "keep"
    _prompts: dict[str, Prompt] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse options out of their range; where sentences are drawn, the template shows only these."""
        if self.quote == "drawn":
            self.default_prompt = "grounded/fact"
        for name, value in (
            ("least_support", self.least_support),
            ("agree", self.agree),
            ("unanswerable", self.unanswerable),
        ):
            if not 0 <= value <= 1:
                hint = f" (did you mean {value / 100:g}?)" if 1 < value <= 100 else ""
                raise ValueError(f"{name} must be between 0 and 1, got {value:g}{hint}")
        for name, least in (("most_sentences", 1), ("question_chars", 20), ("answer_chars", 4)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put the fields of a question with its citations before those of the recipe's schema."""
        text, place = {"type": "string"}, {"type": "integer", "minimum": 0}
        citation = closed({"document": text, "section": text, "start": place, "end": place, "quote": text})
        fields: dict[str, Mapping[str, Any]] = {
            "question": {"type": "string", "minLength": 1},
            "answer": text,
            "answerable": {"type": "boolean"},
            **({"context": {"type": "string", "minLength": 1}} if self.context == "keep" else {}),
            "citations": {"type": "array", "items": citation},
            "answer_span": closed({"document": text, "start": place, "end": place}) | {"type": ["object", "null"]},
            "hops": {"type": "integer", "minimum": 0},
        }
        return with_fields(given, fields)

    def variables(self) -> dict[str, str]:
        """Return what the templates may use."""
        return {
            "material": "the chunks shown, each with its title and section; in the main template sentences may be numbered",
            "passages": "the chunks shown as data: title, section, text and sentences (number, text) of each",
            "link": "a term that all chunks shown have in common, or empty",
            "numbered": "whether sentences are chosen by their number",
            "facts": "the sentences drawn to ask about, one of each chunk (quote: drawn; empty otherwise)",
            "asked": "the question to answer or to check (templates that check; empty before)",
            "quoted": "the quoted sentences (templates that check; empty before)",
        }

    def templates(self) -> list[str]:
        """Return the templates beside the main one."""
        return list(TEMPLATES.values())

    def carried_fields(self) -> tuple[str, ...]:
        """Return what is copied from the documents."""
        return ("context", "citations", "answer_span")

    def prepare(self, setting: Setting) -> None:
        """Check that a text is given and that nothing is left for the model but what this method asks for."""
        setting.require([self.text])
        given = {*setting.attributes, *(setting.inputs or setting.free_fields)}
        for name in setting.free_fields:
            if name not in self.own_fields and name not in given:
                raise ValueError(
                    f"the field {name!r} is neither drawn nor a column of the seeds: draw it as an attribute, or have a "
                    "later step of the method record write it"
                )
        self.setting = setting
        self._prompts = {kind: setting.load_prompt(name) for kind, name in TEMPLATES.items()}

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return what the kept records hold to, counted anew from their own fields."""
        rows = list(records)
        if not rows:
            return {}
        told = [row for row in rows if row.get("answerable")]
        quotes = [(item["quote"], row["context"]) for row in told if "context" in row for item in row["citations"]]
        spans = sum(row.get("answer_span") is not None for row in told)
        found: dict[str, Any] = {
            "answerable": share(len(told), len(rows)),
            "answers_extractive": share(spans, len(told)),
        }
        if quotes:
            found["quotes_in_context"] = share(sum(quote in context for quote, context in quotes), len(quotes))
        documents_cited = {item["document"] for row in told for item in row["citations"]}
        hops = sum(row["hops"] for row in told) / max(1, len(told))
        return found | {"documents": len(documents_cited), "mean_hops": round(hops, 2)}

    def run(self, draw: Draw) -> Steps:
        """Ask for a question with its answer and quote, check it by rules, then have it answered again."""
        passages = self._passages(draw)
        if not passages or not all(passage.quotable for passage in passages):
            return Candidate(draw, None, Drop("no_passage", f"no whole sentence in {len(passages)} chunks shown"))
        answerable = self._is_answerable(draw)
        found: Record | Drop = Drop("no_record")
        for attempt in range(self.setting.repairs + 1):
            facts = self._facts(draw, passages, attempt) if answerable and self.quote == "drawn" else []
            done = yield self._ask(draw, passages, attempt, facts, answerable=answerable)
            found = self._read(done, passages, facts) if answerable else self._read_unanswerable(done, passages)
            if not isinstance(found, Drop) or found.reason == "engine_error":
                break
        if not isinstance(found, Drop):
            check = self._verify if answerable else self._check
            found = (yield from check(draw, passages, found)) or found
        if isinstance(found, Drop):
            return Candidate(draw, None, found)
        return Candidate(draw, self._record(draw, passages, found))

    def _passages(self, draw: Draw) -> list[Passage]:
        """Return the passages of the draw: those of its seeds, unless the draw gives a text itself."""
        rows: list[tuple[str, Record]] = [
            (f"seed {seed.id}", seed.row) for seed in draw.seeds if seed.row.get(self.text)
        ]
        if self.text in draw.attributes or not rows:
            rows = [(f"draw {draw.index}", {name: self.setting.given(draw, name) for name in (self.text, *PLACE)})]
        return read_passages(rows, self.text)

    def _is_answerable(self, draw: Draw) -> bool:
        """Return whether the draw asks what the chunk answers: as drawn, else by its share."""
        drawn = draw.attributes.get("answerable")
        if drawn is not None:
            return str(drawn).lower() in {"true", "yes", "1", "answerable"}
        return Random(f"answerable {draw.sampling_seed}").random() >= self.unanswerable

    def _facts(self, draw: Draw, passages: Sequence[Passage], attempt: int) -> list[Sentence]:
        """Draw the sentence of each passage that is asked about, one with the link where there is one."""
        random = Random(f"sentence {draw.sampling_seed} {attempt}")
        link = shared_link(draw.seeds)
        found = []
        for passage in passages:
            linked = [sentence for sentence in passage.quotable if link and link in sentence.text]
            found.append(random.choice(linked or passage.quotable))
        return found

    def _messages(self, draw: Draw, prompt: Prompt, passages: Sequence[Passage], **own: Any) -> tuple[Message, ...]:
        """Render a template with the passages."""
        numbered = self.quote == "sentences" and prompt is self.setting.prompt(draw)
        variables: dict[str, Any] = {
            "passages": passages,
            "material": "\n\n".join(one.shown(numbered=numbered) for one in passages),
        }
        variables |= {"numbered": numbered, "link": shared_link(draw.seeds), "facts": [], "asked": "", "quoted": ""}
        return prompt.render({**self.setting.template_variables(draw), **variables, **own})

    def _ask(
        self, draw: Draw, passages: Sequence[Passage], attempt: int, facts: Sequence[Sentence], *, answerable: bool
    ) -> Request:
        """Return the request for a question: with its answer and quote, or alone where the passages leave it open."""
        prompt = self.setting.prompt(draw) if answerable else self._prompts["unanswerable"]
        question = {"type": "string", "minLength": 10, "maxLength": self.question_chars}
        wanted: dict[str, Any] = {"question": question}
        if answerable:
            answer = {"type": "string", "minLength": 1, "maxLength": self.answer_chars}
            named = [] if facts else list(zip(quote_names(passages), passages, strict=True))
            quotes = {name: self._quote_schema(part) for name, part in named}
            wanted = {**quotes, "question": question, "answer": answer}
        sampling = self.setting.sampling(draw).with_seed((draw.sampling_seed + SEED_STEP * attempt) % 2**31)
        messages = self._messages(draw, prompt, passages, facts=[fact.text for fact in facts])
        return Request(draw.index, attempt, messages, json.dumps(closed(wanted)), sampling)

    def _quote_schema(self, passage: Passage) -> dict[str, Any]:
        """Return what holds the decoder to quotes of one passage."""
        if self.quote == "verbatim":
            return {"type": "string", "minLength": 15, "maxLength": 400}
        numbers = [sentence.number for sentence in passage.quotable]
        return {"type": "array", "items": {"enum": numbers}, "minItems": 1, "maxItems": self.most_sentences}

    def _read(self, done: Completion, passages: Sequence[Passage], facts: Sequence[Sentence]) -> Record | Drop:
        """Return question, answer, citations and quote of a completion, or what is wrong with them."""
        parsed = parse(done)
        fields = parsed.fields
        texts = [fields.get(name) for name in ("question", "answer")]
        if parsed.problem or not all(isinstance(text, str) and text.strip() for text in texts):
            return parsed.problem or Drop("schema", f"question and answer were asked for, got {done.text[:60]!r}")
        question, answer = first_question(str(texts[0])), " ".join(str(texts[1]).split())
        if len(str(texts[1])) >= self.answer_chars:
            return Drop("cut_answer", f"an answer of {self.answer_chars} characters is cut: {answer[:120]!r}")
        citations: list[Record] = []
        for at, (name, passage) in enumerate(zip(quote_names(passages), passages, strict=True)):
            spans = [facts[at].span] if facts else self._quoted(fields.get(name), passage)
            if not spans:
                return Drop("no_quote", f"{str(fields.get(name))[:80]!r} does not stand in {passage.document}")
            citations += [passage.cite(span) for span in spans]
        quote = " ".join(item["quote"] for item in citations)
        if problem := self._asks_badly(question, answer, passages) or self._unsupported(answer, quote):
            return problem
        return {
            "question": question,
            "answer": answer,
            "answerable": True,
            "citations": citations,
            "hops": len(passages),
        }

    def _quoted(self, chosen: Any, passage: Passage) -> list[Span]:
        """Return the spans of the passage that are quoted, in order; sentences that follow each other make one."""
        if self.quote == "verbatim":
            found = find(chosen, passage.text) if isinstance(chosen, str) and len(chosen.split()) >= 3 else None
            return [Span(*found.span())] if found else []
        numbers = set(chosen) if isinstance(chosen, list) else set()
        spans: list[Span] = []
        last = -1
        for sentence in passage.sentences:
            if sentence.number in numbers:
                begin = spans.pop().start if sentence.number == last + 1 else sentence.span.start
                spans.append(Span(begin, sentence.span.end))
                last = sentence.number
        return spans

    def _asks_badly(self, question: str, answer: str, passages: Sequence[Passage]) -> Drop | None:
        """Return what is wrong with a question in itself."""
        if not question.endswith("?"):
            return Drop("not_a_question", f"{question[:120]!r} does not end with a question mark")
        if pointing := refers_to_text(question):
            return Drop("refers_to_text", f"{pointing!r} in {question[:120]!r}")
        near = best_share(question, [" ".join(f"{one.title} {one.section} {one.text}" for one in passages)])
        if near < RELEVANT:
            return Drop("off_topic", f"{near:.0%} of the words of {question[:120]!r} stand in the passage", score=near)
        if is_copied(question, [sentence.text for passage in passages for sentence in passage.sentences]):
            return Drop("trivial", f"a sentence with a question mark: {question[:120]!r}")
        if answer and gives_away(question, answer):
            return Drop("trivial", f"the answer {answer[:60]!r} stands in the question {question[:120]!r}")
        return None

    def _unsupported(self, answer: str, quote: str) -> Drop | None:
        """Return a drop if too few words of the answer stand in the quote."""
        held = support(answer, quote)
        if held >= self.least_support and held > 0:
            return None
        detail = f"{held:.0%} of the words of {answer[:80]!r} stand in {quote[:120]!r} (least {self.least_support:.0%})"
        return Drop("unsupported", detail, score=held)

    def _read_unanswerable(self, done: Completion, passages: Sequence[Passage]) -> Record | Drop:
        """Return a question that the passages leave open, or what is wrong with it."""
        parsed = parse(done)
        asked = parsed.fields.get("question")
        if parsed.problem or not isinstance(asked, str) or not asked.strip():
            return parsed.problem or Drop("schema", f"a question was asked for, got {done.text[:60]!r}")
        question = first_question(asked)
        if problem := self._asks_badly(question, "", passages):
            return problem
        told = best_share(question, [sentence.text for passage in passages for sentence in passage.sentences])
        if told >= ANSWERED:
            return Drop("answerable", f"one sentence has {told:.0%} of the words of {question[:120]!r}", score=told)
        return {"question": question, "answer": self.no_answer, "answerable": False, "citations": [], "hops": 0}

    def _verify(
        self, draw: Draw, passages: Sequence[Passage], found: Record
    ) -> Generator[Request, Completion, Drop | None]:
        """Have the question answered from the quote alone; return a drop if the answers differ."""
        if self.verify == "none":
            return None
        quote = " ".join(" ".join(item["quote"].split()) for item in found["citations"])
        answer = {"type": "string", "minLength": 1, "maxLength": self.answer_chars}
        said = yield from self._second(draw, "answer", passages, found["question"], quote, {"answer": answer})
        if isinstance(said, Drop):
            return said
        same = agreement(said, found["answer"])
        if same >= self.agree:
            return None
        return Drop("disagrees", f"{said[:80]!r} from the quote alone, not {found['answer'][:80]!r}", score=same)

    def _check(
        self, draw: Draw, passages: Sequence[Passage], found: Record
    ) -> Generator[Request, Completion, Drop | None]:
        """Ask whether the passages answer the question; return a drop if they do."""
        wanted = {"answered": {"enum": ["yes", "no"]}}
        said = yield from self._second(draw, "check", passages, found["question"], "", wanted)
        if isinstance(said, Drop) or said == "no":
            return said if isinstance(said, Drop) else None
        return Drop("answerable", f"the model says the passage answers {found['question'][:120]!r}")

    def _second(
        self, draw: Draw, kind: str, passages: Sequence[Passage], asked: str, quoted: str, wanted: Mapping[str, Any]
    ) -> Generator[Request, Completion, str | Drop]:
        """Ask about the finished question, at temperature 0; return what is said."""
        messages = self._messages(draw, self._prompts[kind], passages, asked=asked, quoted=quoted)
        seed = (draw.sampling_seed + SEED_STEP * CHECK) % 2**31
        sampling = replace(self.setting.sampling(draw), temperature=0.0, seed=seed)
        done = yield Request(draw.index, CHECK, messages, json.dumps(closed(wanted)), sampling)
        parsed = parse(done)
        said = parsed.fields.get(next(iter(wanted)))
        if isinstance(said, str) and said.strip():
            return said.strip()
        return parsed.problem or Drop("schema", f"{next(iter(wanted))} was asked for, got {done.text[:60]!r}")

    def _record(self, draw: Draw, passages: Sequence[Passage], found: Record) -> Record:
        """Return the whole record: what was found, the context, what was drawn or given."""
        own = {**found, "answer_span": answer_span(found)}
        own |= {"context": "\n\n".join(passage.text for passage in passages)}
        constants = self.setting.constants(draw)
        record: Record = {}
        for name in self.setting.schema.properties:
            value = own[name] if name in own else constants.get(name, self.setting.given(draw, name))
            record |= {name: value} if value is not None or name in own else {}
        return record
