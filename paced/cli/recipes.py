"""The recipes that come with the package."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from paced.cli.app import app
from paced.run.inert import say

GROUP = "This installation"
recipes = App(name="recipes", help="List the recipes that come with the package, or copy one to work on.", group=GROUP)
app.command(recipes)


@recipes.command(name="list", group=GROUP)
def list_recipes() -> int:
    """Print the name of every recipe and what it is for."""
    from rich.console import Console
    from rich.table import Table

    from paced.run.recipes import recipes as all_recipes

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for recipe in all_recipes():
        table.add_row(recipe.name, recipe.about)
    Console(markup=False, highlight=False).print(table)
    return 0


@recipes.command(group=GROUP)
def copy(name: str, *, to: Path = Path()) -> int:
    """Copy a recipe and its problem files into ``recipes/`` of a folder, by default the one that you are in.

    Parameters
    ----------
    name
        One of those that ``paced recipes list`` prints.
    to
        The folder that gets ``recipes/``.
    """
    from paced.run.recipes import copy_recipe

    files = copy_recipe(name, to)
    for file in files:
        say(f"written: {file}")
    say(f"run it with: paced run {files[0]}")
    return 0
