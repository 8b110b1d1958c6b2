"""The filters that read what a text says: repetition, boilerplate, language, encoding, readability, roles, toxicity."""

import copy
import time

import pytest
from test_filters import candidate, candidates, make, setting

from textsynth.errors import ModelError, RecipeError
from textsynth.records import Drop, Edit

REAL = [  # banking77 (CC BY 4.0), CFPB complaints (public domain), SMS Spam Collection, casino (CC BY 4.0)
    "I am still waiting on my card?",
    "What can I do if my card still hasn't arrived after 2 weeks?",
    "My name is XXXX XXXX XXXX I live at XXXX XXXX XXXX XXXX XXXX SC XXXX My DOB XXXX my SS XXXX. I have addresses on my "
    "credit report that are not mine. The accounts opened on XX/XX/XXXX and XX/XX/XXXX and XX/XX/XXXX and XX/XX/XXXX "
    "are not mine and should be removed.",
    "Ok lar... Joking wif u oni...",
    "U dun say so early hor... U c already then say...",
    "Hello there! Are you getting excited for your upcoming trip?! I am so very excited to test my skills!",
    "Great! Can I take 2 and you can have 1?? I am willing to give you 2 of the water then!",
]
HOSTILE = [
    *("", " \n\t ", "\x00" * 50, "\ud800 lone \udfff", "\u202eright to left\u202c", "\u0301\u0301", "👍🏽" * 40),
    *("x" * 1_000_000, "a " * 500_000, "a b. " * 200_000, "[" * 1_000_000, "<|" * 500_000, "é" * 1_000_000),
    *("Agent" * 200_000, "note " * 200_000, "\n" * 1_000_000, "**" * 500_000, "# " * 500_000, "&" * 1_000_000),
]
ODD = [
    {"body": {"deep": [["text", None, 3], {"more": {"text": ["x"]}}]}, "product": "phone"},
    {"body": [{"role": "user"}, {"role": 3, "content": "x"}, "x", None, {"content": "x"}]},
    {"body": None, "subject": 3},
    {},
    None,
]
OPTIONS = {"readability": {"min_grade": 1, "max_grade": 12}}
NAMES = ["boilerplate", "encoding", "language", "readability", "repetition", "roles"]


@pytest.fixture(scope="module", params=NAMES)
def content(request):
    made = make(request.param, **OPTIONS.get(request.param, {}))
    made.start()
    return made


def found_in(made, *texts):
    return [found and found.detail for found in made.check(candidates(texts))]


def test_order_sameness_and_no_change_on_odd_records(content):
    batch = [candidate(i, record) for i, record in enumerate([*ODD, *({"body": text} for text in HOSTILE[:7])])]
    before = copy.deepcopy(batch)
    first = list(content.check(batch))
    assert batch == before and len(first) == len(batch)
    assert first == list(content.check(batch)) and first[::-1] == list(content.check(batch[::-1]))
    assert [content.check([item])[0] for item in batch] == first
    assert list(content.check([])) == []


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_text_takes_less_than_a_second(content, number):
    batch = [candidate(0, HOSTILE[number]), candidate(1, {"body": [{"role": "user", "content": HOSTILE[number]}] * 2})]
    for item in batch:
        before = time.process_time()
        assert len(content.check([item])) == 1
        assert time.process_time() - before < 1


