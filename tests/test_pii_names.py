import importlib.util
import json
from itertools import pairwise

import pytest

from textsynth.errors import MissingPackageError, ModelError
from textsynth.pii import names
from textsynth.pii.names import Entity, to_findings, to_type

spacy = pytest.mark.skipif(names.problem("spacy") != "", reason="needs spaCy and an English pipeline")
TEXT = "Anna Schmidt's brother moved to Berlin for Siemens AG. He is German."


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        *[
            ("B-PER", "PERSON"),
            ("PERSON", "PERSON"),
            ("first_name", "PERSON"),
            ("GPE", "LOCATION"),
            ("I-LOC", "LOCATION"),
        ],
        *[("city", "LOCATION"), ("ORG", "ORGANIZATION"), ("NORP", "NRP"), ("street address", "ADDRESS")],
        *[("DATE", None), ("O", None), ("LABEL_0", None), ("MISC", None)],
    ],
)
def test_labels_of_models_become_our_types(label, kind):
    assert to_type(label) == kind


def test_a_span_loses_the_marks_around_it_and_the_possessive():
    text = 'by "Anna Schmidt\'s", 1234'
    (found,) = to_findings(text, [Entity("PER", 3, 19, 0.7), Entity("PER", 21, 25), Entity("DATE", 0, 2)], offset=100)
    assert (text[found.start - 100 : found.end - 100], found.score, found.level) == ("Anna Schmidt", 0.7, "model")


@spacy
def test_spacy_finds_names_with_their_offsets():
    long = "Nothing here. " * 400 + TEXT
    first, half, empty, far = names.load("spacy").find([TEXT, "\ud800 😀 John Smith", "", long])
    assert [(TEXT[f.start : f.end], f.type) for f in first] == [
        ("Anna Schmidt", "PERSON"),
        ("Berlin", "LOCATION"),
        ("Siemens AG", "ORGANIZATION"),
        ("German", "NRP"),
    ]
    assert [("\ud800 😀 John Smith"[f.start : f.end], f.type) for f in half] == [("John Smith", "PERSON")]
    assert empty == [] and "Berlin" in {long[f.start : f.end] for f in far}


def test_a_token_classification_model_is_loaded_from_its_folder(tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "anna", "met", "bob", "in", "rome", "."]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    labels = {0: "B-PER", 1: "B-LOC"}
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, id2label=labels, label2id={v: k for k, v in labels.items()},
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.BertForTokenClassification(config).save_pretrained(tmp_path)
    text = "Anna met Bob in Rome. " * 40
    short, long = names.load(str(tmp_path)).find([text[:21], text])
    for source, found in ((text[:21], short), (text, long)):
        assert found and all(f.type in {"PERSON", "LOCATION"} and source[f.start : f.end].strip() for f in found)
    assert long[-1].end > 800, "what lies beyond the model's window is read too"
    assert all(one.end <= two.start for one, two in pairwise(long))


def test_a_model_that_knows_no_names_is_refused(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    config = transformers.BertConfig(
        vocab_size=6, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertForTokenClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="none of the labels"):
        names.load(str(tmp_path)).find(["a"])


def test_what_is_missing_is_said_without_loading_anything(tmp_path):
    assert "not installed" in names.problem("spacy:xx_no_such_pipeline") or importlib.util.find_spec("spacy") is None
    assert "no folder" in names.problem(str(tmp_path / "none"))
    assert names.problem("gliner:") and names.problem("gliner")
    for kind, package in (("gliner:some/model", "gliner"), ("presidio", "presidio_analyzer")):
        if importlib.util.find_spec(package) is None:
            with pytest.raises(MissingPackageError, match=package):
                names.load(kind)


def test_a_folder_that_is_no_model_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        names.load(str(tmp_path)).find(["Anna"])


@spacy
def test_presidio_gives_the_same_types():
    if importlib.util.find_spec("presidio_analyzer") is None:
        pytest.skip("needs presidio-analyzer")
    (found,) = names.load("presidio").find([TEXT])
    assert {(TEXT[f.start : f.end], f.type) for f in found} >= {("Anna Schmidt", "PERSON"), ("Berlin", "LOCATION")}
