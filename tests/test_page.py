"""The HTML report: everything on one page, the same numbers as JSON, safe whatever it is told, good to look at."""

import argparse
import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path

import pytest

import textsynth as ts
from tests.browser import CHROMIUM, visit
from tests.conftest import SCRIPTED
from textsynth.cli import report as cli
from textsynth.errors import ExportError, RecipeError
from textsynth.report import card_lines, collect, layout, page, wording
from textsynth.runs import Run

pytest.importorskip("matplotlib", reason="the report's plots need textsynth[report]")

EVALUATION = json.loads((Path(__file__).parent / "data/report/evaluation.json").read_text())
RECIPE = SCRIPTED | {"filters": [{"length": {"min_words": 5}}, "duplicate", "diversity"]}
VOID = {"meta", "link", "br", "img", "input", "hr"}
LOADS = {"src", "href", "srcset", "data", "action", "poster", "background"}
HOSTILE = (
    "</code></script><script>alert(1)</script>\u202e\ud800 \x00\x1b[31m\"'><img src=http://example.org/x.png onerror=alert(1)>"
    " $\\frac{1}{2}$ مرحبا 漢字"
)
STEERING = {
    "windows": [
        {
            "window": number,
            "kept": 12,
            "draws": 16,
            "tokens": 500,
            "distance": 0.2 * 0.8**number,
            "readings": {"attributes": {"value": 0.2 * 0.8**number, "error": 0.01, "limit": 0.05}},
            "arms": {"recipe": 9, "cool": 7},
            "deficits": [["priority = low", 30, 28], ["priority = high × product = phone", 9.5, 3]],
        }
        for number in range(4)
    ],
    "arms": {
        "recipe": {"draws": 36, "kept": 28, "novel": 9, "tokens": 1120},
        "cool": {"draws": 0, "kept": 0, "novel": 0, "tokens": 0},
    },
    "gaps": [],
    "pool": 80,
    "records": 60,
    "stop": "nothing improved for two windows",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("report") / "run"
    ts.run(RECIPE, folder=place).close()
    return place


@pytest.fixture(scope="module")
def run(folder):
    opened = Run(folder)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def files(run, tmp_path_factory):
    """The page on a run and an evaluation, and its numbers; drawn once."""
    return written(tmp_path_factory.mktemp("page"), run=run, evaluation=EVALUATION)


@pytest.fixture
def evaluation():
    return deepcopy(EVALUATION)


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in order; notes ids, what it would load, and its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.loads, self.tags, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        known = dict(attrs)
        assert len(known) == len(attrs), f"an attribute stands twice in {tag}"
        assert not [name for name in known if name.startswith("on")]
        self.ids += [known["id"]] if "id" in known else []
        self.loads += [known[name] for name in LOADS & known.keys()]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["title"]):
            self.text += data


def read(text):
    return Page(text)


def written(place, **given):
    files = page.write(place / "page.html", **given)
    return files[0].read_text(), json.loads(files[1].read_text())


def test_a_page_holds_every_section_and_loads_nothing(files):
    text, numbers = files
    found = read(text)
    assert {"verdict", "numbers", *layout.BUILDERS} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert all(load.startswith("#") or load == "data:," for load in found.loads), found.loads
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert "script" not in found.tags
    assert len(text.encode()) < 2_000_000
    assert [name for name, data in numbers["sections"].items() if "missing" in data] == ["steering"]


def test_every_reference_inside_a_picture_is_to_an_id_of_the_page(files):
    text, _ = files
    found = read(text)
    assert {name[1:] for name in found.loads if name.startswith("#")} <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(found.ids)


def test_the_same_run_and_evaluation_give_the_same_bytes(files, run):
    assert page.html(page.contents(run=run, evaluation=EVALUATION)) == files[0]


def test_pictures_take_their_colours_from_the_style_sheet(files):
    text, _ = files
    body = text[text.index("<body>") :]
    assert not re.search(r"(fill|stroke): ?#", body)
    style = text[: text.index("</style>")]
    for name in set(re.findall(r"var\(--(\w+)\)", text)):
        assert style.count(f"--{name}:") == 2, f"{name} needs a colour in light and in dark"


