# Copyright (c) mmreid contributors. All rights reserved.
"""The head of a model that is only used."""

from mmreid.registry import MODELS

from .base_head import BaseHead


@MODELS.register_module()
class NoHead(BaseHead):
    """Takes the place of the losses, and their weights, in a model that is not trained."""

    def loss(self, *args, **kwargs) -> None:
        """Refuses: there are no losses."""
        raise RuntimeError('this model was loaded for use and has no losses; build it from its config to train it')
