"""A dataset on the Hugging Face hub: the data by datasets' own upload, then the card."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from textsynth.errors import ExportError
from textsynth.export._card import complete, survives_yaml, written_splits
from textsynth.export._write import SHARD_BYTES, quiet

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

DEFAULT_TOKEN = "HF_TOKEN"


def push(
    dataset: DatasetDict,
    repo: str,
    card: str,
    *,
    private: bool = True,
    token_env: str = DEFAULT_TOKEN,
    beside: Mapping[str, Dataset] | None = None,
) -> str:
    """Upload ``dataset`` as Parquet to ``repo`` (``owner/name``), with its card, and return the page's address.

    Args:
        beside: datasets with other columns, each a configuration of its own.
        private: of a repository that does not exist yet. Private data is never sent to one that is public.
        token_env: the environment variable with the token; for ``HF_TOKEN`` a stored login (``hf auth login``) will do.

    Raises:
        ExportError: no token, no such repository or no right to it, a public one, no connection; each with what to do.
    """
    from datasets import DatasetDict, config
    from huggingface_hub import DatasetCard, HfApi

    more = {name: DatasetDict({name: one}) for name, one in (beside or {}).items()}
    for each in (dataset, *more.values()):
        refuse_confusing(each)
    token = find_token(token_env)
    with hub_errors(repo, token_env), quiet():
        api = HfApi(endpoint=config.HF_ENDPOINT, token=token)
        refuse_public(api, repo, private=private)
        require_room(dataset)
        kept = DatasetDict({name: dataset[name] for name in written_splits(dataset)})
        full = DatasetCard(complete(card, kept, "parquet", beside))
        full.validate()
        for config_name, part in {"default": kept, **more}.items():
            message = "Upload dataset with textsynth"
            part.push_to_hub(repo, config_name, private=private, token=token, commit_message=message)
        text = str(full).encode()
        api.upload_file(path_or_fileobj=text, path_in_repo="README.md", repo_id=repo, repo_type="dataset")
    return f"{api.endpoint}/datasets/{repo}"


def find_token(token_env: str) -> str:
    """Return the token to use, or raise ``ExportError``."""
    from huggingface_hub import get_token

    token = os.environ.get(token_env) or (get_token() if token_env == DEFAULT_TOKEN else None)
    if not token:
        raise ExportError(
            f"export.hub: the environment variable {token_env} is not set, and pushing needs a token",
            hint="make one with write access at https://huggingface.co/settings/tokens",
        )
    return token


def refuse_confusing(dataset: DatasetDict) -> None:
    """Raise ``ExportError`` for columns whose inner field names datasets' upload stumbles over (``_type``, ``dtype``)."""
    from datasets import Features

    for name, feature in next(iter(dataset.values())).features.items():
        if not survives_yaml(Features({name: feature})):
            raise ExportError(
                f"export.hub: a field inside {name!r} has a name that datasets cannot write into a card on the hub",
                hint=f"export with the option as_json: [{name}], or rename the field",
            )


def refuse_public(api: Any, repo: str, *, private: bool) -> None:
    """Raise ``ExportError`` if the data is to be private and the repository exists and is public."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = api.dataset_info(repo)
    except RepositoryNotFoundError:
        return
    if private and not found.private:
        raise ExportError(
            f"export.hub: {repo!r} exists and is public, but export.private is true",
            hint="choose another name, make the repository private, or set private: false",
        )


def require_room(dataset: DatasetDict) -> None:
    """Raise ``ExportError`` unless the temporary folder holds the largest file that datasets uploads by way of it.

    On a disk that fills up meanwhile, Arrow would end the whole process.
    """
    folder = tempfile.gettempdir()
    needed = max(min(split.data.nbytes, SHARD_BYTES) for split in dataset.values())
    if shutil.disk_usage(folder).free < needed:
        hint = "free some space (or set TMPDIR to a larger disk) and export again: the run is untouched"
        raise ExportError(f"export.hub: the upload needs {needed:,} bytes in {folder!r}", hint=hint, retryable=True)


@contextmanager
def hub_errors(repo: str, token_env: str) -> Iterator[None]:
    """Turn what the hub's client raises into an ``ExportError`` that says what to do."""
    from huggingface_hub.errors import HfHubHTTPError

    http_error = HfHubHTTPError.__bases__[0]  # that of requests, httpx or httpx2, whichever this version is built on
    try:
        yield
    except HfHubHTTPError as error:
        raise refused(repo, token_env, error) from error
    except (http_error, OSError) as error:
        raise ExportError(
            f"export.hub: pushing to {repo!r} broke off: {str(error)[:200] or type(error).__name__}",
            hint="check the network, HF_HUB_OFFLINE and the disk, then export again: the run is untouched",
            retryable=True,
        ) from error
    except ValueError as error:  # a name or a card that the client or the hub does not take
        hint = "a repository is named owner/name"
        raise ExportError(f"export.hub: {repo!r} was not accepted: {error}", hint=hint) from error


def refused(repo: str, token_env: str, error: Any) -> ExportError:
    """Word the hub's answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    hints = {
        401: f"the token is not valid: renew it and set {token_env}",
        403: f"the token in {token_env} needs write access to {repo.split('/')[0]!r}",
        404: "check the name; a repository of others, or one your token may not see, also answers 404",
        429: "too many requests: wait a little, then export again",
    }
    hint = hints.get(status or 0, "see https://status.huggingface.co, then export again: the run is untouched")
    answer = str(getattr(error, "server_message", None) or str(error).strip().split("\n")[0])
    retryable = status == 429 or (status or 0) >= 500
    message = f"export.hub: the hub answered {status} for {repo!r}: {answer[:200]}"
    return ExportError(message, hint=hint, retryable=retryable)
