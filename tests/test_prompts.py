"""Templates: the library is whole, the sandbox holds, and what a template lacks is said all at once."""

from __future__ import annotations

import json

import pytest
import yaml
from jinja2 import meta

import textsynth as ts
from textsynth import prompts
from textsynth.errors import RecipeError
from textsynth.methods import STANDARD_VARIABLES, Method
from textsynth.methods.dialogue import Dialogue
from textsynth.prompts import ENVIRONMENT, Prompt, load, parse
from textsynth.recipe import StrictLoader

LIBRARY = prompts.library()
OFFERED = {
    "index": 3,
    "attributes": {"sentiment": "very_good", "tone": "calm"},
    "sentiment": "very_good",
    "tone": "calm",
    "seeds": [{"text": "A real one", "sentiment": "bad"}, {"text": "Another", "sentiment": "good"}],
    "fields": ("text", "sentiment"),
    "schema": {"properties": {"text": {"description": "what was said"}, "sentiment": {}}},
}
PASSAGE = {"title": "Bees", "section": "Honey", "text": "Bees fly.", "sentences": [{"number": 1, "text": "Bees fly."}]}
LISTS = {"passages": [PASSAGE], "facts": ["Bees fly."], "path": [], "known": [], "tools": [], "calls": []}
METHOD = {"role": "agent", "other": "customer", "turns": 4, "transcript": "Customer: hi\nAgent: hello"}


def documented(prompt: Prompt) -> dict[str, str]:
    return {name: LISTS.get(name, "sentiment" if name == "label" else f"some {name}") for name in prompt.variables}


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(RecipeError) as caught:
        call(*arguments, **options)
    return str(caught.value)


# --- the library -----------------------------------------------------------------------------------------------------


def test_the_library_has_templates_for_each_kind_of_work():
    assert {"records/from_schema", "records/from_examples", "dialogue/customer", "text/for_label"} <= set(LIBRARY)


@pytest.mark.parametrize("name", LIBRARY)
def test_a_shipped_template_says_what_it_is_for_and_what_it_uses(name):
    prompt = load(name, folder=prompts.library_folder())
    assert prompt.purpose and prompt.name == name
    known = {*STANDARD_VARIABLES, *Dialogue().variables(), *prompt.variables}
    assert prompt.undefined(known) == []
    used = set().union(*(meta.find_undeclared_variables(ENVIRONMENT.parse(text)) for text in prompt.texts().values()))
    assert set(prompt.variables) <= used, "nothing is documented that is not used"
    assert used - known <= {"seed", "answer"}


@pytest.mark.parametrize("seeds", [OFFERED["seeds"], []])
@pytest.mark.parametrize("name", LIBRARY)
def test_a_shipped_template_renders_with_and_without_what_is_optional(name, seeds):
    prompt = LIBRARY[name]
    required = {k: v for k, v in documented(prompt).items() if "(optional)" not in prompt.variables[k]}
    for given in (documented(prompt), required):
        messages = prompt.render({**METHOD, **OFFERED, "seeds": seeds, **given})
        may_be_empty = "empty without" in prompt.purpose
        assert messages[-1]["role"] == "user" and (may_be_empty or all(m["content"].strip() for m in messages))
        assert all("{{" not in m["content"] and "{%" not in m["content"] for m in messages)


@pytest.mark.parametrize("name", [name for name, prompt in LIBRARY.items() if prompt.example])
def test_the_example_recipe_of_a_shipped_template_is_one(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"row {i}", "label": "spam"} for i in range(5)]
    (tmp_path / "messages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = yaml.load(LIBRARY[name].example, Loader=StrictLoader)
    if "profile" in data:
        real = [{"text": f"Row {i} has {i % 7} words or so", "label": "ab"[i % 2]} for i in range(60)]
        ts.fit(real, embeddings=None).save(tmp_path / "profile")
        data["profile"] = {"folder": data["profile"], "data": "real.jsonl"}
        (tmp_path / "real.jsonl").write_text("".join(json.dumps(row) + "\n" for row in real))
    assert ts.check({"prompt": name, **data, "model": "scripted"}).steps[0].prompt.name == name


@pytest.mark.parametrize("kind", [Method, Dialogue])
def test_what_a_method_uses_by_default_is_in_the_library(kind):
    assert not kind.default_prompt or kind.default_prompt in LIBRARY


# --- loading ---------------------------------------------------------------------------------------------------------


def test_a_prompt_is_a_name_a_file_or_the_text_itself(tmp_path):
    (tmp_path / "mine.md").write_text("---\nsystem: Be brief.\n---\nWrite {{ x }}.\n")
    assert load("records/from_schema", folder=tmp_path).purpose
    assert load("mine.md", folder=tmp_path).system == "Be brief."
    assert load("Write {{ x }}.", folder=tmp_path).body == "Write {{ x }}."
    assert load("Hello", folder=tmp_path).render({})[-1]["content"] == "Hello"


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("records/from_schem", "did you mean records/from_schema?"),
        ("nowhere.jinja", "unknown name 'nowhere.jinja'"),
        ("a\nb {% for %}", "line 2"),
        ("a {{ x | jsn }}", "jsn"),
        ("{% if x %}", "line 1"),
        ("---\nsytem: x\n---\nbody", "did you mean system?"),
        ("---\nsystem: [\n---\nbody", "not valid YAML"),
        ("---\nJust a line\n---\nbody", "must be a mapping"),
        ("---\nshot: {user: a}\n---\nbody", "user and assistant"),
        ("---\nsystem: '{% if %}'\n---\nbody", "line 1"),
    ],
)
def test_a_template_that_is_wrong_is_refused_with_its_place(source, part, tmp_path):
    assert part in refusal(load, source, folder=tmp_path)


