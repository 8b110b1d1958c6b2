"""What a trainer makes of a row: the text by the model's chat template, its tokens, and which of them are trained on.

TRL's trainers render lists of messages with the tokenizer's chat template and end plain texts with its end token. In a
row with a prompt they train on what comes after the tokens that prompt and whole have in common; in a conversation, if
asked by ``assistant_only_loss``, on what the template marks with ``{% generation %}``. Here the turns of the assistant
are found without marks, by rendering the conversation up to each of them, so both can be compared.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textsynth.errors import ExportError

Kind = Literal["preference", "prompt and completion", "prompt", "messages", "text", "strings"]
Message = Mapping[str, Any]
MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")
LINE = r"(?:\n|\\n)"
END = r"<\|im_end\|>"
ROLE, CONTENT = (rf"message(?:\.{key}|\[['\"]{key}['\"]\])" for key in ("role", "content"))
TURN = re.compile(
    rf"\{{\{{-?\s*'<\|im_start\|>'\s*\+\s*{ROLE}\s*\+\s*'{LINE}'\s*\+\s*{CONTENT}\s*\+\s*"
    rf"'{END}(?:'\s*\+\s*')?{LINE}'\s*-?\}}\}}"
)
"""A whole turn in one expression, as the templates of the ChatML family write it."""
MARKED_TURN = (
    "{{- '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['role'] == 'assistant' %}{%- generation %}{{- message['content'] + '<|im_end|>' }}"
    "{%- endgeneration %}{%- else %}{{- message['content'] + '<|im_end|>' }}{%- endif %}{{- '\\n' }}"
)
CALLS = re.compile(
    r"(\{%-? elif message\.role == \"assistant\" %\})(.*?)(\{%-? elif message\.role == \"tool\" %\})", re.S
)
MARKED_CALLS = (
    ("{{- '<|im_start|>' + message.role }}", "{{- '<|im_start|>' + message.role + '\\n' }}{%- generation %}"),
    ("{{- '\\n' + message.content }}", "{{- message.content }}"),
    (
        "{{- '\\n<tool_call>",
        "{%- if message.content or not loop.first %}{{- '\\n' }}{%- endif %}{{- '<tool_call>",
    ),
    ("{{- '<|im_end|>\\n' }}", "{{- '<|im_end|>' }}{%- endgeneration %}{{- '\\n' }}"),
)
"""What changes in the branch of Qwen2.5 for turns with tool calls, each once."""
CALL = {"type": "function", "function": {"name": "look_up", "arguments": {"place": "Oslo"}}}
PROBES: tuple[list[Message], ...] = (
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " Yes? "}],
    [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "Two"},
        {"role": "assistant", "content": "2"},
    ],
    [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]},
        {"role": "tool", "content": "mild"},
        {"role": "assistant", "content": "Once more.", "tool_calls": [CALL]},
        {"role": "tool", "content": "cold"},
        {"role": "assistant", "content": "Cold."},
    ],
)
"""Conversations on which a marked template must agree with the original and with the spans found without marks."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text that a trainer makes of a row.

    Args:
        prompt: what comes before the part that is trained on, as the trainer renders it alone; ``None``: all is trained.
        spans: of a conversation the parts that are trained on, from and to which character; ``None``: no conversation.
        unclear: the spans cannot be told, as the template shows earlier turns otherwise once more turns follow.
        plain: not by a chat template, so the tokenizer adds what it always adds.
    """

    whole: str
    prompt: str | None = None
    spans: tuple[tuple[int, int], ...] | None = None
    unclear: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """The tokens of one text, and which of them are trained on.

    Args:
        offsets: from and to which character each token goes; empty where they are not needed.
        known: how many tokens come before the part that is trained on.
        merged: a token lies across the boundary of a part that is trained on, so the model would not see the same
            tokens before its answer as in training.
        spans: in characters, of a conversation; ``None``: all from ``known`` on.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...] = ()
    known: int = 0
    merged: bool = False
    spans: tuple[tuple[int, int], ...] | None = None

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which tokens are trained on: of a conversation those of which any part is the assistant's."""
        if self.spans is None:
            return tuple(at >= self.known for at in range(len(self.ids)))
        spans = self.spans
        return tuple(any(start < end and first < to for start, to in spans) for first, end in self.offsets)


def kind_of(columns: Sequence[str]) -> Kind:
    """Return what a trainer takes a row with such columns for."""
    names = set(columns)
    if {"chosen", "rejected"} <= names:
        return "preference"
    if "prompt" in names:
        return "prompt and completion" if "completion" in names else "prompt"
    return "messages" if "messages" in names else "text" if "text" in names else "strings"


