# Copyright (c) mmreid contributors. All rights reserved.
"""The runner of camera-style networks."""

import numpy as np
from torch import nn
from torch.utils.data import Dataset

from mmreid.datasets import BaseReIDDataset
from mmreid.models.generators.camstyle_gan import name_cameras
from mmreid.registry import RUNNERS

from .reid_runner import ReIDRunner


@RUNNERS.register_module()
class CamStyleRunner(ReIDRunner):
    """A :class:`ReIDRunner` that fills in ``model.cameras`` from the training data."""

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model for the cameras of the training data."""
        if isinstance(model, dict) and self._train_dataloader is not None:
            self._count_classes()  # builds the data
            if self._missing_data is not None:
                raise self._missing_data
            dataset = self._train_dataloader.dataset
            found, given = cameras_of(dataset), model.get('cameras')
            if given is not None and sorted(set(given)) != found:
                raise ValueError(
                    f'model.cameras names {name_cameras(sorted(set(given)))}, but the training data has '
                    f'{name_cameras(found)}; leave model.cameras out, it is read from the data'
                )
            model['cameras'] = found
        return super().build_model(model)


def cameras_of(dataset: Dataset) -> list[int]:
    """Returns the sorted ``camid`` of a training set; raises ValueError unless it has two or more cameras."""
    if not isinstance(dataset, BaseReIDDataset):
        raise ValueError(
            f'{type(dataset).__name__} does not tell the cameras of its images; train CamStyleGAN on one data set of '
            'mmreid, without wrappers around it'
        )
    cameras = np.unique(dataset.camids).tolist()
    if len(cameras) < 2:
        raise ValueError(
            f'all {len(dataset)} training images of {dataset.name} are of one camera, or have no camera ids, so '
            'there is no style to transfer; give camera ids in the data set, or train ECN without styles '
            '(configs/ecn/ecn-en_*)'
        )
    return cameras
