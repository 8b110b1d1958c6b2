import pytest
from test_filters import candidate, make, setting

from textsynth.errors import RecipeError

STAY = {
    "type": "object",
    "properties": {
        "start": {"type": "string"},
        "end": {"type": "string"},
        "total": {"type": "number"},
        "nights": {"type": "integer"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
        "note": {"type": "string"},
    },
}
GOOD = {"start": "2024-03-01", "end": "2024-03-04", "nights": 3, "total": 30, "items": [{"price": 10}, {"price": 20}]}


def rules(wanted, **options):
    return make("rules", given=setting(document=STAY), rules=wanted, **options)


def details(made, *records):
    return [found and found.detail for found in made.check([candidate(i, r) for i, r in enumerate(records)])]


def test_a_rule_compares_fields_and_its_message_says_what_is_wrong():
    made = rules({"start <= end": "the stay must end after it starts"})
    found = details(made, GOOD, GOOD | {"end": "2024-02-28"}, GOOD | {"end": "2024-03-01"})
    assert found == [None, "the stay must end after it starts (start <= end)", None]


def test_the_first_broken_rule_is_named():
    made = rules({"total == items|sum(attribute='price')": "sum", "nights > 0": "nights", "total < 100": "dear"})
    found = details(made, GOOD, GOOD | {"total": 31}, GOOD | {"nights": 0}, GOOD | {"total": 200, "nights": 0})
    assert [text and text.split(" ")[0] for text in found] == [None, "sum", "nights", "sum"]


@pytest.mark.parametrize(("absent", "answer"), [("skip", None), ("drop", "late (start <= end): no end")])
@pytest.mark.parametrize("record", [{"start": "2024-01-01"}, {"start": "2024-01-01", "end": None}])
def test_a_field_that_is_not_there(absent, answer, record):
    assert details(rules({"start <= end": "late"}, absent=absent), record) == [answer]


def test_a_part_of_a_field_that_is_not_there():
    wanted = {"items[0].price > 0": "free"}
    assert details(rules(wanted), {"items": []}, {"items": [{"price": 0}]}) == [None, "free (items[0].price > 0)"]
    assert "free" in details(rules(wanted, absent="drop"), {"items": []})[0]


def test_a_rule_that_raises_drops_the_record_and_says_why():
    (found,) = details(rules({"start < total": "order"}), GOOD)
    assert found.startswith("order (start < total): TypeError: ")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("fine", None),
        ("nothing", None),
        ("bad", "M (own_rules:bad)"),
        ("why", "M (own_rules:why): 3 nights"),
        ("breaks", "M (own_rules:breaks): KeyError: 'absent'"),
    ],
)
def test_a_python_function_judges_the_record(tmp_path, monkeypatch, name, answer):
    source = """
        def fine(record): return record["nights"] == 3
        def nothing(record): return None
        def bad(record): return False
        def why(record): return f"{record['nights']} nights"
        def breaks(record): return record["absent"]
        number = 3
    """
    (tmp_path / "own_rules.py").write_text("\n".join(line.strip() for line in source.splitlines()))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert details(rules({f"own_rules:{name}": "M"}), GOOD) == [answer]
    with pytest.raises(ValueError, match="must be a function of the record, got int"):
        rules({"own_rules:number": "M"})


def test_an_unknown_function_is_named_with_the_nearest_alone():
    with pytest.raises(ValueError, match=r"did you mean dump\?") as caught:
        rules({"json:dumb": "M"})
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("start <= ends", r"reads 'ends', which is no field \(did you mean end\?\)"),
        ("start <=", "is not an expression"),
        ("2 ** 1000 > total", "at most 64, got 1000"),
        ("total ** total > 1", "an exponent must be a number"),
        ("'x' * 10**9 == note", "neither multiplied nor padded"),
        ("[1] * 1000000000 == items", "neither multiplied nor padded"),
        ("'%1000000000d' % total == note", "neither multiplied nor padded"),
        ("note|center(1000000000) == note", "No filter named 'center'"),
        ("no_such_module_here:rule", "cannot import"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_before_the_run(rule, message):
    with pytest.raises(ValueError, match=message):
        rules({rule: "M"})


@pytest.mark.parametrize("wanted", [{}, {" ": "M"}])
def test_rules_must_be_there(wanted):
    with pytest.raises(RecipeError, match=r"rules"):
        rules(wanted)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "rule",
    ["note * 1000000000 == ''", "note.ljust(1000000000) == ''", "range(1000000000)|list == 1", "total ** 64 ** 64 > 1"],
)
def test_no_rule_makes_a_huge_value(rule):
    (found,) = details(rules({rule: "M"}), GOOD | {"note": "x", "total": 10**15})
    assert "Error: " in found


def test_no_rule_reaches_python_through_an_attribute():
    (found,) = details(rules({"note.__class__.__mro__": "M"}, absent="drop"), GOOD | {"note": "x"})
    assert found


def test_rules_keep_order_answer_the_same_twice_and_change_nothing():
    made = rules({"nights > 0": "M", "items|sort(attribute='price')|first": "none"})
    batch = [candidate(i, r) for i, r in enumerate([GOOD, GOOD | {"nights": 0}, {}, None, {"nights": "\ud800\x00"}])]
    before = [dict(GOOD), GOOD["items"][:]]
    first = list(made.check(batch))
    assert [found is None for found in first] == [True, False, True, True, False]
    assert list(made.check(batch)) == first and list(made.check([])) == []
    assert [GOOD, GOOD["items"]] == before
