# Copyright (c) mmreid contributors. All rights reserved.
"""Several data sets as one: no identity and no camera of one is taken for another's."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.logging import print_log

from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset


class PipelineByDomain:
    """Runs the pipeline of the data set that a record came from.

    Args:
        pipelines (Sequence[Callable]): Pipeline of each domain.
    """

    def __init__(self, pipelines: Sequence[Callable]) -> None:
        self.pipelines = list(pipelines)

    def __call__(self, record: dict) -> dict | None:
        """Runs the pipeline of ``record['domain']``."""
        return self.pipelines[record['domain']](record)


@DATASETS.register_module()
class ConcatReIDDataset(BaseReIDDataset):
    """Puts data sets one after the other, e.g. several sources, or a source and a target domain.

    Pids and camids get offsets, so that those of different data sets never meet, and ``domain`` is the place of the
    data set in the list. Everything else (relabeling, samplers, hold-outs of the parts) works as for one data set.

    Args:
        datasets (Sequence[dict]): Configs of the data sets, all of the same ``split``.
        pipeline (Sequence): Transforms for those data sets that have no pipeline of their own. Defaults to ().
        name (str, optional): Prefix of the metrics. Defaults to the names of the parts, joined by ``+``.
        **kwargs: See :class:`BaseReIDDataset`; ``split``, ``val_from_train``, ``combine_all`` and
            ``on_corrupt`` belong to the parts.

    Raises:
        ValueError: If there is no data set, or their splits differ.

    Attributes:
        part_names (list[str]): Name of each data set; a record's ``domain`` counts in this list.
    """

    #: Each part knows by itself whether it can give a validation set.
    HAS_VAL_SPLIT = True

    def __init__(self, datasets: Sequence[dict], pipeline: Sequence = (), name: str | None = None, **kwargs) -> None:
        foreign = sorted({'split', 'val_from_train', 'combine_all', 'on_corrupt', 'data_root'} & set(kwargs))
        if foreign:
            raise ValueError(
                f'{foreign[0]}={kwargs[foreign[0]]!r} belongs to each of the datasets of {type(self).__name__}'
            )
        if not datasets:
            raise ValueError(f'{type(self).__name__} needs a list of datasets, but got {datasets!r}')
        self.parts = [DATASETS.build(part | dict(lazy_init=True, serialize_data=False)) for part in datasets]
        for part in self.parts:
            if not isinstance(part, BaseReIDDataset) or isinstance(part, ConcatReIDDataset):
                raise ValueError(
                    f'{type(self).__name__} joins re-ID data sets, but got a {type(part).__name__}; '
                    'list its data sets themselves'
                )
        splits = [part.split for part in self.parts]
        if len(set(splits)) > 1:
            raise ValueError(f'the datasets of {type(self).__name__} have different splits {splits}; give all the same')
        self.part_names = [part.name for part in self.parts]
        super().__init__(
            data_root='', split=splits[0], pipeline=pipeline, name=name or '+'.join(self.part_names),
            val_from_train=self.parts[0].val_from_train, **kwargs,
        )  # fmt: skip
        self.pipeline = PipelineByDomain(
            [part.pipeline if part.pipeline.transforms else self.pipeline for part in self.parts]
        )

    def load_data_list(self) -> list[dict]:
        """Loads every part and moves its ids behind those of the parts before it."""
        records: list[dict] = []
        next_pid = next_camid = 0
        for domain, part in enumerate(self.parts):
            part.full_init()
            pid_offset = next_pid - min(0, int(part.pids.min()))
            for record in part.data_list:
                record.pop('sample_idx', None)
                record.update(pid=record['pid'] + pid_offset, camid=record['camid'] + next_camid, domain=domain)
            records += part.data_list
            next_pid = int(part.pids.max()) + pid_offset + 1
            next_camid += int(part.camids.max()) + 1
            part.data_list = []  # the records live here now
        self._warn_of_shared_images(records)
        if self.split in ('test', 'val'):
            records.sort(key=lambda record: record['split'] != 'query')
        return records

    def on_corrupt_of(self, idx: int) -> str:
        """Tells what an unreadable image of a part does: what that part says."""
        return self.parts[self.domains[idx]].on_corrupt

    def _warn_of_shared_images(self, records: list[dict]) -> None:
        paths, domains = np.array([record['img_path'] for record in records]), [record['domain'] for record in records]
        unique, counts = np.unique(paths, return_counts=True)
        if len(unique) == len(paths):
            return
        first = unique[counts > 1][0]
        names = [self.part_names[domain] for path, domain in zip(paths, domains, strict=True) if path == first]
        print_log(
            f'{self.name} | {int((counts > 1).sum())} images are in more than one of its data sets and count as '
            f'different identities, e.g. {first} ({", ".join(names)}); did you mean the same data set twice?',
            logger='current',
            level=logging.WARNING,
        )
