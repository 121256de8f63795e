# Copyright (c) mmreid contributors. All rights reserved.
"""RegDB, one of its ten trials."""

from pathlib import Path

from mmreid.datasets.readers.id_list import shorten
from mmreid.datasets.readers.list_rows import TEST_PID_OFFSET, check_folders, read_labeled_images
from mmreid.datasets.readers.listed_images import require_listed_images
from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

from .visible_infrared_dataset import VisibleInfraredDataset

TRIALS = range(1, 11)
QUERY_MODALITIES = dict(v2t='visible', t2v='infrared')
LIST_NAMES = dict(visible='visible', infrared='thermal')


@DATASETS.register_module()
class RegDB(VisibleInfraredDataset):
    """RegDB (Nguyen et al., Sensors 2017): 412 identities with 10 visible and 10 thermal images each.

    Each of ten trials divides the identities differently into 206 for training and 206 for testing. A model that was
    trained on one trial has seen test identities of the others. Camera 0 is the visible one, camera 1 the thermal one.

    Args:
        data_root (str): The folder that holds ``Visible``, ``Thermal`` and ``idx``, or its parent.
        trial (int): Which division, 1 to 10. Defaults to 1.
        direction (str): ``'v2t'`` for visible queries and a thermal gallery, ``'t2v'`` for the reverse. Defaults to
            ``'v2t'``.
        **kwargs: See :class:`BaseReIDDataset`.

    Attributes:
        trial (int): The trial, also in ``metainfo``.
    """

    METAINFO = dict(dataset_name='regdb')
    TREE = """  {root}/
    Visible/<identity>/*.bmp
    Thermal/<identity>/*.bmp
    idx/train_visible_<trial>.txt   (rows like: Visible/285/male_back_v_05528_285.bmp 0)
    idx/train_thermal_<trial>.txt
    idx/test_visible_<trial>.txt
    idx/test_thermal_<trial>.txt"""
    MARKERS = ('idx', 'Visible')
    NESTED = ('RegDB', 'regdb')

    def __init__(self, data_root: str, trial: int = 1, direction: str = 'v2t', **kwargs) -> None:
        if isinstance(trial, bool) or not isinstance(trial, int) or trial not in TRIALS:
            raise ValueError(f'trial={trial!r} of {type(self).__name__} must be a number from 1 to 10')
        if direction not in QUERY_MODALITIES:
            raise ValueError(f"direction={direction!r} of {type(self).__name__} is unknown; use 'v2t' or 't2v'")
        self.trial = trial
        self.direction = direction
        self.query_modality = QUERY_MODALITIES[direction]
        super().__init__(data_root=data_root, **kwargs)
        self._metainfo['trial'] = trial

    def parse(self) -> list[dict]:
        """Reads the lists of the trial."""
        root = self.find_root()
        wanted = [
            (split, modality)
            for split in self.splits_to_parse()
            for modality in (LIST_NAMES if split == 'train' else [self.modality_of(split)])
        ]
        lists = self._read_lists(root, {self._list_file(root, *pair) for pair in wanted})
        self.name_variant(root, f'trial {self.trial}', *([] if self.split == 'train' else [self.direction]))
        records = []
        for split, modality in wanted:
            path = self._list_file(root, split, modality)
            require_listed_images(path, root, lists[path])
            for _, image, label in lists[path]:
                records.append(
                    dict(
                        img_path=str(root / image),
                        pid=label if split == 'train' else TEST_PID_OFFSET + label,
                        camid=int(modality == 'infrared'),
                        split=split,
                        modality=modality,
                    )
                )
        return records

    def published_counts(self) -> dict[str, Counts]:
        """Returns the counts of every trial."""
        return dict(train=Counts(206, 4120), query=Counts(206, 2060), gallery=Counts(206, 2060))

    def _list_file(self, root: Path, split: str, modality: str) -> Path:
        part = 'train' if split == 'train' else 'test'
        return root / 'idx' / f'{part}_{LIST_NAMES[modality]}_{self.trial}.txt'

    def _read_lists(self, root: Path, required: set[Path]) -> dict[Path, list[tuple[int, str, int]]]:
        """Reads the required lists, and compares them with the others if they exist, by the folders of identities."""
        lists = {}
        labels: dict[str, dict[str, int]] = dict(train={}, test={})
        for part, of_part in labels.items():
            folders: dict[int, str] = {}
            for modality in LIST_NAMES:
                path = self._list_file(root, part, modality)
                if path in required or path.is_file():
                    lists[path] = read_labeled_images(path, self.tree)
                    self._check_labels(path, lists[path], of_part)
                    check_folders(path, lists[path], folders, depth=2)
        shared = sorted(set(labels['train']) & set(labels['test']))
        if shared:
            raise ValueError(
                f'the training and the test lists of trial {self.trial} in {root / "idx"} share {len(shared)} '
                f'identities (folders {shorten(shared)}), which would falsify every result; restore these files'
            )
        return lists

    @staticmethod
    def _check_labels(path: Path, rows: list[tuple[int, str, int]], labels: dict[str, int]) -> None:
        for number, image, label in rows:
            folders = image.split('/')[:-1]
            if len(folders) > 1 and labels.setdefault(folders[-1], label) != label:
                raise ValueError(
                    f'{path} line {number}: {image} has the label {label}, but an image of identity {folders[-1]} '
                    f'before it has {labels[folders[-1]]}; are the visible and the thermal list of the same trial?'
                )
