"""Accepted records as Hugging Face datasets; each file here is one form, a dataclass whose fields are its options.

A form says which columns the dataset has (``features``, from the schema alone, before the run) and how a record becomes
a row; ``to_dataset`` builds and splits, ``write`` puts the result into a folder, ``push`` onto the hub. A form of your
own is a subclass of ``Form`` with one method, ``layout``. Nothing changes silently on the way: what a column cannot
hold exactly is written as JSON text, and the dataset card lists those columns.
"""

from textsynth.export._build import RowWriter, split_sizes, to_dataset, to_plain
from textsynth.export._card import Files, data_files, license_metadata, size_category
from textsynth.export._disk import disk_errors, scratch_folder
from textsynth.export._encode import Misfit, row_encoder
from textsynth.export._features import Shape, read_columns, to_features
from textsynth.export._form import Form, Layout, build, require
from textsynth.export._masks import Trained, trained_tokens, training_template
from textsynth.export._push import push
from textsynth.export._tokens import TokenCounts, count_tokens, load_tokenizer
from textsynth.export._write import write

__all__ = [
    "Files",
    "Form",
    "Layout",
    "Misfit",
    "RowWriter",
    "Shape",
    "TokenCounts",
    "Trained",
    "build",
    "count_tokens",
    "data_files",
    "disk_errors",
    "license_metadata",
    "load_tokenizer",
    "push",
    "read_columns",
    "require",
    "row_encoder",
    "scratch_folder",
    "size_category",
    "split_sizes",
    "to_dataset",
    "to_features",
    "to_plain",
    "trained_tokens",
    "training_template",
    "write",
]
