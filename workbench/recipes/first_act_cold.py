"""The first act once more, with the teacher's answers at T = 1: what is left of the gain?"""

from workbench.methods import METHODS
from workbench.recipe import Recipe
from workbench.recipes.first_act import recipes as first_act


def recipes() -> list[Recipe]:
    """The same 12 + 12 students; T = 1 has the rate that validation chose for it."""
    kd = METHODS["kd"](temperature=1, alpha=1)
    return [
        recipe.but(method=kd, learning_rate=3e-2) if recipe.teachers else recipe
        for recipe in first_act()
    ]