def texts(tokenizer: Any, row: Mapping[str, Any]) -> list[Text]:
    """Return the texts that a trainer makes of a row: two for a preference, for most others one.

    Raises:
        ExportError: the tokenizer has no chat template, or its template refuses the messages.
    """
    kind, tools = kind_of(list(row)), read_tools(row.get("tools"))
    if kind == "preference":
        return [answered(tokenizer, row.get("prompt"), row[side], tools) for side in ("chosen", "rejected")]
    if kind == "prompt and completion":
        return [answered(tokenizer, row["prompt"], row["completion"], tools)]
    if kind == "strings":
        return [Text(value, plain=True) for value in row.values() if isinstance(value, str)]
    value = row[kind]
    if not isinstance(value, list):
        return [Text(value or "" if kind == "prompt" else ended(tokenizer, value or ""), plain=True)]
    if kind == "prompt":
        return [Text(render(tokenizer, value, tools, answer=True))]
    return [conversation(tokenizer, value, tools)]


def trained_tokens(tokenizer: Any, row: Mapping[str, Any]) -> list[Trained]:
    """Return the tokens of each text of a row, and which of them a trainer should train on.

    In a conversation these are what the assistant says, with its tool calls and the token that ends each turn; in a row
    with a prompt, what follows the prompt; elsewhere all.

    Raises:
        ExportError: no chat template, messages that it refuses, or one that shows earlier turns otherwise once more
            turns follow (those that leave out earlier thoughts do): there no prefix of a conversation is its beginning.
    """
    found = texts(tokenizer, row)
    if any(text.unclear for text in found):
        raise ExportError(
            "tokens: the chat template shows earlier turns otherwise once more turns follow, so it cannot be told "
            "which tokens are the assistant's",
            hint="export in the form prompt_completion: its last answer is always told from what goes before",
        )
    if any(text.spans for text in found) and not tokenizer.is_fast:
        raise ExportError("tokens: this tokenizer cannot tell which characters a token stands for (it is a slow one)")
    return tokenize(tokenizer, found)


def tokenize(tokenizer: Any, parts: Sequence[Text]) -> list[Trained]:
    """Return the tokens of several texts, all plain or none."""
    if not parts:
        return []
    options = {"add_special_tokens": parts[0].plain, "verbose": False}
    placed = tokenizer.is_fast and any(text.spans for text in parts)
    found = tokenizer([text.whole for text in parts], return_offsets_mapping=placed, **options)
    prompts = [text.prompt for text in parts if text.prompt is not None]
    before = iter(tokenizer(prompts, **options)["input_ids"] if prompts else ())
    offsets = found["offset_mapping"] if placed else [()] * len(parts)
    return [
        trained(text, ids, places, next(before) if text.prompt is not None else ())
        for text, ids, places in zip(parts, found["input_ids"], offsets, strict=True)
    ]


def trained(text: Text, ids: Sequence[int], offsets: Sequence[tuple[int, int]], prompt: Sequence[int]) -> Trained:
    """Return what is trained on of a text with these tokens; ``prompt`` are those of its prompt alone."""
    known = common(prompt, ids)
    merged = known < len(prompt) or across(offsets, text.spans or ())
    return Trained(tuple(ids), tuple(offsets), known, merged, text.spans)


