# Copyright (c) mmreid contributors. All rights reserved.
"""C3MMD, which aligns the modalities: class-specific MMD and correlation consistency (CM-NAS, v1 abstract)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.registry import MODELS


@MODELS.register_module()
class ClassMMDLoss(nn.Module):
    """Class-specific maximum mean discrepancy of the two modalities, with the kernel ``(a . b)^2``.

    For each identity, the mean kernel within each modality minus twice the mean kernel across them, averaged over
    identities, on L2-normalized embeddings (official CM-NAS code, ``losses/cmmd.py``). Here the images may come in any
    order, and their counts may differ. Identities of one modality only are left out.

    Args:
        loss_weight (float): Defaults to 0.05, as in the official training.
    """

    def __init__(self, loss_weight: float = 0.05) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, visible: Tensor, infrared: Tensor, visible_labels: Tensor, infrared_labels: Tensor) -> Tensor:
        """Computes the loss of visible (V, D) and infrared (I, D) embeddings with labels (V,) and (I,); a scalar."""
        visible, infrared = F.normalize(visible.float(), dim=1), F.normalize(infrared.float(), dim=1)
        classes = torch.unique(visible_labels)
        classes = classes[torch.isin(classes, infrared_labels)]
        if not len(classes):
            return (visible.sum() + infrared.sum()) * 0
        of_v, of_i = (_class_means(labels, classes, visible) for labels in (visible_labels, infrared_labels))

        def kernel(a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor) -> Tensor:
            return ((of_a @ (a @ b.t()).square()) * of_b).sum(1)

        within = kernel(visible, visible, of_v, of_v) + kernel(infrared, infrared, of_i, of_i)
        return self.loss_weight * (within - 2 * kernel(visible, infrared, of_v, of_i)).mean()


def _class_means(labels: Tensor, classes: Tensor, like: Tensor) -> Tensor:
    """Returns weights that average the rows of each class, shape (classes, rows)."""
    members = (labels == classes[:, None]).to(like.dtype)
    return members / members.sum(1, keepdim=True)


@MODELS.register_module()
class CorrelationConsistencyLoss(nn.Module):
    """Makes the similarities within a batch the same in both modalities.

    Mean squared difference between the two Gram matrices of the raw embeddings, with L2-normalized rows (official
    CM-NAS code, ``losses/sp.py``). Row i of both modalities must be the same identity.

    Args:
        loss_weight (float): Defaults to 5, as in the official training.
    """

    def __init__(self, loss_weight: float = 5.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, visible: Tensor, infrared: Tensor, visible_labels: Tensor, infrared_labels: Tensor) -> Tensor:
        """Computes the loss of visible and infrared embeddings (N, D) with labels (N,); a scalar."""
        if len(visible) != len(infrared) or not torch.equal(visible_labels, infrared_labels):
            raise ValueError(
                f'CorrelationConsistencyLoss compares row by row, but got {len(visible)} visible and {len(infrared)} '
                'infrared images whose identities differ; draw batches with '
                "instance_sampler=dict(type='CrossModalityInstanceSampler')"
            )
        return self.loss_weight * F.mse_loss(_normalized_gram(visible.float()), _normalized_gram(infrared.float()))


def _normalized_gram(feats: Tensor) -> Tensor:
    return F.normalize(feats @ feats.t(), dim=1)
