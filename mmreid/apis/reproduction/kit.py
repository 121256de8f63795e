# Copyright (c) mmreid contributors. All rights reserved.
"""What can be reproduced: the models of the metafiles, the numbers that their authors reported, and a tolerance."""

import fnmatch
from dataclasses import dataclass
from pathlib import Path

from mmreid.apis.model_list import find_model, list_models

#: Where the results of a test have the numbers of a data set of the metafiles.
PLACES = {
    'Market-1501': 'market1501',
    'Market-1501, trained on MSMT17': 'market1501',
    'DukeMTMC-reID': 'dukemtmc',
    'MSMT17': 'msmt17',
    'CUHK03-NP': 'cuhk03np',
    'SYSU-MM01, all search, single-shot': 'sysu_mm01/all-single',
    'SYSU-MM01, indoor search, single-shot': 'sysu_mm01/indoor-single',
    'RegDB, visible to thermal': 'regdb/v2t',
    'RegDB, thermal to visible': 'regdb/t2v',
}
#: Points below the reported number that still count as reached; fixed before any run on real data. Seeds move trainings
#: across modalities and domains more than supervised ones.
TOLERANCE = 1.0
WIDER = dict.fromkeys(
    ('AGW (two modalities)', 'CAJ', 'CM-NAS', 'QAConv-GS', 'ECN', 'ECN++', 'Cluster Contrast', 'SpCL'), 2.0
)
#: Collections whose authors train in mixed precision.
MIXED_PRECISION = ('QAConv-GS', 'SBS')


@dataclass(frozen=True)
class Reported:
    """Numbers of the authors on one data set.

    Attributes:
        dataset (str): The data set and its protocol.
        place (str): What the keys of these numbers begin with in the results of a test.
        metrics (dict[str, float]): Numbers in percent, such as ``{'Rank-1': 61.99, 'mAP': 60.02}``.
        source (str): Where they were published.
    """

    dataset: str
    place: str
    metrics: dict[str, float]
    source: str


@dataclass(frozen=True)
class Kit:
    """A model, and what its authors reported.

    Attributes:
        name (str): Name in the metafile.
        config (Path): Its config.
        collection (str | None): The method.
        reported (tuple[Reported, ...]): Numbers of the authors; empty if there are none.
        tolerance (float): Points below them that still count as reached.
        mixed_precision (bool): Whether the authors train in mixed precision.
    """

    name: str
    config: Path
    collection: str | None
    reported: tuple[Reported, ...]
    tolerance: float
    mixed_precision: bool


def list_kits() -> list[Kit]:
    """Lists what has reported numbers."""
    return [kit for kit in map(_kit, list_models()) if kit.reported]


def find_kit(method: str) -> Kit:
    """Finds a kit by its name or a part of it, in which ``*`` stands for anything.

    Args:
        method (str): Any model of the metafiles by its full name, or what only one name with reported numbers contains,
            e.g. ``'cmnas-official*sysu'``.

    Raises:
        ValueError: If there is no such name, or several.
    """
    if method in list_models():
        return _kit(method)
    fitting = [kit for kit in list_kits() if fnmatch.fnmatch(kit.name, f'*{method}*')]
    if len(fitting) == 1:
        return fitting[0]
    names = ', '.join(kit.name for kit in fitting)
    raise ValueError(
        f'{method} fits {len(fitting)} recipes: {names}; give more of a name'
        if fitting
        else f'there is no recipe {method}; --list names them'
    )


def _kit(name: str) -> Kit:
    model = find_model(name)
    reported = tuple(
        Reported(entry['Dataset'], PLACES[entry['Dataset']], entry['Metrics'], entry['Source'])
        for entry in model.results
        if entry.get('Kind') == 'reported'
    )
    tolerance = WIDER.get(model.collection, TOLERANCE)
    return Kit(name, model.config, model.collection, reported, tolerance, model.collection in MIXED_PRECISION)
