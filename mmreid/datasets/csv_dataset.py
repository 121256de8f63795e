# Copyright (c) mmreid contributors. All rights reserved.
"""Own data from a CSV file."""

from collections import Counter
from pathlib import Path

from mmreid.datasets.readers.csv_rows import LINE, read_csv_rows
from mmreid.datasets.readers.id_map import map_cameras, map_ids
from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset


@DATASETS.register_module()
class CsvReIDDataset(BaseReIDDataset):
    """Images listed in a CSV file with a header row.

    Columns: ``img_path`` (relative to ``data_root`` or absolute), ``pid``, and optionally ``camid``, ``split``
    (train, val, query, gallery), ``modality`` (visible, infrared) and ``timestamp`` (seconds). Ids may be any
    text; if one is not an integer, all of that column are numbered in sorted order over the whole file. ``split='val'``
    takes the rows of that name as query and gallery, or with ``val_from_train`` some identities of the training rows.
    ``tools/dataset_converters/make_split.py`` writes such files.

    Without cameras, or if ``camid`` is empty in all rows that are read, there is one camera. If it is empty in some, a
    test set is refused; for training, these rows become one more camera, with a warning.

    Args:
        data_root (str): Folder of the relative image paths.
        ann_file (str): The CSV file, relative to ``data_root`` or absolute. See
            :func:`mmreid.datasets.readers.csv_rows.read_csv_rows`.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='csv')
    HAS_VAL_SPLIT = True

    def __init__(self, data_root: str, ann_file: str, **kwargs) -> None:
        super().__init__(data_root=data_root, ann_file=ann_file, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the rows of the split."""
        if not Path(self.ann_file).is_file():
            raise FileNotFoundError(
                f'{self.ann_file} does not exist; set ann_file of {type(self).__name__} to a CSV file, absolute or '
                f'relative to data_root (now {self.data_root!r})'
            )
        rows = read_csv_rows(self.ann_file)
        pids = dict(zip([row['pid'] for row in rows], map_ids([row['pid'] for row in rows]), strict=True))
        self.id_names = {pid: text for text, pid in pids.items()}
        chosen = self._choose(rows)
        camids = map_cameras(
            [row.get('camid', '') for row in chosen],
            known=[row.get('camid', '') for row in rows],
            places=[f'{self.ann_file} line {row[LINE]}' for row in chosen],
            remedy='fill in camid in all these rows, or leave it empty in all of them',
            training=self.split == 'train',
        )
        paths = self._paths(chosen)
        return [
            dict(
                img_path=path,
                pid=pids[row['pid']],
                camid=camid,
                pid_name=row['pid'],
                camid_name=row.get('camid') or None,
                split=row['split'],
                modality=row.get('modality') or None,
                timestamp=row.get('timestamp'),
            )
            for row, path, camid in zip(chosen, paths, camids, strict=True)
        ]

    def _choose(self, rows: list[dict]) -> list[dict]:
        wanted = self.splits_to_parse()
        if 'split' not in rows[0]:
            if self.split == 'test' or wanted == ('val',):
                raise ValueError(
                    f"{self.ann_file} has no column 'split', so {' and '.join(wanted)} cannot be told apart from the "
                    'rest; add it, by hand or with tools/dataset_converters/make_split.py'
                )
            return [row | dict(split=wanted[0]) for row in rows]
        chosen = [row for row in rows if row['split'] in wanted]
        if not chosen:
            counts = ', '.join(f'{count} {split}' for split, count in Counter(row['split'] for row in rows).items())
            hint = '; or hold training identities out with val_from_train' if wanted == ('val',) else ''
            raise ValueError(
                f'{self.ann_file} has no row whose split is {" or ".join(wanted)} (it has {counts}), which '
                f"split='{self.split}' needs{hint}"
            )
        return chosen

    def _paths(self, rows: list[dict]) -> list[str]:
        paths = [Path(self.data_root or '.') / row['img_path'] for row in rows]
        missing = [(row, path) for row, path in zip(rows, paths, strict=True) if not path.is_file()]
        if missing:
            row, path = missing[0]
            others = f' ({len(missing)} of {len(rows)} rows name missing files)' if len(missing) > 1 else ''
            raise FileNotFoundError(
                f'{self.ann_file} line {row[LINE]} names {path}, which does not exist{others}; correct the row or '
                f'data_root (now {self.data_root!r})'
            )
        return [str(path) for path in paths]
