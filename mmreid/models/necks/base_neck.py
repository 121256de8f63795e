# Copyright (c) mmreid contributors. All rights reserved.
"""What models may ask of every neck."""

from mmengine.model import BaseModule


class BaseNeck(BaseModule):
    """Base of all necks.

    Attributes:
        only_after (tuple[str, ...]): Names of the modules that make only the embedding after the batch norm, so that a
            loss on the one before trains none of them.
    """

    only_after: tuple[str, ...] = ()
