# Copyright (c) mmreid contributors. All rights reserved.
"""The runner of camera-style networks."""

import numpy as np
from torch import nn
from torch.utils.data import Dataset

from mmreid.models.generators.camstyle_gan import name_cameras
from mmreid.registry import RUNNERS

from .reid_runner import ReIDRunner


@RUNNERS.register_module()
class CamStyleRunner(ReIDRunner):
    """A :class:`ReIDRunner` that fills in ``model.cameras`` from the training data."""

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model for the cameras that the training data has.

        Raises:
            FileNotFoundError: If the training data is not there.
            ValueError: If it has one camera only, or not those of the config.
        """
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
    """Lists the cameras of a training set.

    Args:
        dataset (Dataset): The data set.

    Returns:
        list[int]: Their ``camid``, sorted.

    Raises:
        ValueError: If the data set has no camera ids, or a single camera.
    """
    camids = getattr(dataset, 'camids', None)
    name = getattr(dataset, 'name', type(dataset).__name__)
    if camids is None:
        raise ValueError(
            f'{name} does not tell the cameras of its images; train CamStyleGAN on one data set of mmreid, without '
            'wrappers around it'
        )
    cameras = np.unique(camids).tolist()
    if len(cameras) < 2:
        raise ValueError(
            f'all {len(camids)} training images of {name} are of one camera, or have no camera ids, so there is no '
            'style to transfer; give camera ids in the data set, or train ECN without styles (configs/ecn/ecn-en_*)'
        )
    return cameras
