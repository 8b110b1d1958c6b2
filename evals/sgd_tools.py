"""Services of the Schema-Guided Dialogue dataset as tools, and what its users wanted as goals.

Writes evals/recipes/sgd_tools/services.json (per service a list of tools: an intent is a tool, its slots are parameters,
a categorical slot is an enum, and what it finds is a list of entities) and goals.jsonl (per dialogue the service, what the
user wanted by its first intent, and its first words). Only services that real dialogues here use are written.

    python evals/sgd_tools.py            # reads ../shared/data/sgd
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MOST_SLOTS = 4
"""Slots of an entity that a result shows: a small model does not fill ten."""
MOST_OPTIONAL = 3
"""Optional parameters that a tool has: with all of them the prompts of some services pass 500 tokens."""
MOST_LETTERS = 40
MOST_ENTITIES = 2
PER_SERVICE = 24


def main() -> None:
    """Convert the schemas and the dialogues."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "sgd")
    options.add_argument("--out", type=Path, default=HERE / "recipes" / "sgd_tools")
    given = options.parse_args()
    services = read_services(given.data)
    goals = list(read_goals(given.data, services))
    used = sorted({goal["service"] for goal in goals})
    given.out.mkdir(parents=True, exist_ok=True)
    tools = {name: [as_tool(services[name], intent) for intent in services[name]["intents"]] for name in used}
    text = json.dumps(tools, indent=1, ensure_ascii=False)
    (given.out / "services.json").write_text(text + "\n", encoding="utf-8")
    lines = "".join(json.dumps(goal, ensure_ascii=False) + "\n" for goal in goals)
    (given.out / "goals.jsonl").write_text(lines, encoding="utf-8")
    print(f"{len(tools)} services with {sum(map(len, tools.values()))} tools, {len(goals)} goals")


def read_services(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the services of all parts of the dataset by name."""
    paths = sorted(folder.glob("*_schema.json"))
    return {service["service_name"]: service for path in paths for service in json.loads(path.read_text("utf-8"))}


def as_tool(service: Mapping[str, Any], intent: Mapping[str, Any]) -> dict[str, Any]:
    """Return an intent of a service as the declaration of a tool."""
    slots = {slot["name"]: slot for slot in service["slots"]}
    required = list(intent["required_slots"])
    parameters = [*required, *list(intent["optional_slots"])[:MOST_OPTIONAL]]
    shown = sorted(intent["result_slots"], key=lambda name: name in parameters)[:MOST_SLOTS]
    entity = strict({name: as_property(slots[name]) for name in shown}, shown)
    most = 1 if intent["is_transactional"] else MOST_ENTITIES
    found = {"type": "array", "items": entity, "minItems": 1, "maxItems": most}
    return {
        "name": intent["name"],
        "description": intent["description"],
        "parameters": strict({name: as_property(slots[name], described=True) for name in parameters}, required),
        "result": strict({"found": found}, ["found"]),
    }


def as_property(slot: Mapping[str, Any], *, described: bool = False) -> dict[str, Any]:
    """Return the schema of a slot's value."""
    about = {"description": slot["description"]} if described else {}
    if slot["is_categorical"]:
        return {"type": "string", "enum": list(slot["possible_values"]), **about}
    return {"type": "string", "minLength": 1, "maxLength": MOST_LETTERS, **about}


def strict(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    """Return the schema of an object with no other properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def read_goals(folder: Path, services: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield what the users of the dialogues wanted, at most some per service."""
    count: dict[str, int] = {}
    for path in sorted(folder.glob("*_dialogues_*.json")):
        for dialogue in json.loads(path.read_text("utf-8")):
            goal = first_goal(dialogue, services)
            if goal is not None and count.get(goal["service"], 0) < PER_SERVICE:
                count[goal["service"]] = count.get(goal["service"], 0) + 1
                yield goal


def first_goal(dialogue: Mapping[str, Any], services: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the first intent with the values first given; ``None`` if there are none or a required one is missing."""
    intent = ""
    values: dict[str, str] = {}
    for turn in dialogue["turns"]:
        for frame in turn["frames"] if turn["speaker"] == "USER" else ():
            state = frame["state"]
            intent = intent or state["active_intent"].replace("NONE", "")
            if state["active_intent"] == intent:
                given = {name: found[0] for name, found in state["slot_values"].items() if found[0] != "dontcare"}
                values = given | values
    service = services[dialogue["services"][0]]
    tool = next((item for item in service["intents"] if item["name"] == intent), None)
    if tool is None or any(name not in values for name in tool["required_slots"]):
        return None
    wanted = {name: values[name] for name in as_tool(service, tool)["parameters"]["properties"] if name in values}
    if not wanted:
        return None
    details = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in wanted.items())
    return {
        "service": service["service_name"],
        "goal": f"{tool['description'].rstrip('.')} ({details})",
        "first_words": dialogue["turns"][0]["utterance"],
        "dialogue_id": dialogue["dialogue_id"],
    }


if __name__ == "__main__":
    main()
