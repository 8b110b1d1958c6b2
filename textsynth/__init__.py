"""textsynth: schema-true synthetic text and records from a local open model.

    import textsynth as ts
    result = ts.synthesize(Ticket, prompt="Write a support ticket about {{ product }}.", records=500)
    result.dataset      # datasets.Dataset
    result.rejected     # datasets.Dataset: raw text, reason, culprit, score

Importing this loads neither torch nor vllm nor datasets.
"""

from textsynth.api import check, load_run, preview, run, stream, synthesize, validate
from textsynth.errors import TextsynthError
from textsynth.recipe import Recipe
from textsynth.runs import Run

__version__ = "0.1.0"
__all__ = ["Recipe", "Run", "TextsynthError", "check", "load_run", "preview", "run", "stream", "synthesize", "validate"]
