"""``textsynth methods``: which method makes what, the paper each comes from, and the ready recipe to start with."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from rich.markup import escape

from textsynth import recipes as ready
from textsynth import registry
from textsynth.cli import DONE, show


def add(commands: Any) -> None:
    """Add the command's arguments."""
    help = "list the methods with the need each serves, or show one with its options"
    one = commands.add_parser("methods", help=help, description=help)
    one.add_argument("name", nargs="?")


def command(options: argparse.Namespace) -> int:
    """List the methods, or show one."""
    if options.name is not None:
        method = registry.load("methods", options.name, place="methods")
        show.filter_options(options.name, method)
        if method.paper:
            show.out.print(escape(method.paper))
        if recipes := recipes_with(options.name):
            show.note("start with: " + ", ".join(f"textsynth init --from {name}" for name in recipes))
        return DONE
    table = show.grid("Methods", "name", "what it makes", "paper", "textsynth init --from")
    for name in registry.names("methods"):
        method = registry.load("methods", name, place="methods")
        first = inspect.cleandoc(method.__doc__ or "").split("\n\n")[0]
        table.add_row(name, escape(" ".join(first.split())), escape(method.paper), ", ".join(recipes_with(name)))
    show.out.print(table)
    show.out.print(
        "[dim]one in full: textsynth methods NAME; in a row: steps: \\[instruct, evolve, preference]; your own: module:Class[/]"
    )
    return DONE


def recipes_with(method: str) -> list[str]:
    """Return the ready recipes that use a method."""
    return [name for name in ready.names() if method in ready.methods(name)]
