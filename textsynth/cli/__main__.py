"""``python -m textsynth.cli``."""

import sys

from textsynth.cli import main

sys.exit(main())
