# Copyright (c) mmreid contributors. All rights reserved.
"""What models, hooks and tools may ask of every head."""

from mmengine.model import BaseModule
from torch import Tensor, nn


class BaseHead(BaseModule):
    """Base of all heads: owns the classifier and declares what others read.

    Args:
        num_classes (int, optional): Number of training identities; the runner fills it in. Without it there is no
            classifier, as in testing. Defaults to None.
        init_cfg (dict | list[dict], optional): Defaults to None.

    Attributes:
        classifier (nn.Module, optional): Scores identities.
        only_before (bool): Whether all losses use the embedding before the neck's batch norm, so that nothing trains
            what makes the one after it.
        source_slot_field (str | None): Field of a source image's sample that names its place in a memory; None if the
            head has no memory of source images.
        gather (bool): Whether the losses compare the batches of all ranks.
    """

    only_before: bool = False
    gather: bool = False
    source_slot_field: str | None = None

    def __init__(self, num_classes: int | None = None, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_classes = num_classes
        # Not on the class, where it would hide the module that a subclass assigns.
        self.classifier: nn.Module | None = None

    def classify(self, feats: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the scores (N, num_classes), float32, of embeddings (N, D), and their accuracy in percent."""
        if self.classifier is None:
            raise self._unknown_classes('classifier to train')
        scores = self.classifier(feats).float()
        return scores, (scores.argmax(1) == labels).float().mean() * 100

    @staticmethod
    def _unknown_classes(missing: str) -> RuntimeError:
        return RuntimeError(
            f'the number of identities is unknown, so there is no {missing}; train through tools/train.py, which '
            'counts them in the training data, or set model.head.num_classes'
        )
