"""How the model is asked: templates, what they may use, and what the method knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

from textsynth import prompts
from textsynth.errors import RecipeError
from textsynth.methods import STANDARD_VARIABLES, Arm, Method
from textsynth.plan import Plan
from textsynth.recipe import Recipe, StepSpec
from textsynth.topics import FIELD


def build_arms(recipe: Recipe, step: StepSpec, prompt: prompts.Prompt) -> dict[str, Arm]:
    """Return the ways of asking: the step's own under "", then those that steering may choose."""
    own = Arm(prompt, (step.sampling or recipe.sampling).sampling(in_process=recipe.engine_name == "vllm"))
    found = {"": own}
    for name, spec in recipe.steer.arms.items() if recipe.steer else ():
        template = (
            prompts.load(spec.prompt, folder=recipe.folder, place=f"steer.arms.{name}.prompt")
            if spec.prompt
            else prompt
        )
        temperature = own.sampling.temperature if spec.temperature is None else spec.temperature
        found[name] = Arm(template, replace(own.sampling, temperature=temperature))
    return found


def main_prompt(recipe: Recipe, step: StepSpec, method: Method, place: str) -> prompts.Prompt:
    """Load a step's template, or the one that suits it when it names none."""
    suits = method.default_prompt
    if recipe.profile is not None and suits == "records/from_schema":
        suits = "records/from_profile"
    if recipe.seeds is not None and recipe.seeds.shots and suits == "records/from_schema":
        suits = "records/from_examples"
    return prompts.load(step.prompt or suits, folder=recipe.folder, place=place)


def load_prompt(recipe: Recipe, text: str) -> prompts.Prompt:
    """Load a template that a method's options name."""
    return prompts.load(text, folder=recipe.folder, place="method")


def check_variables(recipe: Recipe, templates: Sequence[prompts.Prompt], names: Sequence[str], method: Method) -> None:
    """Refuse variables that a template uses and nothing gives: all of them, in one message per template."""
    standard = {**STANDARD_VARIABLES, **method.variables()}
    wrong = [
        f"{name}: templates know {name!r} as {standard[name]}; give the attribute or variable another name"
        for name in dict.fromkeys([*recipe.variables, *names])
        if name in standard
    ]
    known = {*standard, *recipe.variables, *names}
    used = [
        *{item.name: item for item in templates}.values(),
        *(load_prompt(recipe, text) for text in method.templates()),
    ]
    wrong += [
        f"prompt {item.name}: undefined variables: {', '.join(lost)}; defined: {', '.join(sorted(known))}"
        for item in used
        if (lost := item.undefined(known))
    ]
    if wrong:
        raise RecipeError(wrong)


def trial(recipe: Recipe, plan: Plan, method: Method, arms: Iterable[str]) -> None:
    """Make the first request without sending it: templates that fail on real values are found here."""
    settled = {name: next(iter(shares)) for name, shares in recipe.quotas.items()}
    if recipe.topics:
        plan.share(FIELD, {recipe.topics.about: 1})
        settled |= {FIELD: recipe.topics.about}
    (row,) = plan.joint.rows(Random(0), [settled]) if plan.joint else (settled,)
    for arm in arms:
        next(method.run(replace(plan.draw(0, 0, row), arm=arm)), None)
