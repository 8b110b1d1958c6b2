"""Tools that an assistant may call: declared by JSON Schema or read from Python functions, with what calls are held to.

``read_tools`` reads what a recipe says, ``Tool`` checks arguments and results against the whole schemas, and ``Grammar``
holds the decoding schemas: of an assistant's turn that says something or calls tools, and of each tool's result.
"""

from textsynth.toolset._functions import from_function
from textsynth.toolset._grammar import Grammar, text_schema
from textsynth.toolset._read import read_tools
from textsynth.toolset._tool import Tool, Toolbox, Toolset

__all__ = ["Grammar", "Tool", "Toolbox", "Toolset", "from_function", "read_tools", "text_schema"]
