"""textsynth: schema-true synthetic text and records from a local open model.

    import textsynth as ts
    result = ts.synthesize(Ticket, prompt="Write a support ticket about {{ product }}.", records=500)
    result.dataset      # datasets.Dataset
    result.rejected     # datasets.Dataset: raw text, reason, culprit, score

Importing this loads neither torch nor vllm nor datasets.
"""

from typing import TYPE_CHECKING, Any

from textsynth.api import check, load_run, preview, run, stream, synthesize, validate
from textsynth.errors import TextsynthError
from textsynth.recipe import Recipe
from textsynth.runs import Run

__version__ = "0.1.0"
__all__ = [
    "Profile", "Recipe", "Run", "TextsynthError", "augment", "check", "evaluate", "fit", "load_run", "mix", "preview",
    "run", "stream", "synthesize", "tune", "validate",
]  # fmt: skip
LATER = {
    "Profile": "profile", "augment": "augmentation", "evaluate": "evaluation", "fit": "profile", "mix": "mixing",
    "tune": "tuning",
}  # fmt: skip
"""Public names that load more, and the package each lies in."""

if TYPE_CHECKING:
    from textsynth.augmentation import augment
    from textsynth.evaluation import evaluate
    from textsynth.mixing import mix
    from textsynth.profile import Profile, fit
    from textsynth.tuning import tune


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in LATER:
        raise AttributeError(f"module 'textsynth' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"textsynth.{LATER[name]}"), name)
