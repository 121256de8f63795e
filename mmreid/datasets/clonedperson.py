# Copyright (c) mmreid contributors. All rights reserved.
"""ClonedPerson."""

from pathlib import Path

from mmreid.datasets.readers.layout_hints import find_root, hint_of_folder
from mmreid.registry import DATASETS

from .scene_named_dataset import SceneNamedDataset


@DATASETS.register_module()
class ClonedPerson(SceneNamedDataset):
    """ClonedPerson (Wang et al., CVPR 2022): 5,621 rendered identities, 887,766 images, 24 cameras.

    The cameras of all scenes are numbered consecutively. The loader of QAConv has 4 camera ids for all scenes instead,
    so its same-camera rule drops more of the gallery, and its numbers may differ a little. The time stamp is the frame
    at 24 fps, from the start of each scene. The sizes of the splits were not published.

    Args:
        data_root (str): The folder that holds ``train`` and ``test``, or its parent.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='clonedperson')
    TREE = '  {root}/\n    train/\n      700000_s02_c00_f023389.jpg\n      ...\n    test/query/\n    test/gallery/'
    EXAMPLE = '700000_s02_c00_f023389.jpg'
    FOLDERS = dict(train='train', query='test/query', gallery='test/gallery')
    NESTED = ('clonedperson', 'ClonedPerson')
    # From the loader of QAConv. Scenes with the same number should not occur together; if they do, the log warns.
    CAMERA_OFFSETS = (0, 0, 0, 4, 4, 8, 12, 12, 12, 12, 16, 16, 20)
    NUM_CAMERAS = 24
    FRAME_OFFSETS = (0,) * len(CAMERA_OFFSETS)

    def folder_of(self, split: str) -> Path:
        """Finds the folder of a split."""
        root = find_root(self.data_root, self.NESTED, list(self.FOLDERS.values()))
        return self.require_folder(root / self.FOLDERS[split], self.tree + hint_of_folder(root))