def test_every_picture_says_what_it_shows(files):
    text, _ = files
    labels = re.findall(r'<svg role="img" aria-label="([^"]*)"', text)
    assert len(labels) == text.count("<figure>") > 10
    assert all(labels)


def test_the_page_shows_the_numbers_of_the_json(files, run, evaluation):
    text, numbers = files
    cells = [
        [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S)]
        for row in re.findall(r"<tr(?: class=\"bad\")?>(.*?)</tr>", text, re.S)
    ]
    shown = {row[0]: row[1:4] for row in cells}
    assert len(numbers["values"]) == len(evaluation["values"])
    for row in numbers["values"]:
        wanted = [wording.number(row["value"]), wording.number(row["real"]), wording.interval(row["low"], row["high"])]
        assert shown[wording.title(row["name"])] == wanted
    totals = run.totals
    windows = numbers["sections"]["windows"]["windows"]
    assert sum(row["kept"] for row in windows) == totals.kept
    assert sum(row["draws"] for row in windows) == totals.draws
    assert sum(row["tokens"] for row in windows) == totals.tokens
    reasons = numbers["sections"]["drops"]["reasons"]
    assert {row["reason"]: row["draws"] for row in reasons} == totals.reasons
    assert {(row["value"], row["wanted"]) for row in numbers["sections"]["quotas"]["quotas"]} == {
        ("low", 30),
        ("normal", 18),
        ("high", 12),
    }


def test_a_verdict_comes_first_and_says_what_to_do(files):
    text = read(files[0]).text
    assert text.index("Not good enough: 2 of 8 checks fail.") < text.index("Key numbers")
    assert "Let the trees see more columns." in text
    assert "wanted at most 0.010, real data 0.002" in text


def test_the_bias_table_says_shares_and_their_differences_in_points():
    section = layout.bias("bias", "Bias", EVALUATION["plots"]["bias"])
    assert section.grids[0].rows[0] == ("sex = Female", "33.1 %", "31.9 %", "−1.2")
    assert section.grids[1].rows[0] == ("sex = Female", "10.9 %", "12.1 %", "+1.2")
    assert section.grids[1].caption == "Share of the group with the outcome >50K"
    assert len(layout.bias("bias", "Bias", [{"attribute": "sex", "group": "Male", "real": 1.0}]).grids) == 1
    assert layout.compared(None, 0.5) == (wording.NONE, "50.0 %", wording.NONE)


def test_each_classifier_has_its_importances():
    section = layout.importances("importances", "", EVALUATION["plots"]["importances"])
    assert [panel.title for panel in section.panels] == [
        "Importance by feature (detection, table)",
        "Importance by feature (detection, text)",
    ]


def test_the_verdict_is_good_when_every_check_holds(evaluation):
    for row in evaluation["values"]:
        row["passed"] = None if row["passed"] is None else True
    found = page.contents(evaluation=evaluation)["verdict"]
    assert (found["state"], found["headline"], found["lacking"]) == ("good", "Good enough: all 8 checks hold.", [])


def test_a_run_alone_says_what_is_left_out_and_why(run):
    found = page.contents(run=run)
    assert found["verdict"]["state"] == "open"
    text = read(page.html(found)).text
    assert "nothing was measured against real data" in text
    assert "They are not data." in text
    assert {name for name, data in found["sections"].items() if "missing" in data} == {
        "marginals",
        "pairs",
        "importances",
        "map",
        "steering",
        "privacy",
        "bias",
        "examples",
    }
    assert collect.NO_EVALUATION in text


def test_an_evaluation_alone_needs_no_run(evaluation):
    found = page.contents(evaluation=evaluation)
    assert found["sections"]["recipe"] == {"missing": collect.NO_RUN}
    assert found["run"] is None


