import argparse
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from textsynth.assemble import assemble
from textsynth.cli import tune as cli
from textsynth.errors import ModelError, RecipeError
from textsynth.profile import Profile, fit
from textsynth.recipe import parse
from textsynth.tuning import Alarm, Look, Training, judge, read_pairs, tune
from textsynth.tuning._alarms import Scores, Sides, alarms, giveaway, recitation
from textsynth.tuning._looks import stale
from textsynth.tuning._reading import UNLEARNT, longest_run, running_text, tokenise
from textsynth.tuning._rows import refuse_few, tuning_recipe

DATA = Path(__file__).parent / "data" / "evaluate"
TRAINS = pytest.mark.skipif(
    not (importlib.util.find_spec("trl") and importlib.util.find_spec("peft")), reason="needs the extra train"
)
QUICK = Training(epochs=4, rank=32, rate=1e-2, batch=8, limit=24, looks=2, watched=24, texts=8, longest=400)


@pytest.fixture(scope="module")
def profile(tmp_path_factory) -> Path:
    """A profile of 200 questions of bank customers with their intents."""
    folder = tmp_path_factory.mktemp("tune")
    rows = [json.loads(line) for line in (DATA / "banking_real.jsonl").read_text().splitlines()]
    rows = [{"id": f"C-{4000 + n}", **row} for n, row in enumerate(rows)]
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fit(rows, embeddings=None, source=str(file)).save(folder / "profile")
    return folder / "profile"


