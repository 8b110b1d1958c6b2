"""The embedding worker: reads texts from standard input, writes vectors to standard output, ends with its parent.

BERT models run on a CPU in batches of fixed shapes, so that the same arithmetic is done for a text whatever stands
beside it. Everything else goes through sentence-transformers.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from textsynth import models
from textsynth.embeddings import _frames
from textsynth.errors import ModelError

Array = NDArray[Any]
TOKENS = 1024
"""Word pieces in one batch: fewer texts the longer they are."""
LENGTHS = (16, 32, 64, 128, 256, 512)
CHARACTERS = 16
"""Characters read of a text per word piece of the model's limit; white space counts once."""
FREE_MEMORY = 1 << 30
"""Bytes that must be free on a GPU for the model to go there: it is shared with the engine."""


class Model(Protocol):
    """What the worker needs of a backend."""

    facts: dict[str, Any]

    def embed(self, texts: Sequence[str]) -> Array:
        """Return one float32 row per text."""


class Bert:
    """A BERT model with mean pooling on OpenVINO, in bfloat16 where the processor has it."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        import openvino
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._limit = read_limit(folder)
        self._tokenizer.enable_truncation(self._limit)
        core = openvino.Core()
        precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        options = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self._run = core.compile_model(core.read_model(converted(folder)), "CPU", options)
        self.facts = {"backend": f"OpenVINO {openvino.__version__.split('-')[0]}, {precision}"}

    def embed(self, texts: Sequence[str]) -> Array:
        """Return one row per text; each length has its own batch shape, filled up with empty rows."""
        pieces = [e.ids for e in self._tokenizer.encode_batch([trim(text, self._limit) for text in texts])]
        rows: list[Array] = [np.empty(0)] * len(texts)
        for length in LENGTHS:
            shorter = length // 2 if length > LENGTHS[0] else 0
            members = [at for at, ids in enumerate(pieces) if shorter < len(ids) <= length]
            size = max(1, min(16, TOKENS // length))
            for first in range(0, len(members), size):
                some = members[first : first + size]
                for at, row in zip(some, self._batch([pieces[at] for at in some], size, length), strict=False):
                    rows[at] = row
        return np.stack(rows).astype(np.float32)

    def _batch(self, pieces: Sequence[list[int]], size: int, length: int) -> Array:
        ids, mask = np.zeros((size, length), dtype=np.int64), np.zeros((size, length), dtype=np.int64)
        mask[:, 0] = 1
        for row, some in enumerate(pieces):
            ids[row, : len(some)], mask[row, : len(some)] = some, 1
        states = self._run([ids, mask, np.zeros_like(ids)])[0]
        weights = mask[:, :, None].astype(np.float32)
        return np.asarray((states * weights).sum(axis=1) / weights.sum(axis=1))


class Sentence:
    """Any sentence-transformers model, on a GPU in half precision if one has room."""

    def __init__(self, location: str, *, threads: int) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        room = torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > FREE_MEMORY
        self._model = SentenceTransformer(location, device="cuda" if room else "cpu")
        if room:
            self._model.half()
        self._limit = self._model.max_seq_length or LENGTHS[-1]
        self.facts = {"backend": f"torch {torch.__version__}, {'cuda float16' if room else 'cpu float32'}"}

    def embed(self, texts: Sequence[str]) -> Array:
        """Return one row per text."""
        short = [trim(text, int(min(self._limit, 1 << 16))) for text in texts]
        return np.asarray(self._model.encode(short, show_progress_bar=False, convert_to_numpy=True), dtype=np.float32)


def trim(text: str, limit: int) -> str:
    """Return the part of a text that a model of ``limit`` word pieces can be expected to read."""
    return " ".join(text[: 64 * CHARACTERS * limit].split())[: CHARACTERS * limit]


def read_limit(folder: Path) -> int:
    """Return how many word pieces the model reads."""
    options = folder / "sentence_bert_config.json"
    told = json.loads(options.read_text()).get("max_seq_length") if options.is_file() else None
    return min(int(told or LENGTHS[-1]), LENGTHS[-1])


def is_bert(folder: Path) -> bool:
    """Return whether a folder holds a BERT model with mean pooling and nothing after it but normalisation."""
    files = [folder / name for name in ("config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json")]
    if not all(file.is_file() for file in files):
        return False
    config, modules, _, pooling = (
        json.loads(file.read_text()) if "tokenizer" not in file.name else {} for file in files
    )
    kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
    means = pooling.get("pooling_mode_mean_tokens") or pooling.get("pooling_mode") == "mean"
    return bool(config.get("model_type") == "bert" and kinds[:2] == ["Transformer", "Pooling"] and means) and set(
        kinds[2:]
    ) <= {"Normalize"}


def converted(folder: Path) -> Path:
    """Return the model in OpenVINO's form, converted once and kept in textsynth's cache."""
    import openvino
    from xxhash import xxh3_64_hexdigest

    weights = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.bin"))
    stamp = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in weights]
    name = xxh3_64_hexdigest(json.dumps([str(folder.resolve()), stamp, openvino.__version__]).encode())
    made = models.cache_folder() / "openvino" / name
    if not (made / "model.xml").is_file():
        convert(folder, made)
    return made / "model.xml"


def convert(folder: Path, made: Path) -> None:
    """Trace the model with torch and write it as OpenVINO files; all or nothing."""
    import shutil
    import tempfile

    import openvino
    import torch
    from transformers import AutoModel

    class States(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
        def __init__(self) -> None:
            super().__init__()
            self.bert = AutoModel.from_pretrained(folder).eval()

        def forward(self, ids: Any, mask: Any, kinds: Any) -> Any:
            return self.bert(input_ids=ids, attention_mask=mask, token_type_ids=kinds)[0]

    example = tuple(torch.ones((2, 8), dtype=torch.long) for _ in range(3))
    graph = openvino.convert_model(States(), example_input=example)
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
        openvino.save_model(graph, Path(scratch) / "new" / "model.xml", compress_to_fp16=False)
        if not (made / "model.xml").is_file():
            shutil.rmtree(made, ignore_errors=True)
            (Path(scratch) / "new").rename(made)


def has_gpu() -> bool:
    """Return whether an NVIDIA GPU is there, without loading torch."""
    return Path("/dev/nvidia0").exists()


def build(name: str, backend: str, threads: int) -> Model:
    """Load a model on the backend asked for."""
    if wrong := models.problem(name):
        raise ModelError(f"embedding model: {wrong}", hint="check the name, or use default")
    found = models.find_embedding(name)
    location = Path(found.location)
    fits = location.is_dir() and is_bert(location)
    wanted = backend == "openvino" or (backend == "auto" and not has_gpu() and find_spec("openvino") is not None)
    if backend == "openvino" and not fits:
        raise ModelError(
            f"{name!r} cannot run on OpenVINO here", hint="leave out the backend: it must be a BERT folder"
        )
    model: Model = Bert(location, threads=threads) if wanted and fits else Sentence(found.location, threads=threads)
    width = model.embed(["one text"]).shape[1]
    model.facts |= {"model": name, "source": found.source, "dimension": width}
    return model


def describe(error: Exception) -> dict[str, Any]:
    """Return an error as the parent reads it."""
    if isinstance(error, ImportError):
        return {"kind": "missing", "message": str(error.name or error)}
    if isinstance(error, ModelError):
        return {"kind": "model", "message": error.message, "hint": error.hint, "retryable": error.retryable}
    text = f"embedding model cannot be loaded: {type(error).__name__}: {str(error)[:300]}"
    return {"kind": "model", "message": text, "hint": "check the name, or use default", "retryable": False}


def normalise(vectors: Array) -> Array:
    """Scale rows to length 1; a row of zeros stays."""
    lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def main() -> None:
    """Serve until the input ends."""
    name, backend, threads = sys.argv[1:4]
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    try:
        model = build(name, backend, int(threads))
        _frames.send(answers, {"facts": model.facts})
        while message := _frames.receive(requests):
            keys, texts = message
            vectors = np.nan_to_num(normalise(model.embed(texts)))
            _frames.send(answers, {"keys": keys, "vectors": vectors.tobytes()})
    except (BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as error:  # noqa: BLE001  whatever a library raises is told to the parent
        _frames.send(answers, {"error": describe(error)})


if __name__ == "__main__":
    main()