@pytest.mark.parametrize("name", NAMES)
def test_real_texts_pass(name):
    if name != "readability":
        assert found_in(make(name), *REAL) == [None] * len(REAL)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("repetition", {"loops": 1}, "loops must be at least 2, got 1"),
        ("repetition", {"max_lines": 30}, "max_lines must be between 0 and 1, got 30"),
        ("boilerplate", {"allow": ["("]}, "not a regular expression"),
        ("language", {"languages": []}, "at least one language"),
        ("language", {"min_confidence": 90}, "between 0 and 1, got 90"),
        ("language", {"min_letters": 0}, "min_letters must be at least 1"),
        ("readability", {}, "give min_grade, max_grade or both"),
        ("readability", {"min_grade": 9, "max_grade": 5}, "max_grade must be at least min_grade 9, got 5"),
        ("readability", {"max_grade": 5, "formula": "flesch"}, "ari"),
        ("roles", {"in_a_row": 0}, "in_a_row must be at least 1, got 0"),
        ("roles", {"speakers": [" "]}, "must be names"),
        ("toxicity", {}, "model"),
        ("toxicity", {"model": "m", "threshold": 85}, "did you mean 0.85"),
        ("toxicity", {"model": "m", "labels": []}, "at least one label"),
        ("encoding", {"action": "mend"}, "action"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises((RecipeError, TypeError), match=message):
        make(name, **options)


@pytest.mark.parametrize("name", [*NAMES, "toxicity"])
def test_fields_that_do_not_exist_are_refused(name):
    options = {"model": "m"} if name == "toxicity" else OPTIONS.get(name, {})
    with pytest.raises(ValueError, match=r"unknown name 'bdy' \(did you mean body\?\)"):
        make(name, fields=["bdy"], **options)


# repetition ---------------------------------------------------------------------------------------------------------

LETTER = "I opened the account last spring and paid every month on time, yet the bank closed it without a word to me. "
LETTER += (
    "When I called they said a letter had been sent, but none ever came, and nobody could tell me who had signed it "
)
LETTER += "or where my money went after the branch in town shut down for good."


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("I want my money my my my my my now", '"my" 5 times in a row'),
        ("please call me please call me please call me", '"please call me" 3 times in a row'),
        ("We are so sorry. Yes? We are so sorry. No! We are so sorry.", '3 times "we are so sorry"'),
        (
            f"{LETTER} {LETTER[:80]}, {LETTER[:80]}.",
            '0.26 of the words are "i opened the account last spring and paid" (at most 0.14)',
        ),
        ("\n".join([LETTER, LETTER, "end"]), "0.33 of the lines repeat (max_lines 0.3)"),
        (
            " ".join(f"the big dog {word}" for word in LETTER.split()[:30]),
            '0.50 of the words are "the big" (at most 0.2)',
        ),
    ],
)
def test_repetition_is_named(text, detail):
    assert found_in(make("repetition"), "Fine.", text, LETTER) == [None, detail, None]


@pytest.mark.parametrize(
    "text",
    [
        "XXXX " * 30,
        "from XX/XX/XXXX to XX/XX/XXXX to XX/XX/XXXX to XX/XX/XXXX",
        "and XXXX and XXXX and XXXX and XXXX and XXXX",
        "Name ____ ____ ____ ____ ____ ____",
        "no no no no, that is very very very very good",
        "please call me please call me",
        "Thank you. Thank you. Then thank you.",
    ],
)
def test_masked_and_merely_emphatic_words_are_no_repetition(text):
    assert found_in(make("repetition"), text) == [None]


def test_repetition_does_not_depend_on_the_rest_of_the_window():
    texts = [
        f"text {number} goes on and on" if number % 7 else "so it goes so it goes so it goes" for number in range(600)
    ]
    found = make("repetition").check(candidates(texts))
    assert [row for row, answer in enumerate(found) if answer] == list(range(0, 600, 7))
    assert found_in(make("repetition"), "so it goes", "so it goes", "so it goes") == [None] * 3


def test_repetition_loops_can_be_set():
    text = "call me back call me back now"
    assert found_in(make("repetition", loops=2), text) == ['"call me back" 2 times in a row']


