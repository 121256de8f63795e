# Copyright (c) mmreid contributors. All rights reserved.
"""Writes pictures of ranked lists after a test."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmreid.evaluation.metrics import ReIDMetric
from mmreid.registry import HOOKS
from mmreid.visualization import RankedImage, draw_rank_list


@HOOKS.register_module()
class RankListHook(Hook):
    """Draws queries with the gallery images that rank first, for every test set.

    Args:
        out_dir (str, optional): Folder of the pictures; each test set gets its own below it. Defaults to None.
        topk (int): Gallery images per query. Defaults to 10.
        num_queries (int): Queries per test set. Defaults to 20.
        select (str): Which: ``'worst'`` or ``'best'`` by average precision, or ``'every'`` by ``interval``. Defaults
            to ``'every'``.
        interval (int): Draw every n-th query with ``select='every'``. Defaults to 1.
        show (bool): Show the pictures in a window as well. Defaults to False.
        wait_time (float): Seconds that each stays there. Defaults to 2.
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
            raise ValueError('a window was asked for, but there is no display; draw into a folder with --show-dir')
        if not show and out_dir is None:
            raise ValueError('RankListHook has nowhere to put pictures; give out_dir, or show=True')
        self.out_dir = Path(out_dir) if out_dir is not None else None
        self.show = show
        self.wait_time = wait_time
        self.topk = topk
        self.num_queries = num_queries
        self.select = select
        self.interval = interval

    def _metrics(self, runner: Runner) -> list[ReIDMetric]:
        evaluators = [evaluator for _, evaluator in runner.test_loop.pairs]
        return [metric for evaluator in evaluators for metric in evaluator.metrics if isinstance(metric, ReIDMetric)]

    def before_test_epoch(self, runner: Runner) -> None:
        """Asks the metrics to keep their ranked lists."""
        for metric in self._metrics(runner):
            metric.keep_top = max(metric.keep_top, self.topk)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draws the pictures on rank 0."""
        if not is_main_process():
            return
        for metric in self._metrics(runner):
            chosen = self.choose(metric)
            for query in chosen:
                self._put(self._draw(metric, query), metric, query)
            where = f'in {self.out_dir / metric.name}' if self.out_dir else 'in a window'
            runner.logger.info(f'{len(chosen)} ranked lists of {metric.name} drawn {where}')

    def choose(self, metric: ReIDMetric) -> list[int]:
        """Chooses the queries to draw.

        Args:
            metric (ReIDMetric): A metric with a result.

        Returns:
            list[int]: Indices of queries that could be scored.
        """
        valid = metric.ranking.valid.nonzero().flatten()
        if self.select == 'every':
            valid = valid[:: self.interval]
        else:
            valid = valid[metric.ranking.ap[valid].argsort(descending=self.select == 'best', stable=True)]
        return valid[: self.num_queries].tolist()

    def _put(self, picture: np.ndarray, metric: ReIDMetric, query: int) -> None:
        record = metric.records['query']
        name = f'query{query:05d}_pid{int(record["pid"][query])}_c{int(record["camid"][query])}'
        if self.out_dir is not None:
            path = self.out_dir / metric.name / f'{name}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            # OpenCV cannot write to every path that Python can.
            path.write_bytes(cv2.imencode('.jpg', picture)[1].tobytes())
        if self.show:
            cv2.imshow('ranked list', picture)
            cv2.waitKey(max(1, int(self.wait_time * 1000)))

    def _draw(self, metric: ReIDMetric, query: int) -> np.ndarray:
        queries, gallery = metric.records['query'], metric.records['gallery']
        top = metric.ranking.top[query, : self.topk]
        top = top[top >= 0]
        with torch.no_grad():
            scores = metric.matcher(queries['feature'][query : query + 1], gallery['feature'][top])[0].tolist()
        pid, camid = int(queries['pid'][query]), int(queries['camid'][query])
        ap = float(metric.ranking.ap[query]) * 100
        images = [RankedImage(queries['img_path'][query], (f'query {pid} c{camid}', f'AP {ap:.1f}'))]
        for index, score in zip(top.tolist(), scores, strict=True):
            other = int(gallery['pid'][index])
            lines = (f'{other} c{int(gallery["camid"][index])}', f'{score:.3f}')
            images.append(RankedImage(gallery['img_path'][index], lines, other == pid))
        return draw_rank_list(images)


def _has_display() -> bool:
    return not sys.platform.startswith('linux') or any(map(os.environ.get, ('DISPLAY', 'WAYLAND_DISPLAY')))
