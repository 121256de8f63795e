# Copyright (c) mmreid contributors. All rights reserved.
"""Several data sets as one, whose identities and cameras are kept apart."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.logging import print_log

from mmreid.registry import DATASETS

from .base_reid_dataset import BaseReIDDataset


class PipelineByDomain:
    """Runs on each record the pipeline of its domain."""

    def __init__(self, pipelines: Sequence[Callable]) -> None:
        self.pipelines = list(pipelines)

    def __call__(self, record: dict) -> dict | None:
        return self.pipelines[record['domain']](record)


@DATASETS.register_module()
class ConcatReIDDataset(BaseReIDDataset):
    """Joins data sets one after the other, e.g. several sources, or a source and a target domain.

    Pids and camids get offsets, so that those of different data sets are never equal, and ``domain`` is the index of
    the data set in the list. Everything else (relabeling, samplers, hold-outs of the parts) works as for one data set.

    Args:
        datasets (Sequence[dict]): Configs of the data sets, all of the same ``split``.
        pipeline (Sequence): Transforms for the data sets that have no pipeline of their own. Defaults to ().
        name (str, optional): Prefix of the metrics. Defaults to the names of the parts, joined by ``+``.
        **kwargs: See :class:`BaseReIDDataset`; ``split``, ``val_from_train``, ``combine_all`` and
            ``on_corrupt`` belong to the parts.

    Raises:
        ValueError: If there is no data set, or their splits differ.

    Attributes:
        parts (list[BaseReIDDataset]): The data sets, without records once this one is loaded.
    """

    #: Each part decides whether it has a validation set.
    HAS_VAL_SPLIT = True

    def __init__(self, datasets: Sequence[dict], pipeline: Sequence = (), name: str | None = None, **kwargs) -> None:
        foreign = sorted({'split', 'val_from_train', 'combine_all', 'on_corrupt', 'data_root'} & set(kwargs))
        if foreign:
            raise ValueError(
                f'{foreign[0]}={kwargs[foreign[0]]!r} belongs to each of the datasets of {type(self).__name__}'
            )
        if not datasets:
            raise ValueError(f'{type(self).__name__} needs a list of datasets, but got {datasets!r}')
        self._parts = [DATASETS.build(part | dict(lazy_init=True, serialize_data=False)) for part in datasets]
        for part in self.parts:
            if not isinstance(part, BaseReIDDataset) or isinstance(part, ConcatReIDDataset):
                raise ValueError(
                    f'{type(self).__name__} joins single re-ID data sets, but got a {type(part).__name__}; '
                    'list the data sets themselves'
                )
        splits = [part.split for part in self.parts]
        if len(set(splits)) > 1:
            raise ValueError(f'the datasets of {type(self).__name__} have different splits {splits}; give all the same')
        super().__init__(
            data_root='', split=splits[0], pipeline=pipeline, name=name or '+'.join(self.part_names),
            val_from_train=self.parts[0].val_from_train, **kwargs,
        )  # fmt: skip
        self.pipeline = PipelineByDomain(
            [part.pipeline if part.pipeline.transforms else self.pipeline for part in self.parts]
        )

    @property
    def parts(self) -> list[BaseReIDDataset]:
        """list[BaseReIDDataset]: The data sets it was joined from."""
        return self._parts

    def load_data_list(self) -> list[dict]:
        """Loads every part and moves its ids past those of the parts before it."""
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
        """Returns ``on_corrupt`` of the part that the record belongs to."""
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