# boilerplate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("I lost my card.<|im_end|>\n<|im_start|>assistant", "<|im_end|>"),
        ("I lost my card.<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("<start_of_turn>model\nHi", "<start_of_turn>"),
        ("[INST] Write a query [/INST]", "[INST]"),
        ("I lost my card. </s>", "</s>"),
        ("The user wants a query.</think>I lost my card", "</think>"),
        ("### Response:\nI lost my card", "### Response:"),
        ("**Answer:** I lost my card", "**Answer:**"),
        ("I lost it.\n\nNote: This message is entirely fictional.", "Note: This message is entirely fictional"),
        ("I lost it. Let me know if you’d like me to revise it.", "Let me know if you'd like me to revise"),
        ("I lost it. Feel free to modify the placeholders.", "Feel free to modify the placeholders"),
        ("I lost it.\n(Word count: 112)", "(Word count: 112"),
        (
            "This message meets all of the specified requirements.",
            "This message meets all of the specified requirements",
        ),
        ("Here's a possible message from her:\nMy card is lost", "Here's a possible message from her:"),
        ("You are a helpful AI assistant.", "You are a helpful AI assistant"),
    ],
)
def test_boilerplate_is_quoted(text, quote):
    (found,) = found_in(make("boilerplate"), text)
    assert found.endswith(f' in body: "{quote}"')


@pytest.mark.parametrize(
    "text",
    [
        "Let me know if you need me to send the form.",
        "Feel free to call me any time.",
        "Note that this account is in my name.",
        "The answer: no. My response: none.",
        "Here is the message they sent me: you owe us money",
        "<s>20 euros</s> now 10 euros",
        "# Output\n## Input files",
        "a <| b |> c and x |> f",
        "I thought my assistant had sent the response.",
    ],
)
def test_boilerplate_is_not_seen_in_ordinary_text(text):
    assert found_in(make("boilerplate"), text) == [None]


def test_boilerplate_allows_what_the_user_says():
    made = make("boilerplate", allow=[r"im_\w+"])
    assert found_in(made, "use <|im_start|> here", "use <|im_start|> and <|eot_id|>")[0] is None
    assert "eot_id" in found_in(made, "use <|im_start|> and <|eot_id|>")[0]


# language -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("fr", "Bonjour, je voudrais savoir pourquoi ma carte n'est pas encore arrivée."),
        ("de", "Guten Tag, warum ist meine Karte noch nicht angekommen?"),
        ("es", "Hola, quisiera saber por qué mi tarjeta no ha llegado todavía."),
        ("nl", "Hallo, waarom is mijn kaart nog niet aangekomen?"),
    ],
)
def test_language_names_another_language_and_passes_its_own(code, text):
    english = "Hello, I would like to know why my card has not arrived yet."
    assert found_in(make("language"), text, english)[0].startswith(f"{code} rather than en (confidence ")
    assert found_in(make("language"), text, english)[1] is None
    assert found_in(make("language", languages=[code]), text)[0] is None
    assert found_in(make("language", languages=[code]), english)[0].startswith("en rather than")
    assert found_in(make("language", languages=["en", code]), text, english) == [None, None]


def test_language_tells_scripts_apart_without_asking():
    made = make("language")
    made._detector = object()  # asking it would fail
    found = found_in(made, "Καλημέρα, η κάρτα μου δεν έφτασε ακόμη", "Здравствуйте, моя карта ещё не пришла", REAL[1])
    assert [text and "letters are not Latin" in text for text in found] == [True, True, None]


def test_language_leaves_names_and_single_words_alone():
    assert found_in(make("language"), "Ja, natürlich", "Anna Müller", "4532 1143 8765 3210 / 12", "") == [None] * 4


def test_language_does_not_take_names_links_and_code_for_a_language():
    texts = [
        "João Martins Pena and Francisca de Paula Julieta Pena was born in Rio de Janeiro , to Martins Pena .",
        "Billing address: Sara Schwarz\n28245 Puruntie 82 Apt. 595\nLAPPEENRANTA",
        "https://open.spotify.com/playlist/37i9dQZF1DX9XIFQuFvzM4 <img src=url/> rnbqkbnr/pp1ppppp/8/2p5",
    ]
    assert found_in(make("language"), *texts) == [None] * 3
    assert found_in(make("language"), "ICH WARTE NOCH IMMER AUF MEINE KARTE, WARUM?")[0].startswith("de")


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match=r"languages: unknown name 'eng'"):
        make("language", languages=["eng"])


