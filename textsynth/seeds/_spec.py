"""What a recipe says of its seeds."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from textsynth.documents import ChunkSpec


class SeedSpec(BaseModel):
    """Where the seeds lie and how a draw's examples are chosen from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        description="a JSONL, JSON, CSV, TSV or Parquet file, a folder, or a Hugging Face dataset id; or documents: a file, "
        "a pattern (docs/**/*.md) or, with chunk, a folder of .txt, .md, .rst, .html and .pdf"
    )
    chunk: ChunkSpec | None = Field(
        default=None,
        description="how documents are cut into rows of document, title, section, start, end and text",
    )
    split: str = Field(default="train", description="which split of a Hugging Face dataset")
    limit: int | None = Field(default=None, ge=1, description="read at most this many rows")
    columns: dict[str, str] = Field(default_factory=dict, description="record field: column of the source")
    shots: int = Field(default=3, ge=0, le=100, description="examples per draw")
    choose: Literal["random", "matching", "diverse", "retrieved", "linked"] = Field(
        default="random",
        description="matching: same value of the drawn attributes; diverse: as unlike as possible; retrieved: nearest to "
        "the drawn attributes, and unlike each other; linked: a first one and others that share a rare term with it, from "
        "other sections or documents",
    )
    match: tuple[str, ...] = Field(
        default=(), description="which attributes must match (default: all that seeds have; for retrieved: none)"
    )
    max_uses: int | None = Field(
        default=None,
        ge=1,
        description="how often one seed may be shown in the whole run (for retrieved, others come first after twice its share)",
    )
    grown: int = Field(
        default=0, ge=0, description="how many of the shots are records kept in earlier windows, once there are some"
    )
    license: str = Field(default="", description="licence of the seeds, for the dataset card")
    attribution: str = Field(default="", description="who made the seeds, for the dataset card")
