# Copyright (c) mmreid contributors. All rights reserved.
"""Market-1501, and all data sets with its layout and names."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.image_files import list_images
from mmreid.datasets.readers.layout_hints import find_root, hint_of_folder, hint_of_name
from mmreid.datasets.readers.published_counts import Counts
from mmreid.datasets.readers.unread_images import warn_of_unread
from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset

FRAMES_PER_SECOND = 25.0
DISTRACTOR_CAMID = 6  # of the extra distractors, whose camera is unknown and none of the six


@DATASETS.register_module()
class Market1501(BaseReIDDataset):
    """Market-1501 (Zheng et al., ICCV 2015): 751 training and 750 test identities, 6 cameras.

    Names are ``PPPP_cCsS_FFFFFF_NN.jpg``: identity, camera, session, frame, detection. Junk boxes (identity -1) are
    dropped; distractors (identity 0) stay in the gallery and are refused elsewhere. The time stamp is the frame at
    25 fps, with the sessions of a camera one after the other.

    Args:
        data_root (str): The folder that holds ``bounding_box_train``, or its parent.
        pattern (str, optional): Regular expression of the file names with the groups ``pid`` and ``camid`` (1-based),
            and optionally ``session`` and ``frame``; for own data in this layout. Defaults to None: Market-1501's.
        distractors (str, optional): Folder with more distractors for the gallery, relative to the parent of
            ``bounding_box_test``: ``'images'`` for the 500,000 distractors of the authors. They may have any name; they
            get identity 0, a camera of their own and no time. Defaults to None.
        distractor_pids (Sequence[int], optional): Identities of distractors; ``()`` makes 0 an ordinary identity, for
            converted data that counts from 0. Defaults to None: identity 0.
        **kwargs: See :class:`BaseReIDDataset`.
    """

    METAINFO = dict(dataset_name='market1501')
    PATTERN = r'(?P<pid>-?\d+)_c(?P<camid>\d+)s(?P<session>\d+)_(?P<frame>-?\d+)_\d+'
    EXAMPLE = '0002_c1s1_000451_03.jpg (identity, camera, session, frame, detection)'
    FOLDERS = dict(train='bounding_box_train', query='query', gallery='bounding_box_test')
    NESTED: tuple[str, ...] = ('Market-1501-v15.09.15', 'market1501', 'Market-1501')
    TREE = '  {root}/\n    bounding_box_train/\n    query/\n    bounding_box_test/'
    DISTRACTOR_PIDS = (0,)
    PUBLISHED = dict(train=Counts(751, 12_936), query=Counts(750, 3_368), gallery=Counts(None, 15_913))
    NUM_DISTRACTORS = 500_000

    def __init__(
        self,
        data_root: str,
        pattern: str | None = None,
        distractors: str | None = None,
        distractor_pids: Sequence[int] | None = None,
        **kwargs,
    ) -> None:
        self.pattern = re.compile(pattern or self.PATTERN)
        missing = {'pid', 'camid'} - set(self.pattern.groupindex)
        if missing:
            raise ValueError(f'pattern={pattern!r} of {type(self).__name__} lacks the named groups {sorted(missing)}')
        if distractor_pids is not None:
            self.DISTRACTOR_PIDS = tuple(distractor_pids)
        if distractors is not None and 0 not in self.DISTRACTOR_PIDS:
            raise ValueError(
                f'distractors={distractors!r} of {type(self).__name__} would get identity 0, which is an ordinary '
                'identity here; leave distractors out'
            )
        self.distractors = distractors
        super().__init__(data_root=data_root, **kwargs)

    def parse(self) -> list[dict]:
        """Reads the folders of the split."""
        root = self.find_root()
        splits = self.splits_to_parse()
        parsed = {split: self._parse_folder(root / self.FOLDERS[split], split) for split in splits}
        seconds = self.clock(root)
        records = []
        for split in splits:
            junk = 0
            for path, match in parsed[split]:
                pid, camid = int(match['pid']), int(match['camid']) - 1
                if pid == -1:
                    junk += 1
                    continue
                if pid in self.DISTRACTOR_PIDS and split != 'gallery':
                    raise ValueError(
                        f'{path} has identity {pid}, which marks a distractor and is allowed only in the gallery; move '
                        f"it to '{self.FOLDERS['gallery']}', give it an identity above 0, or set distractor_pids=() "
                        'if it is an ordinary identity'
                    )
                if camid < 0:
                    raise ValueError(f'{path} has camera 0, but cameras count from 1 in this layout; rename the file')
                records.append(dict(img_path=path, pid=pid, camid=camid, split=split, timestamp=seconds(match)))
            if junk:
                print_log(f'{self.name} | {split}: {junk} junk images (identity -1) dropped', logger='current')
        if self.distractors is not None and 'gallery' in splits:
            records += self._distractor_records(root / self.distractors)
        return records

    def published_counts(self) -> dict[str, Counts]:
        """Returns the counts of the authors, unless ``name`` or ``pattern`` says that this is other data."""
        if self.name != self.METAINFO['dataset_name'] or self.pattern.pattern != self.PATTERN:
            return {}
        if self.distractors is None:
            return self.PUBLISHED
        images = self.PUBLISHED['gallery'].images + self.NUM_DISTRACTORS
        return {**self.PUBLISHED, 'gallery': Counts(None, images)}

    def find_root(self) -> Path:
        """Finds the folder that holds the image folders: ``data_root``, or the folder of the archive in it."""
        wanted = [self.FOLDERS[split] for split in self.splits_to_parse()]
        root = find_root(self.data_root, self.NESTED, wanted)
        for folder in wanted:
            self.require_folder(root / folder, self.tree + hint_of_folder(root))
        return root

    def clock(self, root: Path) -> Callable[[re.Match], float | None]:
        """Returns a function from the match of a name to seconds, or None; a subclass may have another clock."""
        if not {'session', 'frame'} <= set(self.pattern.groupindex):
            return _no_time
        offsets = self._session_offsets(root)
        return lambda match: (
            (offsets[int(match['camid']), int(match['session'])] + int(match['frame'])) / FRAMES_PER_SECOND
        )

    def _parse_folder(self, folder: Path, split: str) -> list[tuple[str, re.Match]]:
        parsed = []
        prefix = os.path.join(folder, '')
        for name in list_images(folder):
            match = self.pattern.match(name)
            if match is None:
                raise ValueError(
                    f'{prefix}{name} is not named like {self.EXAMPLE}{hint_of_name(name)}; rename or remove it, use '
                    f'the data set class that it belongs to, or set pattern= to the regular expression of your names '
                    f'(now {self.pattern.pattern!r})'
                )
            parsed.append((prefix + name, match))
        if not parsed:
            raise ValueError(f"{folder} holds no image, so split='{split}' is empty; was the archive unpacked fully?")
        warn_of_unread(folder, [folder])
        return parsed

    def _session_offsets(self, root: Path) -> dict[tuple[int, int], int]:
        """Returns the first frame of each (camera, session); a session lasts until the largest frame on disk."""
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

    def _distractor_records(self, folder: Path) -> list[dict]:
        self.require_folder(folder, f"{self.tree}\n    {self.distractors}/  (distractors='{self.distractors}')")
        prefix = os.path.join(folder, '')
        records = [
            dict(img_path=prefix + name, pid=0, camid=DISTRACTOR_CAMID, split='gallery') for name in list_images(folder)
        ]
        if not records:
            raise ValueError(f'{folder} holds no image; unpack the distractors there or leave distractors= out')
        print_log(f'{self.name} | gallery: {len(records):,} distractors from {folder}', logger='current')
        return records


def _no_time(match: re.Match) -> None:
    return None