# encoding -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "fixed"),
    [
        ("The cafÃ© is closed", "mojibake", "The café is closed"),
        ("Tom &amp; Anna", "HTML entity &amp;", "Tom & Anna"),
        ("caf\\u00e9 first", "escape \\u00e9", "café first"),
        ("half \ufffd lost", "replacement character U+FFFD", None),
        ("a \x07 bell", "control character U+0007", "a  bell"),
    ],
)
def test_broken_characters_are_named_and_repaired_where_they_can_be(text, kind, fixed):
    (dropped,) = make("encoding").check([candidate(0, text)])
    (repaired,) = make("encoding", action="fix").check([candidate(0, text)])
    assert kind in dropped.detail and dropped.detail.endswith(" in body")
    if fixed is None:
        assert isinstance(repaired, Drop) and "cannot be repaired" in repaired.detail
    else:
        assert isinstance(repaired, Edit) and repaired.record == {"product": "router", "body": fixed}


def test_sound_text_of_any_script_is_not_broken():
    sound = ["Ünïcode “quotes” – dash", "我想退款", "שלום", "किताब", "👍🏽 ok", "R&D; A&B", "C:\\new\\users"]
    assert found_in(make("encoding"), *sound) == [None] * len(sound)


# readability --------------------------------------------------------------------------------------------------------

EASY = "The cat sat on the mat. The dog ran to the cat. It was a hot day. We all had fun in the sun. Then we went home."
HARD = "Notwithstanding the aforementioned contractual stipulations, the undersigned beneficiaries acknowledge that "
PLAIN = (
    "The bank closed my account without any reason last week. I asked for a letter about it. Nobody could answer me."
)
HARD += "supplementary documentation concerning jurisdictional arrangements constitutes an indispensable prerequisite."


@pytest.mark.parametrize("formula", ["ari", "coleman_liau"])
def test_readability_names_the_bound_that_is_broken(formula):
    made = make("readability", min_grade=1, max_grade=12, formula=formula, min_words=10)
    easy, hard, plain = made.check(candidates([EASY, HARD, PLAIN]))
    assert easy.detail.endswith("below min_grade 1") and easy.score < 1
    assert hard.detail.endswith("above max_grade 12") and hard.score > 12
    assert plain is None


def test_readability_is_the_published_formula():
    text = "one two three four. five six seven eight nine ten."  # 10 words, 39 letters, 2 sentences
    (ari,) = make("readability", max_grade=-20, min_words=1).check([candidate(0, text)])
    (liau,) = make("readability", max_grade=-20, min_words=1, formula="coleman_liau").check([candidate(0, text)])
    assert ari.score == pytest.approx(4.71 * 3.9 + 0.5 * 5 - 21.43)
    assert liau.score is not None and liau.score == pytest.approx(0.0588 * 390 - 0.296 * 20 - 15.8)


def test_readability_does_not_judge_short_texts_or_scripts_without_spaces():
    made = make("readability", max_grade=-100)
    assert found_in(made, "Too short.", "我想退款。" * 30 + " a" * 30, EASY)[:2] == [None, None]
    assert found_in(made, EASY)[0]


# roles --------------------------------------------------------------------------------------------------------------

CHAT = {"type": "object", "properties": {"messages": {"type": "array"}, "other": {}}}


def dialogue(*turns, keys=("role", "content"), start=0):
    names = ("user", "assistant")
    return {"messages": [{keys[0]: names[(start + i) % 2], keys[1]: turn} for i, turn in enumerate(turns)]}


def roles_of(record, **options):
    (found,) = make("roles", given=setting(document=CHAT), **options).check([candidate(0, record)])
    return found and found.detail


SOUND = ("My card is lost.", "I'm sorry to hear that. How can I help you?", "Block it, please.", "Done. Anything else?")


