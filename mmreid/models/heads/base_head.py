# Copyright (c) mmreid contributors. All rights reserved.
"""What models, hooks and tools may ask of every head."""

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmreid.models.memories import BaseMemory, ExemplarMemory, Neighbors


class BaseHead(BaseModule):
    """Base of all heads: owns the classifier and declares what others read.

    Args:
        num_classes (int, optional): Number of training identities; the runner fills it in. Without it there is no
            classifier, as in testing. Defaults to None.
        init_cfg (dict | list[dict], optional): Defaults to None.

    Attributes:
        classifier (nn.Module, optional): Scores identities.
        memory (BaseMemory, optional): What target images are compared with.
        only_before (bool): Whether all losses use the embedding before the neck's batch norm, so that nothing trains
            what makes the one after it.
        gather (bool): Whether the losses compare the batches of all ranks.
        epoch (int): The current epoch, from 0; ``MemoryUpdateHook`` sets it.
        neighbors (Neighbors, optional): What chooses neighbors of target images.
        neighbor_epoch (int | float): The first epoch with neighbors, from 0; a float is a fraction of the run.
        first_neighbor_epoch (int, optional): The same in epochs; ``MemoryUpdateHook`` sets it.
    """

    only_before: bool = False
    gather: bool = False
    epoch: int = 0
    neighbors: Neighbors | None = None
    neighbor_epoch: int | float = 0
    first_neighbor_epoch: int | None = 0

    def __init__(self, num_classes: int | None = None, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_classes = num_classes
        # Not on the class, where they would hide the modules that subclasses assign.
        self.classifier: nn.Module | None = None
        self.memory: BaseMemory | None = None

    def memories(self) -> dict[str, ExemplarMemory]:
        """Returns the memories that ``MemoryUpdateHook`` writes after each step, by domain; none by default."""
        return {}

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
