# Copyright (c) mmreid contributors. All rights reserved.
from .kit import Kit, Reported, find_kit, list_kits
from .recipe import make_recipe, options_of_both, recipe_before
from .rehearsal import draw_people, shorten
from .report import Comparison, compare, markdown_report

__all__ = [
    'Comparison',
    'Kit',
    'Reported',
    'compare',
    'draw_people',
    'find_kit',
    'list_kits',
    'make_recipe',
    'markdown_report',
    'options_of_both',
    'recipe_before',
    'shorten',
]
