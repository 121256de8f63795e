# Copyright (c) mmreid contributors. All rights reserved.
"""RandPerson, the subset that its authors used in experiments."""

from pathlib import Path

from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

from .scene_named_dataset import SceneNamedDataset


@DATASETS.register_module()
class RandPerson(SceneNamedDataset):
    """RandPerson (Wang et al., ACM MM 2020): 8,000 rendered identities in 11 scenes with 19 cameras, training only.

    Reads the subset of 132,145 images in one folder. The cameras of all scenes are numbered consecutively, and the
    scenes follow each other in time, as in the authors' own loader.

    Args:
        data_root (str): The folder ``randperson_subset`` or its parent.
        split (str): ``'train'``, or ``'val'`` with ``val_from_train``. Defaults to ``'train'``.
        **kwargs: See :class:`BaseReIDDataset`. ``combine_all`` changes nothing, as there is no test set.
    """

    METAINFO = dict(dataset_name='randperson')
    TREE = '  {root}/\n    randperson_subset/\n      000000_s00_c00_f000264.jpg\n      ...'
    CAMERA_OFFSETS = (0, 2, 4, 6, 8, 9, 10, 12, 13, 14, 15)
    NUM_CAMERAS = 19
    FRAME_OFFSETS = (
        *(0, 160_000, 340_000, 490_000, 640_000, 1_070_000),
        *(1_330_000, 1_590_000, 1_890_000, 3_190_000, 3_490_000),
    )

    def __init__(self, data_root: str, split: str = 'train', **kwargs) -> None:
        if split in ('query', 'gallery', 'test'):
            raise ValueError(
                f"{type(self).__name__} has no test set, so there is no split='{split}'; test on another data set, or "
                "hold identities out with split='val' and val_from_train=dict(ratio=0.1, seed=0)"
            )
        super().__init__(data_root=data_root, split=split, **kwargs)

    def splits_to_parse(self) -> tuple[str, ...]:
        """Returns the training images, as there are no others."""
        return ('train',)

    def folder_of(self, split: str) -> Path:
        """Finds the subset, which archives unpack up to two folders deep."""
        root = self.require_folder(self.data_root)
        inner = [root / 'randperson_subset' / 'randperson_subset', root / 'randperson_subset']
        return next((folder for folder in inner if folder.is_dir()), root)

    def published_counts(self) -> dict[str, Counts]:
        """Returns the counts of the authors for the subset, unless ``name`` says that this is other data."""
        return dict(train=Counts(8_000, 132_145)) if self.name == self.METAINFO['dataset_name'] else {}