@pytest.fixture(scope="module")
def small_model(tmp_path_factory) -> str:
    """A model of 2 layers with random weights and 800 tokens: it learns nothing useful, but it can memorise."""
    from textsynth.engines.vllm import hide_broken_torchvision

    hide_broken_torchvision()
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<pad>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=800, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator((DATA / "banking_other.jsonl").read_text().splitlines(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<pad>")
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, bos_token_id=None, eos_token_id=2, pad_token_id=0, max_position_embeddings=512,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def pairs(profile: Path, **keys):
    return read_pairs(profile, **{"data": "", "model": "default", "limit": None, "seed": 0} | keys)


# --- prompts and completions -----------------------------------------------------------------------------------------


def test_a_real_row_is_asked_for_as_a_run_with_the_profile_asks_for_a_drawn_one(profile):
    recipe = parse({"records": 4, "profile": {"folder": str(profile), "shots": 0}}, Path.cwd())
    parts = assemble(recipe, dry_run=True)
    draw = parts.plan.next_window()[0]
    asked = next(parts.method.run(draw)).messages
    learnt = pairs(profile).train[0].messages
    assert [m["role"] for m in learnt] == [m["role"] for m in asked]
    assert learnt[0] == asked[0]
    heads = [[line.split(":")[0] for line in m[1]["content"].splitlines()] for m in (learnt, asked)]
    assert sorted(heads[0]) == sorted(heads[1])
    attributes = dict(draw.attributes)
    for pair in pairs(profile).train[:5]:
        shown = dict(line.split(": ", 1) for line in pair.messages[1]["content"].splitlines()[1:])
        attributes |= {"category": shown["category"], "id": shown["id"]}
        attributes["text#words"] = int(shown["length of text"].split()[0])
        again = next(parts.method.run(replace(draw, attributes=attributes))).messages
        assert again == pair.messages


def test_the_completion_is_what_constrained_decoding_can_write_and_nothing_is_taken_from_report(profile):
    llguidance = pytest.importorskip("llguidance")
    found = pairs(profile)
    parts = assemble(tuning_recipe(profile, "", "default"), dry_run=True, purpose="read")
    schema = parts.method.setting.decoding(frozenset(["text"]))
    grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
    tokenizer = llguidance.LLTokenizer("byte")
    for pair in found.train[:20]:
        matcher = llguidance.LLMatcher(tokenizer, grammar)
        assert matcher.consume_tokens(list(pair.completion.encode())), pair.completion
        assert matcher.is_accepting()
    rows = [json.loads(line) for line in (profile.parent / "rows.jsonl").read_text().splitlines()]
    split = {name: {rows[at]["text"] for at in Profile.load(profile).split(name)} for name in ("train", "steer")}
    assert {json.loads(pair.completion)["text"] for pair in found.train} == split["train"]
    assert {json.loads(pair.completion)["text"] for pair in found.heldout} == split["steer"]


def test_real_ids_and_values_too_rare_to_tell_stand_in_no_prompt(tmp_path):
    rows = [json.loads(line) for line in (DATA / "banking_real.jsonl").read_text().splitlines()]
    kinds = ["retail"] * 120 + ["business"] * 79 + ["the King of Redonda"]
    rows = [{"id": f"C-{4000 + n}", "kind": kind, **row} for n, (row, kind) in enumerate(zip(rows, kinds, strict=True))]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for seed in range(20):  # until the rare row is a train row
        made = fit(rows, embeddings=None, source=str(tmp_path / "rows.jsonl"), seed=seed)
        if 199 in made.split("train"):
            break
    made.save(tmp_path / "profile")
    prompts = [pair.messages[-1]["content"] for pair in pairs(tmp_path / "profile").train]
    assert any("kind: retail" in prompt for prompt in prompts)
    assert not any("Redonda" in prompt for prompt in prompts)
    order = {
        json.loads(pair.completion)["text"]: pair.messages[-1]["content"] for pair in pairs(tmp_path / "profile").train
    }
    ids = [row["id"] in order[row["text"]] for row in rows if row["text"] in order]
    assert sum(ids) <= 3  # fresh ones of the same form, which hit the real one by chance at most


def test_only_the_completion_is_learnt(profile, small_model):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small_model)
    pair = pairs(profile).train[0]
    tokens = tokenise(tokenizer, pair)
    learnt = [token for token in tokens.labels if token != UNLEARNT]
    assert tokenizer.decode(learnt) == pair.completion + "<|im_end|>"
    assert set(tokens.labels[: tokens.prompt]) == {UNLEARNT}
    prompt = tokenizer.apply_chat_template(list(pair.messages), tokenize=False, add_generation_prompt=True)
    assert tokenizer.decode(tokens.ids[: tokens.prompt]) == prompt


def test_a_recipe_gives_its_own_prompt_and_one_that_asks_otherwise_is_refused(profile, tmp_path):
    base = f"records: 5\nprofile: {{folder: {profile}}}\n"
    file = tmp_path / "recipe.yaml"
    file.write_text(base + 'prompt: "Ask as a customer with {{ category }}."\n')
    assert pairs(file).train[0].messages[-1]["content"].startswith("Ask as a customer with ")
    for more, said in [
        ("attributes: {tone: [angry, calm]}\n", "attributes: a real row has no such thing"),
        ("method: dialogue\n", "only the method record"),
    ]:
        file.write_text(base + more)
        with pytest.raises(RecipeError, match=said):
            pairs(file)
    file.write_text("records: 5\nschema: {text: str}\n")
    with pytest.raises(RecipeError, match="it has no profile"):
        pairs(file)


def test_what_cannot_be_tuned_is_refused_before_anything_is_loaded(profile, tmp_path):
    adult = [json.loads(line) for line in (DATA / "adult_real.jsonl").read_text().splitlines()]
    (tmp_path / "adult.jsonl").write_text("".join(json.dumps(row) + "\n" for row in adult))
    fit(adult, embeddings=None, source=str(tmp_path / "adult.jsonl")).save(tmp_path / "adult")
    with pytest.raises(RecipeError, match="no text fields"):
        tune(tmp_path / "adult", to=tmp_path / "a")
    found = pairs(profile)
    with pytest.raises(RecipeError, match="12 train rows have text, at least 16"):
        refuse_few(found.train[:12], found.heldout)
    with pytest.raises(RecipeError, match="has no weights on this machine"):
        tune(profile, to=tmp_path / "a", model="http://127.0.0.1:1/v1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(RecipeError, match="holds other files"):
        tune(profile, to=tmp_path / "mine")
    with pytest.raises(ValueError, match="rank must be between 1 and 512, got 0"):
        Training(rank=0)
    assert not (tmp_path / "a").exists()


# --- alarms and verdicts ---------------------------------------------------------------------------------------------


def look(step: int, loss: float, *rings: str) -> Look:
    return Look(step, float(step), loss - 0.1, loss, tuple(Alarm(name, 1.0, 0.5, name) for name in rings))


def test_an_alarm_stops_at_once_and_the_best_adapter_is_the_one_from_before_it():
    falling = [look(0, 3.0), look(1, 2.5), look(2, 2.2)]
    assert judge(falling, patience=2).stop == ""
    rung = judge([*falling, look(3, 1.9, "ngrams")], patience=2)
    assert (rung.stop, rung.best) == ("memorisation alarm: ngrams", 2)
    assert judge([look(0, 3.0), look(1, 2.0, "recited")], patience=2).best == 0


def test_without_an_alarm_it_stops_once_the_held_out_loss_has_not_fallen_for_some_looks():
    looks = [look(0, 3.0), look(1, 2.5), look(2, 2.6), look(3, 2.499)]  # hardly lower is not lower
    assert stale(looks) == 2
    assert judge(looks[:3], patience=2).stop == ""
    assert judge(looks, patience=2).stop == "the held-out loss has not fallen for 2 looks"
    assert judge(looks, patience=3).stop == ""


def test_alarms_ring_for_what_is_true_of_train_rows_alone():
    same, lower = Scores((2.0,) * 40, (3,) * 40), Scores((1.0,) * 40, (30,) * 40)
    assert not recitation(Sides(same, same)).rings
    assert not recitation(Sides(lower, lower)).rings  # boilerplate that held-out rows have too
    assert recitation(Sides(lower, same)).rings
    spread = Scores(tuple(2 + place % 7 / 10 for place in range(40)), (3,) * 40)
    down = Scores(tuple(loss - 0.5 - place % 3 / 10 for place, loss in enumerate(spread.losses)), (3,) * 40)
    assert not giveaway(Sides(down, down), Sides(spread, spread), 0.7).rings
    assert giveaway(Sides(down, spread), Sides(spread, spread), 0.7).rings


def test_texts_that_copy_train_ring_and_new_texts_do_not():
    rows = [json.loads(line)["narrative"] for line in (DATA / "complaints_real.jsonl").read_text().splitlines()]
    other = [json.loads(line)["narrative"] for line in (DATA / "complaints_other.jsonl").read_text().splitlines()]
    same = Sides(*[Scores((2.0,) * 40, (3,) * 40)] * 2)
    copies = alarms(same, same, rows[:24], rows[:40], other[:40], membership=0.7)
    assert {alarm.name for alarm in copies if alarm.rings} >= {"ngrams", "passages", "longest_copy"}
    fresh = alarms(same, same, other[60:84], rows[:40], other[:40], membership=0.7)
    assert not any(alarm.rings for alarm in fresh)


def test_the_text_of_an_answer_is_found_even_if_it_was_cut():
    assert running_text('{"text":"hello you","n":1}', ["text"]) == "hello you"
    assert running_text('{"text":"hello yo', ["text"]) == "hello yo"
    assert running_text("no JSON", ["text"]) == "no JSON"
    assert [longest_run(hits) for hits in ([], [False], [True, True, False, True])] == [0, 0, 2]


# --- training --------------------------------------------------------------------------------------------------------


@TRAINS
@pytest.mark.filterwarnings("default")  # of torch, transformers, peft and trl
def test_planted_memorisation_rings_before_the_loss_says_stop(profile, small_model, tmp_path):
    training = replace(QUICK, epochs=60, looks=12, patience=3)
    found = tune(profile, to=tmp_path / "adapter", model=small_model, training=training)
    assert found.alarmed
    assert found.stopped_by.startswith("memorisation alarm")
    deaf = [replace(each, alarms=()) for each in found.looks]
    assert judge(deaf, patience=3).stop == ""  # the loss alone would have gone on
    assert found.kept < found.looks[-1].step
    assert not found.best.ringing
    book = json.loads((tmp_path / "adapter" / "tuning.json").read_text())
    assert (book["state"], book["kept_step"]) == ("finished", found.kept)
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "tuning.json",
    }  # fmt: skip


@TRAINS
@pytest.mark.filterwarnings("default")
def test_an_interrupted_tuning_goes_on_where_it_was_and_ends_as_if_it_had_not_been(profile, small_model, tmp_path):
    whole = tune(profile, to=tmp_path / "whole", model=small_model, training=QUICK)
    seen: list[int] = []

    def interrupt(each: Look) -> None:
        seen.append(each.step)
        if each.step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(profile, to=tmp_path / "cut", model=small_model, training=QUICK, on_look=interrupt)
    assert json.loads((tmp_path / "cut" / "tuning.json").read_text())["state"] == "running"
    with pytest.raises(RecipeError, match="is another tuning: rate was 0.01, now 0.02"):
        tune(profile, to=tmp_path / "cut", model=small_model, training=replace(QUICK, rate=2e-2))
    again = tune(profile, to=tmp_path / "cut", model=small_model, training=QUICK, on_look=lambda e: seen.append(e.step))
    steps = [each.step for each in again.looks]
    assert steps == [each.step for each in whole.looks]
    assert seen == steps  # no look was made twice
    for one, other in zip(whole.looks, again.looks, strict=True):
        assert one.heldout_loss == pytest.approx(other.heldout_loss, abs=1e-4)
    said: list[str] = []
    once_more = tune(profile, to=tmp_path / "cut", model=small_model, training=QUICK, say=said.append)
    assert once_more.looks == again.looks
    assert "nothing to do" in said[0]


@TRAINS
@pytest.mark.filterwarnings("default")
def test_the_command_shows_the_looks_and_the_lines_of_the_recipe(profile, small_model, tmp_path, capsys):
    keys = {name: getattr(QUICK, name) for name in QUICK.__dataclass_fields__}
    options = argparse.Namespace(
        profile=str(profile), to=tmp_path / "adapter", data="", overwrite=False, json=False, **keys | {"epochs": 1.0}
    )
    options.model = small_model
    assert cli.command(options) == 0
    shown = capsys.readouterr().out
    assert "step  epoch  train  held-out" in shown
    assert f"lora: {tmp_path / 'adapter'}" in "".join(shown.split("\n")).replace("  ", " ")
    assert "max_lora_rank: 32" in shown
    options.json = True
    assert cli.command(options) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert parse({"records": 1, **__import__("yaml").safe_load(result["recipe"])}, Path.cwd()).engine["lora"]


@TRAINS
@pytest.mark.filterwarnings("default")
def test_a_folder_without_weights_is_named(profile, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match="cannot be loaded to be tuned"):
        tune(profile, to=tmp_path / "adapter", model=str(tmp_path / "model"))


@TRAINS
@pytest.mark.filterwarnings("default")
def test_the_default_model_learns_and_the_saved_adapter_is_the_one_that_was_looked_at(profile, tmp_path):
    from peft import PeftModel

    from textsynth import models
    from textsynth.tuning._reading import Learner
    from textsynth.tuning._train import load

    training = Training(epochs=1, rank=4, rate=2e-3, batch=4, limit=20, looks=1, watched=8, texts=8, longest=256)
    found = tune(profile, to=tmp_path / "adapter", training=training)
    assert found.looks[-1].heldout_loss < found.before.heldout_loss - 0.1
    assert found.kept == 5
    model, tokenizer = load(models.find("default").location, "default", 0)
    tuned = PeftModel.from_pretrained(model, str(tmp_path / "adapter"))
    material = pairs(profile, limit=20)
    tokens = [tokenise(tokenizer, pair) for pair in material.heldout[:8]]
    assert Learner(tuned, tokenizer, material.sampling, 0).scores(tokens).mean == pytest.approx(
        found.best.heldout_loss, abs=0.02
    )
