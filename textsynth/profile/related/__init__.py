"""Related tables: record kinds whose keys match, learned together and sampled together.

A parent's record is learned jointly with its number of children per relation; a child's record given its ancestors'
attributes, its position and the sibling before it. A table with several parents is drawn along its first relation; the
keys of the others are dealt out so that each parent row gets the number of children drawn for it. Every foreign key of a
sample resolves, every key is fresh. Texts and dialogues are left out: a model writes them later.
"""

from textsynth.profile.related._dataset import to_dataset_dict, write_tables
from textsynth.profile.related._files import Source, read_tables
from textsynth.profile.related._fit import fit_related
from textsynth.profile.related._relations import Relation, RelationFacts
from textsynth.profile.related._sample import RelatedProfile

__all__ = [
    "RelatedProfile",
    "Relation",
    "RelationFacts",
    "Source",
    "fit_related",
    "read_tables",
    "to_dataset_dict",
    "write_tables",
]
