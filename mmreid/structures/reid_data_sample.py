# Copyright (c) mmreid contributors. All rights reserved.
"""The object that carries the labels of a person image through datasets, models and metrics."""

from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler

import torch
from mmpretrain.structures import DataSample

MODALITIES = ('visible', 'infrared')
"""Values of ``modality`` where a data set has two, in the order that they always have."""


class ReIDDataSample(DataSample):
    """The labels and the prediction of one person image.

    Meta fields:
        img_path (str): The image file.
        pid (int): The identity, as the data set numbers it; in Market-1501 -1 is junk and 0 a distractor.
        camid (int): The camera, 0-based.
        split (str): ``'train'``, ``'query'`` or ``'gallery'``.
        modality (str | None): ``'visible'``, ``'infrared'``, or None if the data set has one modality.
        domain (int): Index of the data set when several are concatenated.
        timestamp (float | None): Seconds since the start of the recording.
        sample_idx (int): Index inside its data set.
        pid_name, camid_name (str | None): The user's names of identity and camera; own data only.

    Data fields:
        gt_label (torch.Tensor): Contiguous training label, shape (1,), int64. Training only.
        feature (torch.Tensor): Output of ``model.extract_feat`` for this image: an embedding of shape (D,) or a map
            of shape (C, H, W).

    Examples:
        >>> sample = ReIDDataSample(metainfo=dict(pid=7, camid=2)).set_gt_label(3)
        >>> sample.pid, sample.gt_label
        (7, tensor([3]))
    """

    def set_feature(self, feature: torch.Tensor) -> 'ReIDDataSample':
        """Stores the feature of this image, shape (D,) or (C, H, W), and returns the sample."""
        self.set_field(feature, 'feature', dtype=torch.Tensor)
        return self


def stack_field(data_samples: Sequence[ReIDDataSample], name: str, device: torch.device | str = 'cpu') -> torch.Tensor:
    """Stacks an integer field of a batch into one tensor, with one copy that the host does not wait for.

    Args:
        data_samples (Sequence[ReIDDataSample]): The batch, length N.
        name (str): The field: ``'gt_label'``, ``'pid'``, ``'camid'``, ``'domain'`` or ``'sample_idx'``.
        device (torch.device | str): Device of the result. Defaults to ``'cpu'``.

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
        return torch.cat([value.reshape(-1) for value in values]).to(device, non_blocking=True)
    return torch.tensor(values, dtype=torch.int64).to(device, non_blocking=True)


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


# A tensor that a worker sends costs a file descriptor; an array does not. MMPretrain registers the same for its own
# class, but ForkingPickler looks up the exact type.
ForkingPickler.register(ReIDDataSample, _reduce)
