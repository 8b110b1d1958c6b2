"""Embeddings by a worker process: the same vector whatever stands beside a text, and errors a person can read."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from textsynth import embeddings
from textsynth.errors import ModelError

TEXTS = [
    "Where is my card?",
    "My card has not arrived.",
    "The exchange rate is wrong.",
    "x " * 300,
    "",
    "\ud800",
    "\x00",
    "猫",
]


@pytest.fixture(scope="module")
def embedder():
    made = embeddings.Embedder("default", threads=1)
    yield made
    made.close()


def test_vectors_have_length_one_and_meaning(embedder):
    vectors = embedder.take(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension) == (len(TEXTS), 384) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > vectors[0] @ vectors[2]
    assert embedder.take([]).shape == (0, 384)
    assert set(embedder.facts) == {"backend", "model", "source"}


def test_a_text_has_the_same_vector_alone_in_any_company_and_after_a_restart(embedder):
    alone = np.concatenate([embedder.take([text]) for text in TEXTS])
    embedder.close()
    together = embedder.take([*reversed(TEXTS), "something else"])[:-1][::-1]
    assert (alone == together).all()


def test_work_ahead_is_not_waited_for(embedder):
    texts = [f"message number {n} about the weather" for n in range(300)]
    embedder.start()
    began = time.monotonic()
    embedder.submit(texts)
    assert time.monotonic() - began < 0.2 and not embedder.ready(texts)
    ahead = embedder.take(texts)
    assert embedder.ready(texts) and (embedder.take(texts) == ahead).all()


def test_more_texts_than_are_remembered_are_embedded_all_the_same(embedder, monkeypatch):
    monkeypatch.setattr(embeddings, "REMEMBERED", 20)
    monkeypatch.setattr(embeddings, "SLICE", 10)
    texts = [f"text {n}" for n in range(50)]
    assert (embedder.take(texts)[::7] == embedder.take(texts[::7])).all()
    assert len(embedder._memo) <= 20


def test_a_worker_that_dies_is_an_error_and_the_next_use_starts_another():
    made = embeddings.Embedder("default", threads=1)
    first = made.take(TEXTS[:1])
    os.kill(made._worker.pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="the embedding worker of 'default' ended"):
        for number in range(100):
            made.take([f"another text {number}"])
            time.sleep(0.05)
    assert (made.take(TEXTS[:1]) == first).all()
    os.kill(made._worker.pid, signal.SIGKILL)
    while made._error is None:
        time.sleep(0.01)
    with pytest.raises(ModelError):
        made.take(["asked for while nobody was there"])
    assert made.take(["asked for while nobody was there"]).shape == (1, 384)
    made.close()


def test_what_cannot_be_a_model_is_said_before_and_what_is_not_there_when_it_starts(tmp_path):
    assert embeddings.problem("default") == "" and embeddings.problem("owner/name") == ""
    assert "is no embedding model" in embeddings.problem("http://localhost/v1")
    assert "holds no modules.json" in embeddings.problem(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="there is no folder"):
        embeddings.Embedder("./nowhere").start()
    broken = embeddings.Embedder(str(tmp_path))
    with pytest.raises(ModelError) as error:
        broken.start()
    assert error.value.hint


def test_a_plain_script_can_use_it_and_torch_stays_out(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text(
        "import sys\nfrom textsynth import embeddings\n"
        "print(embeddings.load().take(['hello']).shape, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "(1, 384) False", done.stderr


def test_one_embedder_is_shared_by_name():
    assert embeddings.load("default") is embeddings.load() is not embeddings.load("owner/other")
