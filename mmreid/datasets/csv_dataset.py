# Copyright (c) mmreid contributors. All rights reserved.
"""Own data from a CSV file."""

import csv
import io
from pathlib import Path

from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset
from .id_map import map_ids

REQUIRED = ('img_path', 'pid')
OPTIONAL = ('camid', 'split', 'modality', 'timestamp')


@DATASETS.register_module()
class CsvReIDDataset(BaseReIDDataset):
    """Images listed in a CSV file with a header row.

    Columns: ``img_path`` (relative to ``data_root`` or absolute), ``pid``, and optionally ``camid``, ``split``
    (train, query, gallery), ``modality`` (visible, infrared) and ``timestamp`` (seconds). Ids may be any string; where
    one is not an integer, all of that column are numbered in sorted order over the whole file.

    Args:
        data_root (str): Folder of the relative image paths.
        ann_file (str): The CSV file, relative to ``data_root`` or absolute. UTF-8.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='csv')

    def __init__(self, data_root: str, ann_file: str, **kwargs) -> None:
        super().__init__(data_root=data_root, ann_file=ann_file, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the rows of the split."""
        rows = self._read_rows(Path(self.ann_file))
        pids = map_ids([row['pid'] for row in rows])
        camids = map_ids([row['camid'] for row in rows], dense=True) if 'camid' in rows[0] else [0] * len(rows)
        wanted = self.splits_to_parse()
        if self.split == 'test' and 'split' not in rows[0]:
            raise ValueError(
                f"{self.ann_file} has no column 'split', so query and gallery cannot be told apart; add it with the "
                "values 'query' and 'gallery'"
            )
        records = []
        for row, pid, camid in zip(rows, pids, camids, strict=True):
            split = row.get('split', wanted[0])
            if split in wanted:
                records.append(self._record(row, pid, camid, split))
        return records

    def _read_rows(self, path: Path) -> list[dict]:
        if not path.is_file():
            raise FileNotFoundError(
                f'{path} does not exist; set ann_file of {type(self).__name__} to a CSV file with the columns '
                f'{", ".join(REQUIRED)} and optionally {", ".join(OPTIONAL)}'
            )
        try:
            text = path.read_bytes().decode('utf-8-sig')
        except UnicodeDecodeError as error:
            raise ValueError(f'{path} is not UTF-8 text ({error}); save it as CSV UTF-8') from error
        with io.StringIO(text, newline='') as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            missing = [column for column in REQUIRED if column not in (reader.fieldnames or [])]
            if missing:
                raise ValueError(
                    f'{path} lacks the column(s) {", ".join(missing)}; its first line must name the columns, split by '
                    f'commas, but reads {reader.fieldnames}'
                )
            rows = []
            for row in reader:
                cells = [row[column] for column in reader.fieldnames]
                if None in row or None in cells or not row['img_path'] or not row['pid']:
                    raise ValueError(
                        f'{path} line {reader.line_num}: expected {len(reader.fieldnames)} cells with img_path and pid '
                        f'filled, got {[cell for cell in cells if cell is not None] + row.get(None, [])}'
                    )
                split = row.get('split', 'train')
                if split not in ('train', 'query', 'gallery'):
                    raise ValueError(f"{path} line {reader.line_num}: split '{split}' is not train, query or gallery")
                if row.get('modality') not in (None, '', 'visible', 'infrared'):
                    raise ValueError(
                        f"{path} line {reader.line_num}: modality '{row['modality']}' is not visible or infrared"
                    )
                row['_line'] = reader.line_num
                rows.append(row)
        if not rows:
            raise ValueError(f'{path} has a header but no rows; list one image a row')
        return rows

    def _record(self, row: dict, pid: int, camid: int, split: str) -> dict:
        path = Path(self.data_root or '.') / row['img_path']
        if not path.is_file():
            raise FileNotFoundError(
                f'{self.ann_file} line {row["_line"]} names {path}, which does not exist; correct the row or data_root '
                f'(now {self.data_root!r})'
            )
        try:
            timestamp = float(row['timestamp']) if row.get('timestamp') else None
        except ValueError:
            raise ValueError(
                f"{self.ann_file} line {row['_line']}: timestamp '{row['timestamp']}' is not a number of seconds"
            ) from None
        return dict(
            img_path=str(path),
            pid=pid,
            camid=camid,
            split=split,
            modality=row.get('modality') or None,
            timestamp=timestamp,
        )