def test_a_dialogue_in_which_each_says_its_own_passes():
    assert roles_of(dialogue(*SOUND)) is None
    assert (
        roles_of({"messages": [{"role": "system", "content": "You are an agent."}, *dialogue(*SOUND)["messages"]]})
        is None
    )
    assert roles_of(dialogue("Thank you!", "Bye.", "Thank you!", "Bye.")) is None
    assert roles_of({"messages": "User: hi\nAgent: hi", "other": [1, None, {"role": "user"}]}) is None


@pytest.mark.parametrize(
    ("turns", "detail"),
    [
        (("My card is lost.\nAgent: Which one?", "The blue one"), 'messages: turn 0 (user) has a line of "Agent"'),
        (("Hi", "Hello.\n**Customer:** my card"), 'messages: turn 1 (assistant) has a line of "Customer"'),
        (("Hi", "Customer 2: hello"), 'messages: turn 1 (assistant) has a line of "Customer 2"'),
        (("Hello, how can I help you today?", "Hi"), 'messages: turn 0 (user) says "how can I help you"'),
        (("Thanks for calling Acme!", "Hi"), 'messages: turn 0 (user) says "Thanks for calling "'),
        (
            ("I lost my card", "Which card?", "i lost my card", "ok"),
            'messages: turn 2 (user) repeats turn 0: "i lost my card"',
        ),
        (("I lost my card", "I lost my card"), 'messages: turn 1 (assistant) repeats turn 0: "I lost my card"'),
    ],
)
def test_mixed_up_roles_are_named(turns, detail):
    assert roles_of(dialogue(*turns)) == detail
    assert roles_of(dialogue(*turns, keys=("from", "value"))) == detail


def test_one_role_that_speaks_too_often_in_a_row():
    messages = [{"role": "user", "content": text} for text in ("Hi", "I lost my card", "please")]
    assert roles_of({"messages": messages[:2]}) is None
    assert (
        roles_of({"messages": messages[:2]}, in_a_row=1)
        == "messages: turn 1 is number 2 in a row of the user (in_a_row 1)"
    )
    assert roles_of({"messages": messages}).endswith("turn 2 is number 3 in a row of the user (in_a_row 2)")


def test_roles_knows_the_users_own_names():
    turns = ("My card is lost.\nRosa: Which one?", "The blue one")
    assert roles_of(dialogue(*turns)) is None
    assert roles_of(dialogue(*turns), speakers=["Rosa"]) == 'messages: turn 0 (user) has a line of "Rosa"'
    assert roles_of(dialogue("How can I help you?", "Hi"), asking=[]) is None


# toxicity -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A tiny classifier with random weights: its answers mean nothing, but they are the same each time."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    folder = tmp_path_factory.mktemp("model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bad", "good", "x"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=16, id2label={0: "clean", 1: "toxic"}, label2id={"clean": 0, "toxic": 1},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


def test_toxicity_drops_by_the_models_probability(tiny_model):
    texts = ["good", "bad bad", "x " * 200, "", "bad \ud800"]
    everything = make("toxicity", model=tiny_model, threshold=0.0001)
    everything.start()
    found = everything.check(candidates(texts))
    assert [answer is None for answer in found] == [False, False, False, True, False]
    assert all(0 < answer.score < 1 and answer.detail.startswith("toxic 0.") for answer in found if answer)
    middle = sorted(answer.score for answer in found if answer)[2]
    some = make("toxicity", model=tiny_model, threshold=middle)
    assert [a is not None for a in some.check(candidates(texts))] == [
        a is not None and a.score >= middle for a in found
    ]
    single = [everything.check([item])[0] for item in candidates(texts)]
    assert [a and round(a.score, 4) for a in single] == [a and round(a.score, 4) for a in found]
    assert list(everything.check([])) == [] and everything.check([candidate(0, None)]) == [None]


def test_a_model_or_label_that_does_not_exist_is_named(tiny_model, tmp_path):
    with pytest.raises(ModelError, match=r"toxicity.labels: unknown name 'toxi' \(did you mean toxic\?\)"):
        make("toxicity", model=tiny_model, labels=["toxi"]).start()
    with pytest.raises(ModelError, match="cannot be loaded"):
        make("toxicity", model=str(tmp_path)).start()
