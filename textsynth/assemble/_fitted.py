"""What a recipe's profile brings: the joint distribution, real examples, and the goal that steering works towards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal, cast

from textsynth.errors import RecipeError, unknown
from textsynth.filters import Filter
from textsynth.goal import Goal
from textsynth.recipe import Recipe
from textsynth.records import Record, Seed
from textsynth.seeds import SeedPool, SeedSpec
from textsynth.steer import Arms, Cells, Steering, Wanted

if TYPE_CHECKING:
    from textsynth.filters.adherence import Adherence
    from textsynth.joint import Joint
    from textsynth.profile import Profile, Split

Purpose = Literal["run", "read"]
DRAWN = 10_000
"""Rows drawn from the profile to know what shares are wanted."""


@dataclass(frozen=True)
class Fitted:
    """A profile with the real rows it was fitted to, as far as they may be read during a run.

    ``units`` say which of the train rows belong together, if the profile knows by a key.
    """

    profile: Profile
    joint: Joint
    source: str
    train: Sequence[Record]
    steer: Sequence[Record]
    units: Sequence[int] | None

    def seeds(self) -> list[Seed]:
        """Return the train rows as seeds."""
        return [Seed(number, row) for number, row in enumerate(self.train)]

    @cached_property
    def wanted(self) -> Wanted:
        """The cells wanted and their shares, of many rows drawn; values that are lists or objects do not count."""
        rows = self.joint.rows(Random(0), [{}] * DRAWN)
        return Wanted([{name: v for name, v in row.items() if not isinstance(v, dict | list)} for row in rows])


def load_fitted(recipe: Recipe, purpose: Purpose) -> Fitted | None:
    """Load the recipe's profile and, to run, the data it was fitted on.

    Raises:
        RecipeError: no profile, other data than it was fitted on, or values that it does not know.
    """
    spec = recipe.profile
    if spec is None:
        return None
    from textsynth.joint import Joint
    from textsynth.profile import Profile

    profile = Profile.load(recipe.folder / spec.folder)
    joint = Joint(profile, fixed=spec.fixed, weights=spec.weights, only=spec.only, seed=recipe.seed)
    lost = [unknown("profile.only", name, joint.known) for name in spec.only if name not in joint.known]
    if lost:
        raise RecipeError(lost)
    joint.rows(Random(0), [{}])
    if purpose == "read" or not profile.text_fields:
        return Fitted(profile, joint, "", (), (), None)
    rows, source = real_rows(recipe, profile), source_of(recipe, profile)
    train, steer = (pick(rows, profile, name) for name in ("train", "steer"))
    key = profile.facts.key
    numbers: dict[str, int] = {}
    units = [numbers.setdefault(repr(row.get(key)), len(numbers)) for row in train] if key else None
    return Fitted(profile, joint, source, train, steer, units)


def source_of(recipe: Recipe, profile: Profile) -> str:
    """Return where the data lies that a profile was fitted on."""
    source = (recipe.profile.data if recipe.profile else "") or profile.facts.source
    if not source:
        raise RecipeError(["profile.data: the profile was fitted on rows in memory; name the file that holds them"])
    return source


def real_rows(recipe: Recipe, profile: Profile) -> list[Record]:
    """Return all rows of the data that a profile was fitted on.

    Raises:
        RecipeError: it is not where it was, or is not the same.
    """
    from textsynth.profile import data_hash, read_rows

    source = source_of(recipe, profile)
    rows = read_rows(source, folder=nearest_folder(source, recipe.folder))
    if data_hash(rows) != profile.facts.data_hash:
        then = f"{len(rows)} rows, {profile.facts.rows} then"
        raise RecipeError(
            [f"profile.data: {source!r} is not what the profile was fitted on: {then}"],
            hint="name that file with profile: {data: ...}, or fit again",
        )
    return rows


def pick(rows: Sequence[Record], profile: Profile, split: Split) -> list[Record]:
    """Return the rows of one split."""
    return [rows[at] for at in profile.split(split).tolist()]


def nearest_folder(source: str, folder: Path) -> Path:
    """Return what a source is relative to: the recipe's folder, or the current one if it lies there."""
    return folder if (folder / source).exists() or not Path(source).exists() else Path.cwd()


def derived_rows(profile: Profile, train: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what the profile derives from the texts of its train rows, one mapping per row."""
    from textsynth.columns import columns
    from textsynth.profile.text import derive

    texts = profile.text_fields
    found = derive(columns(train, texts), texts).columns
    found |= {f"{name}#cluster": numbers.tolist() for name, numbers in profile.assigned.items()}
    return [{name: column[at] for name, column in found.items()} for at in range(len(train))]


def seed_spec(recipe: Recipe, fitted: Fitted | None) -> SeedSpec | None:
    """Return how examples are chosen: as the recipe says, else retrieved from the profile's train rows."""
    if recipe.seeds is not None or recipe.profile is None or fitted is None or not fitted.train:
        return recipe.seeds
    label = fitted.profile.label
    match = (label,) if label in fitted.joint.names else ()
    shots = min(recipe.profile.shots, len(fitted.train))
    return SeedSpec(path=fitted.source, choose="retrieved", match=match, shots=shots)


def make_pool(
    recipe: Recipe, spec: SeedSpec | None, rows: Sequence[Seed], names: Sequence[str], fitted: Fitted | None
) -> SeedPool | None:
    """Build the pool of examples; those of a profile with what is known of their texts."""
    if spec is None:
        return None
    if fitted is None or recipe.seeds is not None:
        return SeedPool(rows, spec, names, records=recipe.records)
    derived = derived_rows(fitted.profile, fitted.train)
    return SeedPool(rows, spec, names, records=recipe.records, derived=derived, units=fitted.units)


def make_steering(recipe: Recipe, quotas: Mapping[str, Mapping[Any, int]], fitted: Fitted | None, lag: int) -> Steering:
    """Build the steering; with a profile it knows which cells are wanted."""
    most, size, steer = accepted(recipe), recipe.windows.size, recipe.steer
    cells = Cells(fitted.wanted) if fitted and steer else None
    arms = Arms(["", *steer.arms]) if steer and steer.arms else None
    return Steering(records=most, quotas=quotas, size=size, lag=lag, cells=cells, arms=arms)


def accepted(recipe: Recipe) -> int:
    """Return how many records may be accepted before some are left out."""
    return round(recipe.records * (recipe.steer.pool if recipe.profile and recipe.steer else 1))


def find_watch(filters: Mapping[str, Filter]) -> Adherence | None:
    """Return the filter that reads texts again, if the run has it."""
    return cast("Adherence | None", filters.get("adherence"))


def make_goal(recipe: Recipe, fitted: Fitted | None, steering: Steering, filters: Mapping[str, Filter]) -> Goal | None:
    """Build what decides when a steered run is good enough."""
    if fitted is None or recipe.steer is None:
        return None
    return Goal(
        records=recipe.records,
        accepted=accepted(recipe),
        patience=recipe.steer.patience,
        wanted=fitted.wanted,
        watch=find_watch(filters),
        steer=fitted.steer,
        train=fitted.train,
        arms=steering.arms,
    )
