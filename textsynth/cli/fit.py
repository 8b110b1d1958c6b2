"""The commands ``fit`` (learn a profile of real data, or show one) and ``sample`` (draw records from a profile)."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from textsynth.errors import RecipeError
from textsynth.records import Record

ENDINGS = (".jsonl", ".csv", ".parquet")


def add(commands: Any) -> None:
    """Add the sub-parsers of ``fit`` and ``sample``."""
    what = "learn what real data looks like: fields, rules, joint distribution"
    one = commands.add_parser("fit", help=what, description=what)
    one.add_argument("data", nargs="?", help="JSONL, JSON, CSV, TSV, Parquet, a folder, or a Hugging Face dataset")
    one.add_argument("-o", "--to", type=Path, default=Path("profile"), metavar="FOLDER", help="default: profile")
    one.add_argument("--show", type=Path, metavar="PROFILE", help="show a profile instead")
    one.add_argument("--key", default="", metavar="FIELD", help="names the person or group that a row belongs to")
    one.add_argument("--label", default="", metavar="FIELD", help="what the data is used to predict")
    one.add_argument("--protected", default="", metavar="A,B", help="fields that bias measures look at")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--split", default="train", help="of a Hugging Face dataset")
    one.add_argument("--limit", type=_positive, metavar="N", help="learn from the first N rows only")
    one.add_argument("--embeddings", default="default", metavar="MODEL", help="for topic clusters of texts")
    one.add_argument("--no-embeddings", action="store_true", help="no topic clusters")
    one.add_argument("--traits", metavar="MODEL", help="have this model propose label-like traits and read them out")
    one.add_argument("--audit", action="store_true", help="split 50/10/40 instead of 60/20/20, for privacy measures")
    one.add_argument("--json", action="store_true", help="the profile's facts as JSON on standard output")
    what = "draw records from a profile, without a model; texts are left out"
    one = commands.add_parser("sample", help=what, description=what)
    one.add_argument("profile", type=Path)
    one.add_argument("-n", "--records", type=_positive, default=10, metavar="N")
    one.add_argument("--fix", action="append", default=[], metavar="FIELD=VALUE", help="exact in every record")
    one.add_argument(
        "--share", action="append", default=[], metavar="FIELD=VALUE:.5,VALUE:.5", help="rebalance a field"
    )
    one.add_argument("--to", type=Path, metavar="FILE", help=f"ending {', '.join(ENDINGS)}; default: JSON lines here")
    one.add_argument("--seed", type=int, default=0)


def command(options: argparse.Namespace) -> int:
    """Run ``fit`` or ``sample``."""
    return sample(options) if options.command == "sample" else fit(options)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {value}")
    return value


def fit(options: argparse.Namespace) -> int:
    """Learn a profile and show it, or show one that is there."""
    from textsynth import profile as profiles

    if options.show is not None:
        return show(profiles.Profile.load(options.show), options)
    if options.data is None:
        raise RecipeError(
            ["fit: no data is named"], hint="textsynth fit DATA -o profile, or textsynth fit --show profile"
        )
    refuse_folder(options.to)
    started = time.monotonic()
    rows = profiles.read_rows(options.data, part=options.split, limit=options.limit)
    with asking(options.traits) as ask:
        made = profiles.fit(
            rows,
            key=options.key,
            label=options.label,
            protected=tuple(filter(None, options.protected.split(","))),
            seed=options.seed,
            embeddings=None if options.no_embeddings else options.embeddings,
            traits=ask,
            sizes=profiles.AUDIT_SIZES if options.audit else profiles.SIZES,
            source=options.data,
        )
    made.save(options.to)
    code = show(made, options)
    if not options.json:
        _note(f"wrote {options.to} in {time.monotonic() - started:.1f} s; next: textsynth sample {options.to} -n 5")
    return code


@contextlib.contextmanager
def asking(model: str | None) -> Iterator[Any]:
    """Yield who answers questions about the texts: a model, or ``None`` if none is named."""
    if model is None:
        yield None
        return
    from textsynth.answering import Answering
    from textsynth.cli.commands import engine_output

    with engine_output(None), Answering(model) as ask:
        yield ask


def refuse_folder(folder: Path) -> None:
    """Raise ``RecipeError``, before anything is learned, for a place where no profile can be written."""
    if folder.is_file():
        raise RecipeError([f"{str(folder)!r} is a file: a profile is a folder"])
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "profile.json").exists():
        raise RecipeError([f"{str(folder)!r} holds other files and no profile"], hint="give a new or empty folder: -o")


def show(profile: Any, options: argparse.Namespace) -> int:
    """Print a profile: as tables, or its facts as JSON."""
    from textsynth.cli.show import grid, out
    from textsynth.profile.show import headline, tables
    from textsynth.profile.store import as_data

    if options.json:
        print(json.dumps(as_data(profile), ensure_ascii=False))
        return 0
    for line in headline(profile):
        out.print(escape(line))
    for table in tables(profile):
        shown = grid(f"\n{escape(table.title)}", *table.columns, right=table.right)
        for row in table.rows:
            shown.add_row(*map(escape, row))
        out.print(shown)
    return 0


def sample(options: argparse.Namespace) -> int:
    """Draw records and write or print them."""
    import numpy as np

    from textsynth.profile import Profile

    if options.to is not None and options.to.suffix not in ENDINGS:
        raise RecipeError([f"--to: {options.to.name!r} must end in one of {', '.join(ENDINGS)}"])
    profile = Profile.load(options.profile)
    random = np.random.default_rng(options.seed)
    drawn = profile.sample(
        options.records,
        random=random,
        fixed=read_fixed(profile, options.fix),
        weights=read_shares(profile, options.share),
    )
    records = profile.as_records(drawn, random=random)
    for line in drawn.unseen:
        _note(f"unseen: {line}")
    if options.to is None:
        for record in records:
            print(json.dumps(record, ensure_ascii=False, default=str))
    else:
        write(records, options.to)
        _note(f"wrote {len(records):,} records to {options.to}")
    if profile.text_fields:
        _note(f"left out, for a model to write: {', '.join(field.name for field in profile.text_fields)}")
    return 0


def read_fixed(profile: Any, given: Sequence[str]) -> dict[str, Any]:
    """Read ``FIELD=VALUE`` arguments. Raise ``RecipeError`` for one that is none, or a field given twice."""
    found: dict[str, Any] = {}
    for each in given:
        name, sign, text = each.partition("=")
        if not sign or not name or name in found:
            wrong = "is given twice" if name in found else "must be FIELD=VALUE"
            raise RecipeError([f"--fix: {each!r} {wrong}"])
        found[name] = read_value(profile, name, text)
    return found


def read_shares(profile: Any, given: Sequence[str]) -> dict[str, dict[Any, float]]:
    """Read ``FIELD=VALUE:SHARE,VALUE:SHARE`` arguments. Raise ``RecipeError`` for one that is none."""
    found: dict[str, dict[Any, float]] = {}
    for each in given:
        name, _, text = each.partition("=")
        try:
            pairs = [part.rsplit(":", 1) for part in text.split(",")]
            found[name] = {read_value(profile, name, value): float(share) for value, share in pairs}
        except ValueError:
            raise RecipeError([f"--share: {each!r} must be FIELD=VALUE:SHARE,VALUE:SHARE"]) from None
    return found


def read_value(profile: Any, name: str, text: str) -> Any:
    """Read a value as its field's type; ``null`` is null where the field can be null."""
    try:
        field = profile.field(name)
    except KeyError:
        return text  # the profile says what fields there are
    if text == "null" and field.nullable:
        return None
    if field.kind == "options":
        return [part for part in text.split(",") if part]
    if field.type in {"integer", "number", "boolean", "mixed"}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def write(records: Sequence[Record], file: Path) -> None:
    """Write records in the form that the ending says; in CSV, what is nested is JSON and what is absent is empty."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as parquet

            parquet.write_table(pa.Table.from_pylist(list(records)), file)
        elif file.suffix == ".csv":
            with file.open("w", newline="", encoding="utf-8") as lines:
                _write_csv(records, lines)
        else:
            with file.open("w", encoding="utf-8") as lines:
                lines.writelines(json.dumps(record, ensure_ascii=False, default=str) + "\n" for record in records)
    except OSError as error:
        raise RecipeError([f"{str(file)!r} cannot be written: {error.strerror}"]) from error


def _write_csv(records: Iterable[Record], lines: Any) -> None:
    rows = list(records)
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(lines, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


def _note(text: str) -> None:
    print(text, file=sys.stderr)
