# Copyright (c) mmreid contributors. All rights reserved.
"""People of OpenCV's clip vtest.avi, as cut out by ``tools/dataset_converters/vtest2reid.py``."""

from pathlib import Path

from mmreid.datasets.readers.csv_rows import read_csv_rows
from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset

#: Persons of the label table; fixed before anything was measured.
PERSONS = dict(development=(1, 3, 5, 7, 9), test=(2, 4, 6, 8, 10))
CSV = 'crops.csv'


@DATASETS.register_module()
class VTest(BaseReIDDataset):
    """Ten people who walk past one camera several times: 577 crops of 41 tracklets.

    Tracklets count as cameras, so a query is compared with what was seen of everybody at other times. Each crop of the
    chosen persons is a query, and the crops of all ten are the gallery. Training images are those of the chosen ones.

    Args:
        data_root (str): The folder that ``vtest2reid.py`` wrote.
        persons (str): ``'development'``, ``'test'`` or ``'all'``. Defaults to ``'development'``.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='vtest', camera_unit='tracklet')
    QUERIES_IN_GALLERY = True
    TREE = """  {root}/              (written by tools/dataset_converters/vtest2reid.py)
    crops.csv
    images/0001_c1s1_000001_00.jpg ..."""

    def __init__(self, data_root: str, persons: str = 'development', **kwargs) -> None:
        if persons not in (*PERSONS, 'all'):
            raise ValueError(f"persons='{persons}' of VTest is unknown; use 'development', 'test' or 'all'")
        self.persons = persons
        kwargs.setdefault('name', 'vtest' if persons == 'all' else f'vtest-{persons}')
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the list of crops."""
        root = self.require_folder(self.data_root)
        if not (root / CSV).is_file():
            raise FileNotFoundError(f'{root / CSV} is missing; expected this layout:\n{self.tree}')
        everybody = sum(PERSONS.values(), ())
        chosen = PERSONS.get(self.persons, everybody)
        rows = read_csv_rows(root / CSV)
        return [
            dict(
                img_path=str(Path(root, row['img_path'])),
                pid=int(row['track']),
                camid=int(row['tracklet']),
                timestamp=row['timestamp'],
                split=split,
            )
            for split in self.splits_to_parse()
            for row in rows
            if int(row['track']) in (everybody if split == 'gallery' else chosen)
        ]
