# Copyright (c) mmreid contributors. All rights reserved.
"""What people wear in different places."""

from .identity import CLOTH_COLORS, ClothingSpec

_ALL = dict.fromkeys(CLOTH_COLORS, 1.0)
SUMMER = ClothingSpec(
    colors=_ALL | {'black': 2.0, 'white': 2.0, 'gray': 1.5},
    lower_colors={'black': 3, 'charcoal': 2, 'navy': 2, 'blue': 2, 'gray': 2, 'beige': 2, 'white': 1, 'brown': 1.5,
                  'red': 0.7, 'green': 0.7, 'sky': 1, 'maroon': 0.7, 'purple': 0.5, 'pink': 0.5},
)  # fmt: skip
BEACH = ClothingSpec(
    colors={
        'white': 3,
        'yellow': 2,
        'orange': 2,
        'red': 2,
        'pink': 2,
        'sky': 2,
        'lime': 2,
        'teal': 1.5,
        'blue': 1.5,
        'purple': 1,
        'beige': 1,
        'black': 0.7,
    },
    lower_colors={
        'white': 2,
        'beige': 2,
        'sky': 2,
        'red': 1.5,
        'yellow': 1,
        'teal': 1,
        'blue': 2,
        'pink': 1,
        'lime': 1,
        'black': 1,
        'orange': 1,
    },
    textures=(4, 3, 1, 1.5, 3, 2, 2),
    lower_textures=(5, 1.5, 1.5),
    sleeves=(0.5, 4, 4),
    hems=(4, 3, 0),
    lower_kinds=(1, 6, 3),
    bags=(4, 1, 3, 3),
    hats=(5, 4, 0),
    hair_styles=(4, 4, 3, 2, 1),
)
WORK = ClothingSpec(
    colors={
        'black': 3,
        'charcoal': 3,
        'navy': 3,
        'gray': 2,
        'white': 3,
        'sky': 1.5,
        'beige': 1,
        'blue': 1,
        'maroon': 0.7,
        'red': 0.5,
        'green': 0.5,
        'purple': 0.5,
    },
    lower_colors={'black': 4, 'charcoal': 3, 'navy': 3, 'gray': 2, 'beige': 1, 'brown': 1, 'blue': 1},
    textures=(6, 1, 3, 2, 0.5, 0.5, 1),
    sleeves=(6, 3, 0.5),
    hems=(5, 1, 2.5),
    lower_kinds=(6, 0.5, 3),
    bags=(2, 3, 3, 3),
    hats=(9, 1, 1),
)
EVERYTHING = ClothingSpec(
    colors=_ALL,
    lower_colors=_ALL,
    textures=(3, 2, 2, 2, 2, 2, 2),
    lower_textures=(3, 2, 2),
    sleeves=(1, 1, 1),
    hems=(2, 1, 1),
    lower_kinds=(2, 1, 1),
    bags=(1, 1, 1, 1),
    hats=(2, 1, 1),
    hair_styles=(1, 1, 1, 1, 1),
    skins=(1, 1, 1, 1, 1),
)
WINTER = ClothingSpec(
    colors={'black': 4, 'charcoal': 3, 'navy': 3, 'gray': 2, 'brown': 2, 'maroon': 2, 'beige': 1.5, 'green': 1.5,
            'white': 1, 'red': 1, 'teal': 1, 'purple': 1, 'blue': 1, 'orange': 0.5, 'yellow': 0.5},
    lower_colors={'black': 4, 'charcoal': 3, 'navy': 3, 'blue': 2, 'gray': 2, 'brown': 1.5, 'beige': 1, 'maroon': 0.5},
    textures=(5, 1, 1, 2, 1, 0.5, 3),
    sleeves=(9, 1, 0),
    hems=(4, 1, 4),
    lower_kinds=(8, 0.5, 1.5),
    bags=(3, 4, 2, 2),
    hats=(5, 1.5, 3),
)  # fmt: skip
