"""The metadata of a dataset card that depends on the files: where each split lies, and what the columns are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datasets import DatasetDict

Files = Literal["arrow", "parquet", "jsonl"]
TAG = "textsynth"
"""The tag in a card's metadata by which a folder of ours is known."""


def data_files(splits: Iterable[str], files: Files) -> list[dict[str, Any]]:
    """Return the ``configs`` of a card: where ``datasets.load_dataset`` finds each split. Empty for Arrow files."""
    if files == "arrow":
        return []
    paths = [{"split": split, "path": f"data/{split}-*.{files}"} for split in splits]
    return [{"config_name": "default", "data_files": paths}]


def written_splits(dataset: DatasetDict) -> list[str]:
    """Return the splits that have rows, or all if none has: datasets cannot load a split without rows."""
    return [name for name, split in dataset.items() if len(split)] or list(dataset)


def complete(card: str, dataset: DatasetDict, files: Files) -> str:
    """Return ``card`` with the metadata that loading depends on: files and features, so that nothing is guessed."""
    from datasets import DatasetInfo, Features
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCard

    full = DatasetCard(card, ignore_metadata_errors=False)
    names = written_splits(dataset)
    for key in ("configs", "dataset_info"):
        full.data.pop(key, None)
    if configs := data_files(names, files):
        full.data["configs"] = configs
    full.data["tags"] = list(dict.fromkeys([*(full.data.get("tags") or []), TAG]))
    features = dataset[names[0]].features
    if configs and Features._from_yaml_list(features._to_yaml_list()) == features:
        DatasetInfosDict({"default": DatasetInfo(features=features)}).to_dataset_card_data(full.data)
    return str(full)