def across(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether a token lies across the beginning of a span: part of it is not the assistant's."""
    firsts = [first for first, _ in offsets] if spans else []
    places = ((start, bisect_left(firsts, start) - 1) for start, _ in spans)
    return any(at >= 0 and offsets[at][1] > start for start, at in places)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens both begin with."""
    pairs = zip(first, second, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def read_tools(tools: Any) -> Any:
    """Return the tools of a row, which may be JSON text."""
    return json.loads(tools) if isinstance(tools, str) else tools


def ended(tokenizer: Any, text: str) -> str:
    """Return a plain text with the token at its end that tells the model to stop."""
    end = tokenizer.eos_token or ""
    return text if text.endswith(end) else text + end


def answered(tokenizer: Any, prompt: Any, answer: Any, tools: Any) -> Text:
    """Return a prompt with its answer, both plain texts or both lists of messages."""
    if not isinstance(answer, list):
        return Text((prompt or "") + ended(tokenizer, answer or ""), prompt, plain=True)
    if prompt is None:
        return Text(render(tokenizer, answer, tools))
    return Text(render(tokenizer, [*prompt, *answer], tools), render(tokenizer, prompt, tools, answer=True))


def conversation(tokenizer: Any, messages: Sequence[Message], tools: Any) -> Text:
    """Return a conversation with the parts that are the assistant's; spans are ``None`` where they cannot be told."""
    whole = render(tokenizer, messages, tools)
    spans = find_spans(tokenizer, messages, tools, whole)
    return Text(whole, spans=spans or (), unclear=spans is None)


def find_spans(
    tokenizer: Any, messages: Sequence[Message], tools: Any, whole: str
) -> tuple[tuple[int, int], ...] | None:
    """Return from and to which character each turn of the assistant goes, its end token in, a line's end after it not."""
    spans = []
    for at, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        until = render(tokenizer, messages[: at + 1], tools)
        before = render(tokenizer, messages[:at], tools, answer=True) if at else opening(tokenizer, tools, until)
        if not (until.startswith(before) and whole.startswith(until)):
            return None
        spans.append((len(before), len(without_line_end(tokenizer, until))))
    return tuple(spans)


def opening(tokenizer: Any, tools: Any, until: str) -> str:
    """Return what comes before the content of an assistant's turn that nothing goes before."""
    asked = [{"role": "user", "content": "."}]
    header = render(tokenizer, asked, tools, answer=True).removeprefix(render(tokenizer, asked, tools))
    return until[: until.find(header) + len(header)] if header in until else "\0"


def without_line_end(tokenizer: Any, text: str) -> str:
    """Return ``text`` without white space that follows a special token; other white space is part of what is said."""
    bare = text.rstrip()
    return bare if any(bare.endswith(token) for token in tokenizer.get_added_vocab()) else text


def training_template(tokenizer: Any) -> str | None:
    """Return the chat template with ``{% generation %}`` around what the assistant says, end token in.

    ``tokenizer.chat_template = training_template(tokenizer)`` makes TRL's ``assistant_only_loss=True`` work with the
    default model, whose own template has no marks. Known are the templates of the ChatML family: those that write a
    turn in one expression (SmolLM2) and Qwen2.5. The result renders the same text as the original, and marks the same
    tokens as ``trained_tokens``: that is checked on conversations with a system message, tool calls and empty content.

    Returns:
        The template, as it is if it has marks already; ``None`` if it is of no known family (TRL has templates of its
        own for some, such as Qwen3 and Llama 3) or if the marked one does not agree.
    """
    original = tokenizer.get_chat_template() if getattr(tokenizer, "chat_template", None) else ""
    if MARK.search(original):
        return original
    marked = TURN.sub(lambda _: MARKED_TURN, original)
    marked = CALLS.sub(lambda found: found[1] + mark_calls(found[2]) + found[3], marked)
    return marked if MARK.search(marked) and all(agrees(tokenizer, marked, probe) for probe in PROBES) else None


def shows_calls(tokenizer: Any) -> bool:
    """Return whether the chat template writes tool calls at all; that of SmolLM2 leaves them out without a word."""
    try:
        return "look_up" in render(tokenizer, PROBES[2][:2], None)
    except ExportError:
        return True


def mark_calls(branch: str) -> str:
    """Return the branch for turns with tool calls with marks; unchanged if it is not the one that is known."""
    if any(branch.count(old) != 1 for old, _ in MARKED_CALLS):
        return branch
    for old, new in MARKED_CALLS:
        branch = branch.replace(old, new)
    return branch


def agrees(tokenizer: Any, marked: str, messages: Sequence[Message]) -> bool:
    """Return whether a marked template renders what the original does, and marks what is the assistant's."""
    whole = render(tokenizer, messages, None)
    if render(tokenizer, messages, None, template=marked) != whole:
        return False
    found = tokenizer.apply_chat_template(
        list(messages), chat_template=marked, return_dict=True, return_assistant_tokens_mask=True
    )
    (own,) = trained_tokens(tokenizer, {"messages": list(messages)})
    return tuple(found["input_ids"]) == own.ids and tuple(map(bool, found["assistant_masks"])) == own.mask


def render(
    tokenizer: Any, messages: Sequence[Message], tools: Any, *, answer: bool = False, template: str | None = None
) -> str:
    """Return messages as the chat template writes them; with ``answer`` up to where the model's answer begins.

    Raises:
        ExportError: there is no chat template, or it refuses the messages.
    """
    from jinja2 import TemplateError

    try:
        return str(
            tokenizer.apply_chat_template(
                list(messages), tools=tools, tokenize=False, add_generation_prompt=answer, chat_template=template
            )
        )
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        if not getattr(tokenizer, "chat_template", None):
            hint = "name an instruction-tuned model, or export in the form prompt_completion"
            raise ExportError("tokens: the tokenizer has no chat template for messages", hint=hint) from error
        roles = ", ".join(str(message.get("role")) for message in messages)
        raise ExportError(
            f"tokens: the chat template refuses a conversation with the roles {roles}: {error}",
            hint="a trainer would stop there too: name another model, or change the roles and contents",
        ) from error
