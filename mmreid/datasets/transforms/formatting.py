# Copyright (c) mmreid contributors. All rights reserved.
"""The last transform of every pipeline."""

from collections.abc import Sequence

from mmcv.transforms import BaseTransform
from mmpretrain.datasets.transforms import PackInputs

from mmreid.registry import TRANSFORMS
from mmreid.structures import ReIDDataSample


@TRANSFORMS.register_module()
class PackReIDInputs(BaseTransform):
    """Packs the image and its labels; a missing key is an error.

    **Required Keys:**

    - img
    - every key of ``meta_keys`` and ``algorithm_keys``

    **Added Keys:**

    - inputs (torch.Tensor): Shape (3, H, W), as loaded (BGR, uint8).
    - data_samples (ReIDDataSample)

    Args:
        algorithm_keys (Sequence[str]): More keys to pack as data fields. Defaults to ().
        meta_keys (Sequence[str]): Keys to pack as meta fields. Defaults to :attr:`META_KEYS`.
        optional_keys (Sequence[str]): Keys to pack as meta fields if they exist. Defaults to
            :attr:`OPTIONAL_KEYS`.
    """

    META_KEYS = ('img_path', 'pid', 'camid', 'split', 'modality', 'domain', 'timestamp', 'sample_idx')
    OPTIONAL_KEYS = ('ori_shape', 'img_shape', 'flip', 'image_index', 'pid_name', 'camid_name')

    def __init__(
        self,
        algorithm_keys: Sequence[str] = (),
        meta_keys: Sequence[str] = META_KEYS,
        optional_keys: Sequence[str] = OPTIONAL_KEYS,
    ) -> None:
        self.algorithm_keys = tuple(algorithm_keys)
        self.meta_keys = tuple(meta_keys)
        self.optional_keys = tuple(optional_keys)

    def transform(self, results: dict) -> dict:
        """Packs a record into ``inputs`` and ``data_samples``."""
        missing = [key for key in ('img', *self.meta_keys, *self.algorithm_keys) if key not in results]
        if missing:
            raise KeyError(
                f'PackReIDInputs misses {missing} for {results.get("img_path")}; the record has {sorted(results)}, so '
                'add the key in the data set or an earlier transform, or remove it from meta_keys / algorithm_keys'
            )
        sample = ReIDDataSample()
        if 'gt_label' in results:
            sample.set_gt_label(results['gt_label'])
        for key in self.algorithm_keys:
            sample.set_field(results[key], key)
        for key in self.meta_keys + tuple(key for key in self.optional_keys if key in results):
            sample.set_field(results[key], key, field_type='metainfo')
        return dict(inputs=PackInputs.format_input(results['img']), data_samples=sample)

    def __repr__(self) -> str:
        return f'PackReIDInputs(algorithm_keys={self.algorithm_keys}, meta_keys={self.meta_keys})'
