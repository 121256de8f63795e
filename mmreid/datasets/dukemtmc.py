# Copyright (c) mmreid contributors. All rights reserved.
"""DukeMTMC-reID."""

import re
from collections.abc import Callable
from pathlib import Path

from mmengine.logging import print_log

from mmreid.datasets.readers.published_counts import Counts
from mmreid.registry import DATASETS

from .market1501 import Market1501

FRAMES_PER_SECOND = 59.94
# Start of each camera's recording on the common clock, in frames, as used by the authors of TLift.
START_FRAMES = (5542, 3606, 27243, 31181, 0, 22401, 18967, 46765)


@DATASETS.register_module()
class DukeMTMC(Market1501):
    """DukeMTMC-reID (Ristani et al., ECCVW 2016; Zheng et al., ICCV 2017): 702 + 702 identities, 8 cameras.

    **Withdrawn by its owners.** This parser is for those who have the data set and must reproduce a published number;
    nothing in mmreid needs it.

    Names are ``PPPP_cC_fFFFFFFF.jpg``: identity, camera, frame. The gallery holds identities that have no query. The
    time stamp is the frame at 59.94 fps on the common clock of the cameras.

    Args:
        data_root (str): The folder that holds ``bounding_box_train``, or its parent.
        **kwargs: See :class:`Market1501`.
    """

    METAINFO = dict(dataset_name='dukemtmc')
    PATTERN = r'(?P<pid>-?\d+)_c(?P<camid>\d+)_f(?P<frame>\d+)'
    EXAMPLE = '0005_c2_f0046985.jpg (identity, camera, frame)'
    NESTED = ('DukeMTMC-reID', 'dukemtmc-reid', 'dukemtmc')
    PUBLISHED = dict(train=Counts(702, 16_522), query=Counts(702, 2_228), gallery=Counts(None, 17_661))

    def parse(self) -> list[dict]:
        """Reads the folders of the split, and warns that the data set was withdrawn."""
        print_log(
            f'{self.name} | DukeMTMC-reID was withdrawn by its owners: check that you may use it, and prefer another '
            'data set for new work',
            logger='current',
        )
        return super().parse()

    def clock(self, root: Path) -> Callable[[re.Match], float | None]:
        """Returns the function that reads the time from a name."""
        return _seconds


def _seconds(match: re.Match) -> float:
    camera = int(match['camid'])
    if camera > len(START_FRAMES):
        raise ValueError(f'{match.string} has camera {camera}, but DukeMTMC-reID has cameras 1 to {len(START_FRAMES)}')
    return (int(match['frame']) + START_FRAMES[camera - 1]) / FRAMES_PER_SECOND
