# Copyright (c) mmreid contributors. All rights reserved.
"""The head of a model that is only used."""

from mmengine.model import BaseModule

from mmreid.registry import MODELS


@MODELS.register_module()
class NoHead(BaseModule):
    """Takes the place of the losses, and their weights, in a model that is not trained."""

    def loss(self, *args, **kwargs) -> None:
        """Refuses: there are no losses."""
        raise RuntimeError('this model was loaded for use and has no losses; build it from its config to train it')