@pytest.mark.parametrize(
    "prompt",
    [
        *LIBRARY.values(),
        Prompt("x", "plain"),
        Prompt("x", "---\nbody with rules\n---\nmore", system="say: 'no'\n---\n{{ x }}"),
        Prompt("123", "b", system="ünï «»", shot={"user": "{{ seed }}", "assistant": "{{ answer | json }}"}),
        Prompt("x", "", system=" "),
    ],
    ids=lambda p: p.name,
)
def test_a_template_written_out_and_loaded_again_gives_the_same_messages(prompt, tmp_path):
    again = load(prompt.dump(), folder=tmp_path)
    assert (again.name, again.system, again.shot, again.body.strip()) == (
        prompt.name,
        prompt.system,
        prompt.shot,
        prompt.body.strip(),
    )
    variables = {**METHOD, **OFFERED, **documented(prompt), "x": "x"}
    assert again.render(variables) == prompt.render(variables)


def test_the_hash_changes_with_every_text():
    shot = {"user": "u", "assistant": "a"}
    made = [Prompt("x", "b"), Prompt("x", "c"), Prompt("x", "b", system="s"), Prompt("x", "b", shot=shot)]
    assert len({p.sha256 for p in made}) == 4
    assert Prompt("y", "b", purpose="other").sha256 == Prompt("x", "b").sha256


# --- rendering -------------------------------------------------------------------------------------------------------


def test_system_shots_and_body_become_messages_in_this_order():
    prompt = parse(
        "---\nsystem: You are {{ tone }}.\nshot: {user: 'Like {{ seed.text }}?', assistant: '{{ answer | json }}'}\n---\nNow.",
        name="x",
    )
    messages = prompt.render({**OFFERED, "fields": ("text",)})
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[0]["content"] == "You are calm."
    assert messages[1]["content"] == "Like A real one?"
    assert json.loads(messages[2]["content"]) == {"text": "A real one"}
    assert messages[-1]["content"] == "Now."


def test_all_variables_that_are_missing_are_named_at_once():
    prompt = parse("---\nsystem: '{{ tonne }} {{ fine }}'\n---\n{{ topc }} {{ zebra }} {{ fine }}", name="x")
    assert prompt.undefined({"tone", "topic", "fine"}) == [
        "tonne (did you mean tone?)",
        "topc (did you mean topic?)",
        "zebra",
    ]


def test_a_variable_that_is_asked_for_or_has_a_default_is_not_needed():
    text = "{{ a | default('x') }}{% if b is defined %}{{ b }}{% endif %}{% for c in seeds %}{{ c }}{% endfor %}{% set d = 1 %}{{ d }}"
    assert Prompt("x", text).undefined({"seeds"}) == []
    assert Prompt("x", text).render({"seeds": []})[-1]["content"] == "x1"


def test_what_a_shot_is_offered_is_not_offered_to_the_body():
    prompt = Prompt("x", "{{ answer }}", shot={"user": "{{ seed }}", "assistant": "{{ answer }} {{ lost }}"})
    assert prompt.undefined({"fields"}) == ["answer", "lost"]


def test_text_is_not_changed_on_the_way():
    assert Prompt("x", "{{ a }}").render({"a": "<b> & 'ü'"})[-1]["content"] == "<b> & 'ü'"
    assert Prompt("x", "{{ a | json }}").render({"a": {"ü": ["<", 1, None]}})[-1]["content"] == '{"ü":["<",1,null]}'


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ seeds.__init__ }}",
        "{{ (seeds | map(attribute='__class__') | first).__name__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{{ range(100000000) | list }}",
    ],
)
def test_a_template_gets_at_nothing_but_its_variables(text):
    assert "cannot be rendered" in refusal(Prompt("x", text).render, OFFERED)


@pytest.mark.parametrize(
    "text", ["{{ seeds[9].text }}", "{{ 1 / 0 }}", "{{ a.b }}", "{{ index + 'x' }}", "{{ index() }}"]
)
def test_a_template_that_fails_names_itself(text):
    assert refusal(Prompt("mine", text).render, OFFERED).startswith("prompt mine: cannot be rendered: ")
