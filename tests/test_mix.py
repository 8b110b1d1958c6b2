import json
from collections import Counter
from pathlib import Path

import pytest
from datasets import load_dataset, load_from_disk

import textsynth
from textsynth.cli.mix import command
from textsynth.errors import RecipeError
from textsynth.mixing import mix
from textsynth.mixing._select import largest_total, wanted_counts
from textsynth.mixing._spec import parse

WORDS = "amber brick cedar delta ember frost grain hazel ivory joker karma lemon mango noble ocean piano quilt river".split()


def sentence(number: int) -> str:
    """A text of eight words that no other number has, and that is near no other."""
    return " ".join(WORDS[(number * 7 + place * place * (number + 3)) % len(WORDS)] + str(number) for place in range(8))


def write_rows(file: Path, rows: list[dict]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def pairs(numbers: range, first: str = "prompt", second: str = "completion") -> list[dict]:
    return [{first: f"about {number}?", second: sentence(number)} for number in numbers]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "one.jsonl", pairs(range(60), "instruction", "output"))
    write_rows(tmp_path / "two.jsonl", pairs(range(50, 90)))
    chats = [
        {"messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]}
        for row in pairs(range(200, 230))
    ]
    write_rows(tmp_path / "chats.jsonl", chats)
    return tmp_path


def spec(folder: Path, **keys):
    sources = {"one": {"path": "one.jsonl", "share": 2}, "two": {"path": "two.jsonl", "share": 1}}
    return parse({"name": "corpus", "sources": sources, **keys}, folder)


def test_proportions_are_exact_and_every_row_is_found_again_by_its_lineage(folder):
    found = mix(spec(folder, total=45))
    rows = list(found.records())
    assert Counter(row["lineage"]["source"] for row in rows) == {"one": 30, "two": 15}
    sources = {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    }
    for row in rows:
        there = sources[row["lineage"]["source"]][row["lineage"]["index"]]
        assert [turn["content"] for turn in row["messages"]] == list(there.values())


def test_of_two_rows_that_repeat_each_other_the_one_of_the_earlier_source_stays(folder):
    found = mix(spec(folder))
    assert found.repeats == {("duplicate", "two", "one"): 10}
    assert [(share.available, share.taken) for share in found.shares] == [(60, 60), (30, 30)]
    turned = mix(
        parse({"sources": {"two": "two.jsonl", "one": "one.jsonl"}}, folder)
    )  # precedence is the order of the sources
    assert turned.repeats == {("duplicate", "one", "two"): 10}


def test_near_repetitions_are_dropped_unless_that_is_switched_off(folder):
    near = [{"prompt": "about 3?", "completion": sentence(3) + " indeed"}]
    write_rows(folder / "near.jsonl", near + pairs(range(300, 304)))
    sources = {"one": "one.jsonl", "near": "near.jsonl"}
    assert mix(parse({"sources": sources}, folder)).repeats == {("near_duplicate", "near", "one"): 1}
    assert mix(parse({"sources": sources, "near_duplicates": None}, folder)).repeats == {}


def test_a_long_system_message_that_all_rows_share_makes_them_no_repetitions(folder):
    rows = [
        row | {"system": "You are a helpful and careful assistant who never lies. " * 8} for row in pairs(range(20))
    ]
    write_rows(folder / "system.jsonl", rows)
    found = mix(parse({"sources": {"system": "system.jsonl"}}, folder))
    assert len(found) == 20
    assert next(found.records())["messages"][0]["role"] == "system"


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(folder):
    first, again, other = (list(mix(spec(folder, total=30, seed=seed)).records()) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_scarce_source_is_named_with_what_is_possible(folder):
    with pytest.raises(RecipeError, match="sources.two: 40 rows are wanted, 30 are left") as caught:
        mix(spec(folder, total=120))
    assert "90 rows are possible" in caught.value.hint


def test_a_scarce_source_scales_the_whole_down_or_is_repeated_as_told(folder):
    scaled = mix(spec(folder, total=120, scarce="scale"))
    assert [share.taken for share in scaled.shares] == [60, 30]
    assert "scaled down from 120 to 90" in scaled.notes[0]
    repeated = mix(spec(folder, total=120, scarce="repeat"))
    assert [share.taken for share in repeated.shares] == [80, 40]
    copies = Counter((row["lineage"]["source"], row["lineage"]["copy"]) for row in repeated.records())
    assert copies == {("one", 0): 60, ("one", 1): 20, ("two", 0): 30, ("two", 1): 10}
    with pytest.raises(RecipeError, match="wanted") as caught:
        mix(spec(folder, total=900, scarce="repeat"))
    assert "copies: 4 are not enough" in caught.value.hint


def test_the_largest_total_leaves_no_source_short():
    for available in ([5, 7, 11], [1, 100, 3], [10, 10, 10]):
        shares = [0.3, 0.5, 0.2]
        total = largest_total(shares, available)
        made = parse({"sources": {n: {"path": n, "share": s} for n, s in zip("abc", shares, strict=True)}}, Path())
        assert (
            wanted_counts(made, available).taken
            == wanted_counts(made.model_copy(update={"total": total}), available).taken
        )
        with pytest.raises(RecipeError):
            wanted_counts(made.model_copy(update={"total": total + len(shares) + 1}), available)


def test_counts_are_taken_as_stated(folder):
    sources = {"one": {"path": "one.jsonl", "count": 7}, "chats": {"path": "chats.jsonl", "count": 3}}
    found = mix(parse({"sources": sources}, folder))
    assert [share.taken for share in found.shares] == [7, 3]


def test_forms_are_agreed_on_and_a_source_that_does_not_fit_is_named(folder):
    write_rows(folder / "plain.jsonl", [{"text": sentence(n), "topic": "x"} for n in range(400, 410)])
    write_rows(folder / "other.jsonl", [{"text": sentence(n), "label": "y"} for n in range(410, 420)])
    texts = mix(parse({"sources": {"plain": "plain.jsonl", "other": "other.jsonl"}}, folder))
    assert texts.arrangement.name == "text"
    pair = mix(parse({"form": "prompt_completion", "sources": {"chats": "chats.jsonl", "two": "two.jsonl"}}, folder))
    assert set(next(pair.records())) == {"prompt", "completion", "lineage"}
    with pytest.raises(RecipeError, match=r"sources.plain: .*its columns: text, topic"):
        mix(parse({"form": "messages", "sources": {"chats": "chats.jsonl", "plain": "plain.jsonl"}}, folder))
    columns = {"form": ["text", "topic"], "sources": {"plain": "plain.jsonl", "other": "other.jsonl"}}
    with pytest.raises(RecipeError, match="sources.other: it has no column 'topic'"):
        mix(parse(columns, folder))


def test_columns_are_mapped_and_unknown_ones_refused(folder):
    (folder / "table.csv").write_text("q,a\n" + "".join(f"why {n},{sentence(n)}\n" for n in range(500, 510)))
    source = {"path": "table.csv", "columns": {"prompt": "q", "completion": "a"}}
    found = mix(parse({"form": "prompt_completion", "sources": {"table": source}}, folder))
    assert next(found.records())["prompt"].startswith("why ")
    with pytest.raises(RecipeError, match="'question' is no column of it; it has q, a"):
        mix(parse({"sources": {"table": source | {"columns": {"prompt": "question"}}}}, folder))


def test_a_few_rows_that_do_not_fit_are_left_out_and_told_many_are_an_error(folder):
    write_rows(folder / "holes.jsonl", [*pairs(range(600, 610)), {"prompt": "x", "completion": None}])
    found = mix(parse({"sources": {"holes": "holes.jsonl"}}, folder))
    assert (len(found), found.shares[0].refused) == (10, 1)
    assert "row 10" in found.notes[0]
    write_rows(folder / "holes.jsonl", [*pairs(range(600, 602)), *[{"prompt": "x", "completion": ""}] * 5])
    with pytest.raises(RecipeError, match="5 of 7 rows do not fit the form messages; the first is row 2"):
        mix(parse({"sources": {"holes": "holes.jsonl"}}, folder))


def test_a_run_and_an_exported_split_can_be_mixed(folder):
    texts = [json.dumps({"prompt": f"about {n}?", "completion": sentence(n)}) for n in range(700, 740)]
    recipe = {
        "records": 20,
        "model": "scripted",
        "schema": {"prompt": "str", "completion": "str"},
        "engine": {"texts": texts},
        "filters": ["duplicate"],
        "license": "mit",
    }
    run = textsynth.run(recipe, folder=folder / "run")
    index, record = next(iter(run.ledger.kept()))
    run.close()
    exported = mix(spec(folder, splits={"train": 0.5, "test": 0.5}, license="cc0-1.0"))
    exported.export(folder / "out")
    sources = {"run": "run", "out": {"path": "out", "split": "test"}}
    found = mix(parse({"sources": sources, "form": "messages"}, folder))
    assert [share.kind for share in found.shares] == ["run", "export"]
    assert [share.license for share in found.shares] == ["mit", "cc0-1.0"]
    assert [share.taken for share in found.shares] == [20, 45]
    mine = next(r for r in found.records() if r["lineage"]["source"] == "run" and r["lineage"]["index"] == index)
    assert mine["messages"][1]["content"] == record["completion"]
    with pytest.raises(RecipeError, match="has no split 'validation'; it has"):
        mix(parse({"sources": {"out": {"path": "out", "split": "validation"}}}, folder))


def test_the_export_can_be_loaded_and_its_card_says_where_rows_come_from(folder):
    sources = {
        "one": {"path": "one.jsonl", "share": 2, "license": "mit"},
        "two": {"path": "two.jsonl", "share": 1, "license": "cc-by-4.0", "attribution": "Two People"},
    }
    found = mix(parse({"sources": sources, "total": 45}, folder))
    found.export(folder / "out")
    loaded = load_dataset(str(folder / "out"), cache_dir=str(folder / "cache"))["train"]
    assert loaded.to_list() == list(found.records())
    card = (folder / "out" / "README.md").read_text()
    for said in ("| one | mit | 60 | 60 | 30 (66.7%) | 30 (66.7%) |", "| duplicate | two | one | 10 |", "Two People"):
        assert said in card
    assert "different licences" in card
    mix(spec(folder, total=9, files="arrow")).export(folder / "arrow")
    assert load_from_disk(str(folder / "arrow"))["train"].num_rows == 9


def test_mistakes_in_the_spec_are_named(folder):
    for keys, said in [
        ({"sources": {"one": {"path": "one.jsonl", "share": 1}, "two": "two.jsonl"}}, "give every one a share"),
        ({"sources": {"one": {"path": "one.jsonl", "shar": 1}}}, "did you mean share"),
        ({"sources": {"one": {"path": "one.jsonl", "count": 3}}, "total": 9}, "with counts the total is their sum"),
        ({"sources": {"one": "one.jsonl"}, "scarce": "repeat", "splits": {"a": 0.5, "b": 0.5}}, "give one split"),
        ({"sources": {"one": "one.jsonl"}, "scarce": "sometimes"}, "scarce"),
        ({"sources": {}}, "sources"),
    ]:
        with pytest.raises(RecipeError, match=said):
            parse(keys, folder)
    with pytest.raises(RecipeError, match="no such file"):
        mix(parse({"sources": {"none": "none.jsonl"}}, folder))


def test_the_command_writes_the_dataset_and_prints_the_counts(folder, capsys):
    import argparse

    (folder / "mix.yaml").write_text("sources: {one: one.jsonl, two: two.jsonl}\n")
    options = argparse.Namespace(spec=str(folder / "mix.yaml"), to=folder / "out", json=True)
    assert command(options) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["repeats"]) == (
        90,
        [{"reason": "duplicate", "source": "two", "repeats": "one", "rows": 10}],
    )
    assert command(argparse.Namespace(**vars(options) | {"json": False})) == 0
    assert "repeats a row of" in capsys.readouterr().out
