"""What real data looks like, learned once and kept in a folder: fields, what always holds between them, the joint.

``fit`` learns a ``Profile`` from the train part of the data; ``Profile.sample`` draws attributes from it, given any of
them; ``Profile.save`` and ``Profile.load`` keep it. A profile holds no text and no rare value of the real data.
"""

from textsynth.profile._fitting import fit, read_rows
from textsynth.profile._profile import Facts, Profile, Sample, fresh_ids
from textsynth.profile.dependencies import Dependency, Order
from textsynth.profile.rare import Rare
from textsynth.profile.splits import AUDIT_SIZES, SIZES, SPLITS, Split, Splits, data_hash
from textsynth.profile.traits import Ask, Trait

__all__ = [
    "AUDIT_SIZES",
    "SIZES",
    "SPLITS",
    "Ask",
    "Dependency",
    "Facts",
    "Order",
    "Profile",
    "Rare",
    "Sample",
    "Split",
    "Splits",
    "Trait",
    "data_hash",
    "fit",
    "fresh_ids",
    "read_rows",
]
