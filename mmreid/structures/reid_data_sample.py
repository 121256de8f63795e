# Copyright (c) mmreid contributors. All rights reserved.
"""The one object that carries a person image's labels through datasets, models and metrics."""

from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler

import torch
from mmpretrain.structures import DataSample


class ReIDDataSample(DataSample):
    """What is known, and later predicted, about one person image.

    Meta fields:
        img_path (str): The image file.
        pid (int): The raw identity of the data set; -1 is junk, 0 a distractor in Market-1501.
        camid (int): The camera, 0-based.
        split (str): ``'train'``, ``'query'`` or ``'gallery'``.
        modality (str | None): ``'visible'``, ``'infrared'`` or None when the data set has one modality.
        domain (int): Index of the source data set when several are concatenated.
        timestamp (float | None): Seconds since the start of the recording.
        sample_idx (int): Index inside its data set.
        pid_name, camid_name (str | None): What the user calls identity and camera; own data only.

    Data fields:
        gt_label (torch.Tensor): Contiguous training label, shape (1,), int64. Training only.
        feature (torch.Tensor): What ``model.extract_feat`` gave for this image: an embedding of shape (D,) or a map
            of shape (C, H, W).

    Examples:
        >>> sample = ReIDDataSample(metainfo=dict(pid=7, camid=2)).set_gt_label(3)
        >>> sample.pid, sample.gt_label
        (7, tensor([3]))
    """

    def set_feature(self, feature: torch.Tensor) -> 'ReIDDataSample':
        """Stores the feature of this image.

        Args:
            feature (torch.Tensor): Shape (D,) or (C, H, W).

        Returns:
            ReIDDataSample: itself.
        """
        self.set_field(feature, 'feature', dtype=torch.Tensor)
        return self


def stack_field(data_samples: Sequence[ReIDDataSample], name: str, device: torch.device | str = 'cpu') -> torch.Tensor:
    """Stacks an integer field of a batch into one tensor, with one copy to the device.

    Args:
        data_samples (Sequence[ReIDDataSample]): The batch, length N.
        name (str): The field: ``'gt_label'``, ``'pid'``, ``'camid'``, ``'domain'`` or ``'sample_idx'``.
        device (torch.device | str): Where the result shall be. Defaults to 'cpu'.

    Returns:
        torch.Tensor: Shape (N,), int64.

    Raises:
        KeyError: If a sample lacks the field.
    """
    values = [sample.get(name) for sample in data_samples]
    if any(value is None for value in values):
        raise KeyError(
            f"the batch has samples without '{name}': the model needs it, so add '{name}' to PackReIDInputs "
            '(algorithm_keys or meta_keys) and give it in the data set'
        )
    if isinstance(values[0], torch.Tensor):
        return torch.cat([value.reshape(-1) for value in values]).to(device)
    return torch.tensor(values, dtype=torch.int64).to(device)


def _rebuild(attributes: dict, tensor_keys: list[str]) -> ReIDDataSample:
    sample = ReIDDataSample()
    for key in tensor_keys:
        attributes[key] = torch.from_numpy(attributes[key])
    sample.__dict__ = attributes
    return sample


def _reduce(sample: ReIDDataSample) -> tuple:
    attributes = dict(sample.__dict__)
    tensor_keys = [key for key, value in attributes.items() if isinstance(value, torch.Tensor)]
    for key in tensor_keys:
        attributes[key] = attributes[key].numpy()
    return _rebuild, (attributes, tensor_keys)


# A tensor that crosses from a worker costs a file descriptor; as an array it does not. MMPretrain registers this for
# its own class, and ForkingPickler looks the exact type up.
ForkingPickler.register(ReIDDataSample, _reduce)
