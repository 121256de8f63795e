# Copyright (c) mmreid contributors. All rights reserved.
"""C3MMD, which aligns the modalities: class-specific MMD and correlation consistency (CM-NAS, v1 abstract)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmreid.models.utils.precision import full_precision
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
        of_v = _weights(visible_labels, infrared_labels)
        of_i = _weights(infrared_labels, visible_labels)

        def kernel(a: Tensor, labels_a: Tensor, of_a: Tensor, b: Tensor, labels_b: Tensor, of_b: Tensor) -> Tensor:
            same = labels_a[:, None] == labels_b
            return of_a @ ((a @ b.t()).square() * same) @ of_b

        v, i = (visible, visible_labels, of_v), (infrared, infrared_labels, of_i)
        with full_precision(visible):  # the difference is small beside its terms
            discrepancy = kernel(*v, *v) + kernel(*i, *i) - 2 * kernel(*v, *i)
        # The weights of an identity's images sum to 1, so their sum is the number of identities.
        return self.loss_weight * discrepancy / of_v.sum().clamp_min(1)


def _weights(labels: Tensor, other_labels: Tensor) -> Tensor:
    """Returns weights (N,) that average the images of each identity, and are 0 if the other modality lacks it."""
    shared = (labels[:, None] == other_labels).any(1)
    return shared / (labels[:, None] == labels).sum(1)


@MODELS.register_module()
class CorrelationConsistencyLoss(nn.Module):
    """Makes the similarities within a batch the same in both modalities.

    Mean squared difference between the two Gram matrices of the raw embeddings, with L2-normalized rows (official
    CM-NAS code, ``losses/sp.py``). Row i of both modalities must be the same identity; :meth:`check` tells.

    Args:
        loss_weight (float): Defaults to 5, as in the official training.
    """

    def __init__(self, loss_weight: float = 5.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    @staticmethod
    def check(visible_labels: Tensor, infrared_labels: Tensor) -> None:
        """Raises a ValueError if the identities (N,) of the rows differ; on the host, where that waits for nothing."""
        if not torch.equal(visible_labels, infrared_labels):
            raise ValueError(
                f'CorrelationConsistencyLoss compares row by row, but got {len(visible_labels)} visible and '
                f'{len(infrared_labels)} infrared images whose identities differ; draw batches with '
                "instance_sampler=dict(type='CrossModalityInstanceSampler')"
            )

    def forward(self, visible: Tensor, infrared: Tensor, visible_labels: Tensor, infrared_labels: Tensor) -> Tensor:
        """Computes the loss of visible and infrared embeddings (N, D) with labels (N,); a scalar."""
        with full_precision(visible):
            return self.loss_weight * F.mse_loss(_normalized_gram(visible.float()), _normalized_gram(infrared.float()))


def _normalized_gram(feats: Tensor) -> Tensor:
    return F.normalize(feats @ feats.t(), dim=1)
