"""What a recipe says of the eval set that is made from its records (``evalset:``)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Difficulty = Literal["easy", "medium", "hard"]


class EvalsetSpec(BaseModel):
    """How many items are taken, how they are parted from the training rows, and what neither may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: int = Field(ge=1, description="how many items the eval set has")
    name: str = Field(default="", pattern=r"^\w*$", description="names the tasks (default: the recipe's name)")
    difficulty: dict[Difficulty, float] = Field(
        default_factory=dict, description="share of each difficulty; needs solve: {difficulty: ...}"
    )
    topics: dict[str, float] = Field(default_factory=dict, description="share of each topic")
    by: tuple[str, ...] = Field(
        default=("document", "seeds"),
        description="rows that share one of these lie on one side: document, seeds, topic, entity, or any field",
    )
    context: Literal["hidden", "shown"] = Field(
        default="hidden", description="shown: each item is asked with its passage before it"
    )
    benchmarks: dict[str, str] | tuple[str, ...] = Field(
        default=(), description="files or datasets that neither side may hold, {name: path}"
    )
    n: int = Field(default=13, ge=3, description="words in a row that count as taken over")
    near: float = Field(default=0.7, gt=0, le=1, description="least Jaccard similarity of a near duplicate")
    embeddings: str | None = Field(
        default="default", description="the model that finds the same in other words (null: none)"
    )
    similarity: float = Field(default=0.9, gt=0, le=1, description="least cosine that counts as the same")
    train: str | dict[str, Any] = Field(default="records", description="the form of the training rows")
    seed: int = Field(default=0, ge=0, description="same seed, same choice")

    @field_validator("difficulty", "topics")
    @classmethod
    def check_shares(cls, shares: dict[str, float]) -> dict[str, float]:
        """Shares are positive and add up to 1."""
        if shares and (any(s <= 0 for s in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6):
            raise ValueError(f"shares must be above 0 and add up to 1, got {shares}")
        return shares

    @field_validator("by")
    @classmethod
    def check_by(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """There is something to part by: a split by row leaks."""
        if not names:
            raise ValueError("by must name at least one of document, seeds, topic, entity or a field, got none")
        return names