def test_an_evaluation_of_nothing_is_no_failure():
    found = page.contents(evaluation={"values": [], "plots": {}})
    assert found["verdict"]["headline"].startswith("Not judged")
    read(page.html(found))


def test_neither_is_refused():
    with pytest.raises(ValueError, match="got neither"):
        page.contents()


def test_steering_is_drawn_with_what_lacks_and_the_arms():
    section = layout.steering("steering", "Steering", STEERING)
    assert [panel.title for panel in section.panels] == ["Distance: attributes"]
    assert section.panels[0].note == "from 0.200 to 0.102"
    assert "Of 80 accepted records the best 60" in section.lead
    assert "nothing improved for two windows" in section.lead
    assert section.grids[0].rows == [
        ("priority = high × product = phone", "9.5", "3"),
        ("priority = low", "30.0", "28"),
    ]
    assert section.grids[1].rows == [("recipe", "36", "28", "1,120", "25"), ("cool", "0", "0", "0", wording.NONE)]


@pytest.mark.parametrize("left", ["window", "distance", "readings", "deficits", "arms"])
def test_steering_is_drawn_whatever_is_known_of_it(left):
    known = {name: value for name, value in deepcopy(STEERING).items() if name != left}
    for row in known["windows"]:
        row.pop(left)
    section = layout.steering("steering", "Steering", known)
    assert bool(section.panels) == (left != "window")
    assert len(section.grids) == 2 - (left in {"deficits", "arms"})
    assert layout.steering("steering", "Steering", {left: None}).panels == ()


def test_what_a_model_or_a_user_writes_stays_text(run, evaluation, tmp_path):
    plots = evaluation["plots"]
    plots["marginals"][0] |= {"field": HOSTILE, "bins": [HOSTILE] * len(plots["marginals"][0]["bins"])}
    plots["pairs"]["fields"] = [HOSTILE] * len(plots["pairs"]["fields"])
    plots["examples"][0] |= {"synthetic": HOSTILE, "real": "long " * 200_000, "field": HOSTILE, "why": HOSTILE}
    plots["bias"][0]["group"] = HOSTILE
    plots["privacy"][0]["label"] = HOSTILE
    plots["importances"][0]["feature"] = HOSTILE
    evaluation["values"][0] |= {"name": f"fidelity.{HOSTILE}", "meaning": HOSTILE}
    evaluation["notes"] = [HOSTILE]
    text, numbers = written(tmp_path, run=run, evaluation=evaluation, title=HOSTILE)
    found = read(text)
    assert "script" not in found.tags and "img" not in found.tags
    assert not set("\u202e\x00\x1b\ud800") & set(text)
    assert "مرحبا" in found.text and "漢字" in found.text
    assert len(text) < 500_000
    assert max(map(len, re.findall(r"[^<>]+", text[text.index("<body>") :]))) < 2500
    assert len(numbers["sections"]["examples"][0]["real"]) == 2000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (float("nan"), "–"), (0, "0"), (0.0, "0"), (0.98149, "0.981"), (-0.5, "−0.500"), (24.13, "24.1"),
        (0.00042, "0.00042"), (1234.5, "1,234"), (-32561, "−32,561"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, shown):
    assert wording.number(value) == shown


def test_a_cut_text_keeps_both_ends():
    assert wording.cut("a" * 50 + "b" * 50, 40) == "a" * 25 + " […] " + "b" * 10
    assert wording.cut("short\n\ttext", 40) == "short\n\ttext"
    assert len(wording.cut("x" * 1_000_000, 7)) <= 7


def test_the_card_says_value_beside_real_and_whether_it_holds(evaluation):
    lines = card_lines(evaluation)
    assert (
        lines[0]
        == "**Not good enough: 2 of 8 gates fail.** Rows: 2,000 synthetic, 2,000 real, 2,000 holdout; compared: 2,000 of each."
    )
    assert (
        "Fidelity, accuracy, univariate: 0.981, real data 0.984, 95 % interval 0.979 to 0.983; at least 0.975: holds"
        in lines
    )
    assert (
        "Privacy, ngram excess: 0.031, real data 0.002, 95 % interval 0.020 to 0.042; at most 0.010: **fails**" in lines
    )
    assert len(lines) == 9
    assert card_lines({"values": []}) == []


