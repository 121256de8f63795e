# Copyright (c) mmreid contributors. All rights reserved.
"""Market-1501 and every data set laid out and named like it."""

import re
from collections import defaultdict
from pathlib import Path

from mmengine.logging import print_log

from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset
from .image_files import list_images

FRAMES_PER_SECOND = 25.0


@DATASETS.register_module()
class Market1501(BaseReIDDataset):
    """Market-1501 (Zheng et al., ICCV 2015): 751 training and 750 test identities, 6 cameras.

    Names are ``PPPP_cCsS_FFFFFF_NN.jpg``: identity, camera, session, frame, detection. Junk boxes (identity -1) are
    dropped, distractors (identity 0) stay in the gallery and are refused elsewhere. The time stamp is the frame at
    25 fps, the sessions of a camera laid end to end.

    Args:
        data_root (str): The folder that holds ``bounding_box_train``, or its parent.
        pattern (str): Regular expression of the file names with the groups ``pid`` and ``camid`` (1-based), and
            optionally ``session`` and ``frame``; for own data in this layout.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='market1501')
    PATTERN = r'(?P<pid>-?\d+)_c(?P<camid>\d+)s(?P<session>\d+)_(?P<frame>-?\d+)_\d+'
    FOLDERS = dict(train='bounding_box_train', query='query', gallery='bounding_box_test')
    ARCHIVE = 'Market-1501-v15.09.15'
    TREE = '  {root}/\n    bounding_box_train/\n    query/\n    bounding_box_test/'
    DISTRACTOR_PIDS = (0,)

    def __init__(self, data_root: str, pattern: str = PATTERN, **kwargs) -> None:
        self.pattern = re.compile(pattern)
        missing = {'pid', 'camid'} - set(self.pattern.groupindex)
        if missing:
            raise ValueError(f'pattern={pattern!r} of {type(self).__name__} lacks the named groups {sorted(missing)}')
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the folders of the split."""
        root = self.find_root()
        splits = self.splits_to_parse()
        parsed = {split: self._parse_folder(root / self.FOLDERS[split], split) for split in splits}
        offsets = self._session_offsets(root)
        records = []
        for split in splits:
            junk = 0
            for path, match in parsed[split]:
                pid = int(match['pid'])
                if pid == -1:
                    junk += 1
                    continue
                if pid == 0 and split != 'gallery':
                    raise ValueError(
                        f'{path} has identity 0, which marks a distractor and may stand in the gallery only; move it '
                        f"to '{self.FOLDERS['gallery']}' or give it an identity above 0"
                    )
                records.append(
                    dict(
                        img_path=str(path),
                        pid=pid,
                        camid=int(match['camid']) - 1,
                        split=split,
                        timestamp=self._timestamp(match, offsets),
                    )
                )
            if junk:
                print_log(f'{self.name} | {split}: {junk} junk images (identity -1) dropped', logger='current')
        return records

    def find_root(self) -> Path:
        """Finds the folder that holds the three image folders.

        Returns:
            Path: ``data_root`` or the archive's folder inside it.

        Raises:
            FileNotFoundError: If neither holds them.
        """
        inner = Path(self.data_root) / self.ARCHIVE
        root = inner if inner.is_dir() else self.require_folder(self.data_root)
        for split in self.splits_to_parse():
            self.require_folder(root / self.FOLDERS[split])
        return root

    def _parse_folder(self, folder: Path, split: str) -> list[tuple[Path, re.Match]]:
        parsed = []
        for name in list_images(folder):
            match = self.pattern.match(name)
            if match is None:
                raise ValueError(
                    f'{folder / name} is not named like 0002_c1s1_000451_03.jpg (identity, camera, session, frame, '
                    f'detection); rename or remove it, or set pattern= to the regular expression of your names '
                    f'(now {self.pattern.pattern!r})'
                )
            parsed.append((folder / name, match))
        if not parsed:
            raise ValueError(f"{folder} holds no image, so split='{split}' is empty; was the archive unpacked fully?")
        return parsed

    def _session_offsets(self, root: Path) -> dict[tuple[int, int], int]:
        """Lays the sessions of each camera end to end, by the largest frame seen in any folder."""
        if not {'session', 'frame'} <= set(self.pattern.groupindex):
            return {}
        last: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for folder in self.FOLDERS.values():
            for name in list_images(root / folder) if (root / folder).is_dir() else ():
                match = self.pattern.match(name)
                if match is not None:
                    camid, session = int(match['camid']), int(match['session'])
                    last[camid][session] = max(last[camid][session], int(match['frame']))
        offsets = {}
        for camid, sessions in last.items():
            offset = 0
            for session in sorted(sessions):
                offsets[camid, session] = offset
                offset += sessions[session]
        return offsets

    @staticmethod
    def _timestamp(match: re.Match, offsets: dict[tuple[int, int], int]) -> float | None:
        if not offsets:
            return None
        return (offsets[int(match['camid']), int(match['session'])] + int(match['frame'])) / FRAMES_PER_SECOND
