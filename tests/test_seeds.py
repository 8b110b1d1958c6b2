"""Seeds are checked row by row, chosen as the recipe says, and never shown more often than it allows."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import textsynth as ts
from textsynth.errors import RecipeError
from textsynth.records import Seed
from textsynth.seeds import SeedPool, SeedSpec
from textsynth.seeds._links import with_links

SMALL = {
    "model": "scripted",
    "records": 4,
    "schema": {"text": "text<=80", "label": ["a", "b"], "n": "int?"},
    "prompt": "Write.",
}


def pool(rows, attributes=(), **spec) -> SeedPool:
    return SeedPool([Seed(i, row) for i, row in enumerate(rows)], SeedSpec(path="rows.jsonl", **spec), attributes)


def ids(seeds) -> list[int]:
    return [seed.id for seed in seeds]


def checked(tmp_path, rows, recipe=None, **spec):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ts.check({**SMALL, **(recipe or {}), "seeds": {"path": str(tmp_path / "rows.jsonl"), "shots": 1, **spec}})


def refused(tmp_path, rows, recipe=None, **spec) -> str:
    with pytest.raises(RecipeError) as caught:
        checked(tmp_path, rows, recipe, **spec)
    return "\n".join(caught.value.problems)


LABELLED = [{"text": f"word{i} text", "label": "ab"[i % 2]} for i in range(10)]


@pytest.mark.parametrize("choose", ["random", "matching", "diverse"])
def test_a_draw_gets_different_seeds_in_the_order_of_the_source(choose):
    made = pool(LABELLED, ["label"], shots=3, choose=choose)
    for number in range(50):
        chosen = ids(made.choose(Random(number), {"label": "a"}))
        assert len(chosen) == 3 and chosen == sorted(set(chosen))


def test_random_choice_reaches_every_seed_evenly():
    made, random = pool(LABELLED, shots=2), Random(0)
    counts = Counter(i for _ in range(3000) for i in ids(made.choose(random, {})))
    assert all(counts[i] / 6000 == pytest.approx(0.1, abs=0.02) for i in range(10))


def test_matching_prefers_seeds_with_the_drawn_value():
    made = pool(LABELLED, ["label", "tone"], shots=3, choose="matching")
    for number in range(20):
        assert all(seed.row["label"] == "b" for seed in made.choose(Random(number), {"label": "b", "tone": "x"}))


def test_matching_is_filled_up_with_others_when_too_few_match():
    made = pool([*LABELLED, {"text": "rare", "label": "c"}], ["label"], shots=3, choose="matching")
    chosen = made.choose(Random(0), {"label": "c"})
    assert 10 in ids(chosen) and len(chosen) == 3


def test_only_the_attributes_named_must_match():
    rows = [{"label": "a", "tone": t} for t in "xyz"] + [{"label": "b", "tone": t} for t in "xyz"]
    made = pool(rows, ["label", "tone"], shots=3, choose="matching", match=["label"])
    assert ids(made.choose(Random(1), {"label": "b", "tone": "x"})) == [3, 4, 5]


def test_diverse_choice_takes_one_of_each_kind():
    kinds = ["alpha beta gamma delta", "one two three four", "red green blue yellow"]
    rows = [{"text": f"{kinds[i % 3]} {i}"} for i in range(30)]
    made = pool(rows, shots=3, choose="diverse")
    for number in range(20):
        assert {i % 3 for i in ids(made.choose(Random(number), {}))} == {0, 1, 2}


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 12),
    shots=st.integers(1, 5),
    most=st.integers(1, 4),
    choose=st.sampled_from(["random", "matching", "diverse"]),
    seed=st.integers(0, 999),
)
def test_no_seed_is_shown_more_often_than_allowed_and_draws_left_ends(count, shots, most, choose, seed):
    rows = [{"text": f"t{i}", "label": "ab"[i % 2]} for i in range(count)]
    made, random, uses, draws = pool(rows, ["label"], shots=shots, max_uses=most, choose=choose), Random(seed), [], 0
    while made.draws_left() > 0:
        before = made.draws_left()
        chosen = made.choose(random, {"label": random.choice("ab")})
        uses += ids(chosen)
        assert made.draws_left() <= before
        draws += 1
        if not chosen:
            break
    assert max(Counter(uses).values(), default=0) <= most
    assert draws <= most * count + 1
    while chosen := made.choose(random, {"label": "a"}):
        uses += ids(chosen)
    assert Counter(uses) == {i: most for i in range(count)}, "all allowed uses can be spent"


def test_draws_left_counts_down():
    made = pool(LABELLED, shots=2, max_uses=1)
    left = [made.draws_left()]
    for number in range(5):
        made.choose(Random(number), {})
        left.append(made.draws_left())
    assert left == [5, 4, 3, 2, 1, 0]


def test_without_a_cap_or_without_shots_draws_never_end():
    assert pool(LABELLED, shots=3).draws_left() > 10**12
    none = pool(LABELLED, shots=0, max_uses=1)
    assert none.draws_left() > 10**12 and none.choose(Random(0), {}) == ()


@pytest.mark.parametrize("choose", ["random", "matching", "diverse"])
def test_a_restored_pool_goes_on_as_if_it_had_never_stopped(choose):
    spec = {"shots": 2, "max_uses": 2, "choose": choose}
    whole, resumed = pool(LABELLED, ["label"], **spec), pool(LABELLED, ["label"], **spec)
    for number in range(4):
        resumed.restore(whole.choose(Random(number), {"label": "a"}))
    for number in range(4, 10):
        attributes = {"label": "ab"[number % 2]}
        assert resumed.choose(Random(number), attributes) == whole.choose(Random(number), attributes)
        assert resumed.draws_left() == whole.draws_left()


# --- documents and links ---------------------------------------------------------------------------------------------

CHUNKS = [
    {"document": "a", "section": "One", "text": "Here we met Anna Berg at the gate of the old mill."},
    {"document": "a", "section": "One", "text": "Again it was Anna Berg, in the same section as before."},
    {"document": "a", "section": "Two", "text": "A letter by Anna Berg lies in the box of the museum."},
    {"document": "b", "section": "One", "text": "The call of read_all reads the files, one by one."},
    {"document": "c", "section": "", "text": "Use read_all with care, e.g. in tests of the loop."},
    {"document": "c", "section": "", "text": "Nothing in here leads anywhere. However it is text."},
]


def test_links_are_names_that_another_section_has():
    linked = [row["links"] for row in with_links(CHUNKS)]
    assert linked == [["Anna Berg"], ["Anna Berg"], ["Anna Berg"], ["read_all"], ["read_all"], []]
    assert with_links(CHUNKS[:2])[0]["links"] == []


def test_a_term_that_many_seeds_have_links_nothing():
    rows = [{"document": str(n), "text": "We call it Python in all of these."} for n in range(13)]
    assert not any(row["links"] for row in with_links(rows))
    assert all(row["links"] == ["Python"] for row in with_links(rows[:12]))


def test_linked_seeds_share_a_link_and_come_from_different_places():
    made, random, shown = pool(with_links(CHUNKS), shots=2, choose="linked"), Random(3), Counter()
    for _ in range(60):
        one, other = made.choose(random, {})
        assert set(one.row["links"]) & set(other.row["links"])
        assert (one.row["document"], one.row["section"]) != (other.row["document"], other.row["section"])
        shown.update([one.id, other.id])
    assert set(shown) == {0, 1, 2, 3, 4}


def test_a_linked_pool_goes_on_as_if_it_had_never_stopped_and_keeps_its_cap():
    spec = {"shots": 2, "max_uses": 3, "choose": "linked"}
    whole, resumed = pool(with_links(CHUNKS), **spec), pool(with_links(CHUNKS), **spec)
    uses: Counter[int] = Counter()
    for number in range(3):
        chosen = whole.choose(Random(number), {})
        resumed.restore(chosen)
        uses.update(ids(chosen))
    for number in range(3, 12):
        chosen = whole.choose(Random(number), {})
        assert chosen == resumed.choose(Random(number), {})
        uses.update(ids(chosen))
    assert max(uses.values()) <= 3


def test_documents_become_seeds(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "mill.md").write_text("# Mill\n\nHere we met Anna Berg at the gate of the mill.\n")
    (tmp_path / "docs" / "box.rst").write_text("Box\n===\n\nA letter by Anna Berg lies in the box.\n")
    chunk = {"words": 40, "overlap": 0, "least": 4}
    recipe = {**SMALL, "method": "grounded", "schema": None, "prompt": ""}
    found = ts.check(
        {**recipe, "seeds": {"path": str(tmp_path / "docs"), "chunk": chunk, "shots": 2, "choose": "linked"}}
    )
    assert [seed.row["document"] for seed in found.seeds] == ["box", "mill"]
    assert found.seeds[1].row["links"] == ["Anna Berg"] and found.seeds[1].row["start"] == 8
    one = ts.check({**recipe, "seeds": {"path": str(tmp_path / "docs" / "*.md"), "chunk": chunk, "shots": 1}})
    assert len(one.seeds) == 1
    with pytest.raises(RecipeError, match="no two seeds of different sections"):
        ts.check(
            {
                **recipe,
                "seeds": {"path": str(tmp_path / "docs" / "*.md"), "chunk": chunk, "shots": 1, "choose": "linked"},
            }
        )


# --- seeds the run has grown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("choose", ["random", "matching", "diverse", "retrieved"])
def test_kept_records_are_shown_beside_seeds_once_there_are_some(choose):
    made = pool(LABELLED, ["label"], shots=3, grown=2, choose=choose)
    assert all(i < 10 for i in ids(made.choose(Random(0), {"label": "a"}))), "nothing was kept yet"
    made.grow({4: {"text": "kept", "label": "a"}})
    assert ids(made.choose(Random(1), {"label": "a"}))[2] == 1_000_000_004
    made.grow({9: {"text": "kept too", "label": "a"}, 7: {"text": "and this", "label": "b"}})
    chosen = made.choose(Random(2), {"label": "a"})
    assert len(chosen) == 3 and [i >= 1_000_000_000 for i in ids(chosen)] == [False, True, True]
    assert ids(chosen) == sorted(ids(chosen))


def test_a_restored_pool_counts_real_seeds_alone_and_draws_the_same_grown_ones():
    spec = {"shots": 2, "grown": 1, "max_uses": 2}
    whole, resumed = pool(LABELLED, **spec), pool(LABELLED, **spec)
    for made in (whole, resumed):
        made.grow({n: {"text": f"kept {n}", "label": "a"} for n in range(5)})
    for number in range(4):
        resumed.restore(whole.choose(Random(number), {}))
    assert resumed.draws_left() == whole.draws_left()
    assert resumed.choose(Random(9), {}) == whole.choose(Random(9), {})


def test_more_grown_than_shots_is_refused(tmp_path):
    assert "seeds.grown: 2 kept records are more than the 1 shots" in refused(tmp_path, LABELLED, grown=2)


# --- checking --------------------------------------------------------------------------------------------------------


def test_columns_are_renamed_and_the_rest_is_left_out(tmp_path):
    rows = [{"body": "hello", "cls": "a", "id": 7, "tone": "x"}, {"body": "there", "cls": "b", "id": 8, "tone": "y"}]
    parts = checked(tmp_path, rows, {"attributes": {"tone": ["x", "y"]}}, columns={"text": "body", "label": "cls"})
    assert [s.row for s in parts.seeds] == [
        {"text": "hello", "label": "a", "tone": "x"},
        {"text": "there", "label": "b", "tone": "y"},
    ]


def test_csv_seeds_take_the_types_of_the_schema(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label,n\none,a,1\ntwo,b,\n")
    parts = ts.check({**SMALL, "seeds": {"path": str(tmp_path / "rows.csv"), "shots": 1}})
    assert [s.row["n"] for s in parts.seeds] == [1, None]


def test_seeds_may_show_a_part_of_the_record_but_the_same_part(tmp_path):
    assert checked(tmp_path, [{"text": "a"}, {"text": "b"}]).seeds[1].row == {"text": "b"}
    text = refused(tmp_path, [{"text": "a", "label": "a"}, {"text": "b"}])
    assert "seeds row 1, field label" in text and "row 0" not in text


def test_rows_that_do_not_fit_are_listed_up_to_ten(tmp_path):
    text = refused(tmp_path, [{"text": "x" * 81, "label": "a"}] * 15)
    assert text.count("seeds row ") == 10 and "and 5 more problems" in text


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({"columns": {"text": "bdy"}}, "seeds.columns.text: unknown name 'bdy' (did you mean body?)"),
        ({"columns": {}}, "none of the record's fields ['label', 'n', 'text'] is a column"),
        ({"columns": {"text": "body"}, "shots": 5}, "seeds.shots: 5 examples a draw, but there are only 2 seeds"),
        ({"columns": {"text": "body"}, "max_uses": 1}, "seeds.max_uses: 2 seeds x 1 uses are 2 examples"),
        ({"columns": {"text": "body"}, "choose": "matching", "match": ["lable"]}, "seeds.match: unknown name 'lable'"),
        ({"split": "train", "limit": 0}, "seeds.limit"),
    ],
)
def test_what_is_asked_of_the_seeds_must_be_possible(tmp_path, spec, part):
    assert part in refused(tmp_path, [{"body": "one"}, {"body": "two"}], **spec)


def test_the_cap_that_check_advises_is_enough(tmp_path):
    rows = [{"text": f"row {i}"} for i in range(3)]
    text = refused(tmp_path, rows, {"records": 20}, shots=2, max_uses=5)
    advised = int(text.split("(max_uses ")[1].split()[0])
    made = ts.run(
        {
            **SMALL,
            "records": 20,
            "filters": [],
            "seeds": {"path": str(tmp_path / "rows.jsonl"), "shots": 2, "max_uses": advised},
        },
        folder=tmp_path / "run",
    )
    assert made.complete