def test_a_place_that_cannot_be_written_is_named(evaluation, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        page.write(tmp_path / "file" / "page.html", evaluation=evaluation)
    with pytest.raises(ExportError, match="JSON file"):
        page.write(tmp_path / "page.json", evaluation=evaluation)


def options(*given):
    parser = argparse.ArgumentParser()
    cli.add(parser.add_subparsers())
    return parser.parse_args(["report", *map(str, given)])


def test_the_command_writes_into_the_runs_folder(folder, tmp_path, capsys):
    saved = tmp_path / "evaluation.json"
    saved.write_text(json.dumps(EVALUATION))
    assert cli.command(options(folder, "--evaluation", saved)) == 0
    assert "report.html" in capsys.readouterr().err
    numbers = json.loads((folder / "report.json").read_text())
    assert numbers["run"]["records"] == 60
    assert len(numbers["values"]) == len(EVALUATION["values"])


@pytest.mark.parametrize("records", [60, 59])
def test_an_evaluation_in_the_runs_folder_is_used_if_it_is_of_these_records(folder, run, records, capsys):
    sizes = EVALUATION["sizes"] | {"synthetic": records}
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION | {"sizes": sizes}))
    found = cli.measured_before(run)
    (folder / "evaluation.json").unlink()
    assert (found is not None) == (records == 60)
    assert ("of other records" in capsys.readouterr().err) == (records != 60)
    assert cli.measured_before(run) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "name a run folder"),
        (["RUN", "--real", "a.csv", "--evaluation", "e.json"], "give one of them"),
        (["--evaluation", "e.json", "--real", "a.csv"], "needs a run to measure"),
        (["RUN", "--holdout", "b.csv"], "needs --real"),
        (["RUN", "--to", "page.pdf"], "must end in .html"),
        (["--evaluation", "e.json", "--to", "e.html"], "would overwrite"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given, message):
    with pytest.raises(RecipeError, match=message):
        cli.command(options(*given))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_it_looks_right_in_a_browser(folder, evaluation, tmp_path):
    run = Run(folder)
    run.ledger.fact = lambda key, default=None, known=run.ledger.fact: (
        STEERING if key == "steering" else known(key, default)
    )
    place = page.write(tmp_path / "page.html", run=run, evaluation=evaluation)[0]
    run.close()

    async def look(tab):
        seen = {}
        for width in (390, 1280):
            for scheme in ("light", "dark"):
                await tab.look(width, scheme)
                found = await tab.overflow()
                paper = await tab.ask("getComputedStyle(document.body).backgroundColor")
                marks = await tab.ask("getComputedStyle(document.querySelector('figure text')).fill")
                small = await tab.ask(
                    "Math.min(...[...document.querySelectorAll('figure text')].map(t => t.getBoundingClientRect().height))"
                )
                seen[width, scheme] = found | {"paper": paper, "ink": marks, "small": small}
        ids = await tab.ask("[...document.querySelectorAll('section, section div')].map(one => one.id)")
        return seen, set(ids), tab.requests, tab.complaints

    seen, ids, requests, complaints = visit(place, tmp_path, look)
    assert complaints == []
    assert requests == [place.resolve().as_uri()]
    assert {"verdict", "numbers", *layout.BUILDERS} <= ids
    for (width, _), one in seen.items():
        assert one["scroll"] == one["wide"] == width
        assert one["found"] == []
        assert one["small"] >= 10, "text in a picture is too small to read"
    for width in (390, 1280):
        assert seen[width, "light"]["paper"] == "rgb(255, 255, 255)"
        assert seen[width, "dark"]["paper"] == "rgb(20, 23, 26)"
        assert seen[width, "light"]["ink"] != seen[width, "dark"]["ink"]
