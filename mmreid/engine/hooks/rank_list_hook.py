# Copyright (c) mmreid contributors. All rights reserved.
"""Writes images of ranked lists after a test."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmreid.evaluation.metrics import FeatureMetric
from mmreid.registry import HOOKS
from mmreid.utils.work_dir import ensure_writable
from mmreid.visualization import draw_rank_list
from mmreid.visualization.rank_list import write_image
from mmreid.visualization.ranked_lists import choose_queries, image_name, list_entries, write_table


@HOOKS.register_module()
class RankListHook(Hook):
    """Draws queries with their top-ranked gallery images, for every test set.

    ``ranked_lists.csv`` beside the images names the files that they show.

    Args:
        out_dir (str, optional): Folder of the images, with one subfolder for each test set. Defaults to None.
        topk (int): Gallery images per query. Defaults to 10.
        num_queries (int): Queries per test set. Defaults to 20.
        select (str): Which queries: ``'worst'`` or ``'best'`` by average precision, or ``'every'`` by ``interval``.
            Defaults to ``'every'``.
        interval (int): Draw every n-th query with ``select='every'``. Defaults to 1.
        show (bool): Also show the images in a window. Defaults to False.
        wait_time (float): Seconds that each image stays there. Defaults to 2.
    """

    def __init__(
        self,
        out_dir: str | None = None,
        topk: int = 10,
        num_queries: int = 20,
        select: str = 'every',
        interval: int = 1,
        show: bool = False,
        wait_time: float = 2,
    ) -> None:
        if select not in ('worst', 'best', 'every'):
            raise ValueError(f"select='{select}' of RankListHook is unknown; use 'worst', 'best' or 'every'")
        if show and not _has_display():
            raise ValueError(
                'show=True of RankListHook needs a display, but there is none; draw into a folder with --show-dir'
            )
        if interval < 1 or topk < 1 or num_queries < 1:
            raise ValueError(
                f'interval={interval}, topk={topk} and num_queries={num_queries} of RankListHook must be at least 1'
            )
        if not show and out_dir is None:
            raise ValueError('out_dir=None and show=False of RankListHook leave its images no place; set one of them')
        self.out_dir = Path(out_dir) if out_dir is not None else None
        self.show = show
        self.wait_time = wait_time
        self.topk = topk
        self.num_queries = num_queries
        self.select = select
        self.interval = interval

    def _metrics(self, runner: Runner) -> list[FeatureMetric]:
        evaluators = [evaluator for _, evaluator in runner.test_loop.pairs]
        return [metric for evaluator in evaluators for metric in evaluator.metrics if isinstance(metric, FeatureMetric)]

    def before_test(self, runner: Runner) -> None:
        """Checks before the test that images can be written."""
        if self.out_dir is not None:
            ensure_writable(self.out_dir)

    def before_test_epoch(self, runner: Runner) -> None:
        """Asks the metrics to keep their ranked lists."""
        for metric in self._metrics(runner):
            metric.keep_top = max(metric.keep_top, self.topk)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draws the images on rank 0."""
        if not is_main_process():
            return
        for metric in self._metrics(runner):
            if self.out_dir is not None:
                (self.out_dir / metric.name).mkdir(parents=True, exist_ok=True)
            queries, gallery = metric.records['query'], metric.records['gallery']
            lists = {}
            for index in self.choose(metric):
                entries = list_entries(metric.ranking, queries, gallery, index, self.topk)
                name = image_name(index, entries[0], '.jpg')
                lists[name] = entries
                tiles = [entry.tile() for entry in entries]
                self._put(draw_rank_list(tiles, max_pixels=None), metric, name)  # all of them have been loaded already
            if self.out_dir is not None:
                write_table(self.out_dir / metric.name / 'ranked_lists.csv', lists)
            where = f'in {self.out_dir / metric.name}' if self.out_dir else 'in a window'
            runner.logger.info(f'{len(lists)} ranked lists of {metric.name} drawn {where}')

    def choose(self, metric: FeatureMetric) -> list[int]:
        """Chooses the queries to draw among those that could be scored; returns their indices."""
        return choose_queries(metric.ranking, self.select, self.num_queries, self.interval)

    def _put(self, image: np.ndarray, metric: FeatureMetric, name: str) -> None:
        if self.out_dir is not None:
            write_image(self.out_dir / metric.name / name, image)
        if self.show:
            cv2.imshow('ranked list', image)
            cv2.waitKey(max(1, int(self.wait_time * 1000)))


def _has_display() -> bool:
    return not sys.platform.startswith('linux') or any(map(os.environ.get, ('DISPLAY', 'WAYLAND_DISPLAY')))
