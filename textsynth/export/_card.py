"""The metadata of a dataset card: where each split lies, what the columns are, and the hub's words for licence and size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

Files = Literal["arrow", "parquet", "jsonl"]
TAG = "textsynth"
"""The tag in a card's metadata by which a folder of ours is known."""


LICENSES = frozenset(
    """
    apache-2.0 mit cc0-1.0 cc-by-2.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0
    cc-by-nd-4.0 cc-by-nc-nd-4.0 odc-by odbl pddl cdla-permissive-2.0 cdla-sharing-1.0 bsd-2-clause bsd-3-clause
    gpl-3.0 lgpl-3.0 agpl-3.0 mpl-2.0 openrail llama3 llama3.1 llama3.2 llama3.3 llama4 gemma unlicense other unknown
    """.split()
)
"""Identifiers that the hub takes as they are; any other licence is ``other`` there, with its name beside it."""

SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")


def data_files(splits: Iterable[str], files: Files, beside: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the ``configs`` of a card: where ``datasets.load_dataset`` finds each split. Empty for Arrow files.

    Args:
        beside: datasets with other columns, each a configuration of its own with one split of the same name.
    """
    if files == "arrow":
        return []
    ending = ".jsonl" if files == "jsonl" else "-*.parquet"
    names = {"default": list(splits)} | {name: [name] for name in beside}
    return [
        {"config_name": config, "data_files": [{"split": n, "path": f"data/{n}{ending}"} for n in parts]}
        for config, parts in names.items()
    ]


def written_splits(dataset: DatasetDict) -> list[str]:
    """Return the splits that have rows, or all if none has: datasets cannot load a split without rows."""
    return [name for name, split in dataset.items() if len(split)] or list(dataset)


def complete(card: str, dataset: DatasetDict, files: Files, beside: Mapping[str, Dataset] | None = None) -> str:
    """Return ``card`` with the metadata that loading depends on: files and features, so that nothing is guessed."""
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCard

    full = DatasetCard(card, ignore_metadata_errors=False)
    names = written_splits(dataset)
    for key in ("configs", "dataset_info"):
        full.data.pop(key, None)
    if configs := data_files(names, files, beside or ()):
        full.data["configs"] = configs
    full.data["tags"] = list(dict.fromkeys([*(full.data.get("tags") or []), TAG]))
    features = {"default": dataset[names[0]].features} | {name: one.features for name, one in (beside or {}).items()}
    if configs and all(map(survives_yaml, features.values())):
        infos = {name: DatasetInfo(features=one, config_name=name) for name, one in features.items()}
        DatasetInfosDict(infos).to_dataset_card_data(full.data)
    return str(full)


def survives_yaml(features: Any) -> bool:
    """Whether datasets reads the same features back from a card: a field named ``_type`` or ``dtype`` confuses it."""
    from datasets import Features

    try:
        return bool(Features._from_yaml_list(features._to_yaml_list()) == features)
    except (TypeError, ValueError, KeyError, AttributeError):
        return False


def license_metadata(name: str) -> dict[str, str]:
    """Return the licence as the hub wants it; nothing if none was stated."""
    if not name:
        return {}
    if name.lower() in LICENSES:
        return {"license": name.lower()}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") or "other"}


def size_category(records: int) -> str:
    """Return the hub's category for a number of rows."""
    for power, upper in enumerate(SIZES):
        if records < 1000 * 10**power:
            return f"n<{upper}" if power == 0 else f"{SIZES[power - 1]}<n<{upper}"
    return "1B<n<10B"
