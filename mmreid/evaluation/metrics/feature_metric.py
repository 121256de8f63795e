# Copyright (c) mmreid contributors. All rights reserved.
"""Base of the re-ID metrics: collects features, ranks the tasks of a protocol and reports."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmreid.evaluation.functional import Protocol, RankingResult
from mmreid.evaluation.postprocessing import as_steps
from mmreid.evaluation.retrieval_set import RetrievalSet, split_by_role
from mmreid.evaluation.retrieval_task import RetrievalTask
from mmreid.models.matchers.base import Matcher, as_matcher
from mmreid.registry import TASK_UTILS

from .gathering import DEVICE_BYTES, OPTIONAL_KEYS, RECORD_KEYS, gather_images, move_to_host
from .label_checks import check_fields, check_scorable, read_labels, require_images, require_people
from .metric_options import DTYPES, check_options
from .task_ranking import TaskRanker, suffix_of
from .trials import summarize_trials, value_names


class FeatureMetric(BaseMetric):
    """Base of the re-ID metrics; a new one implements :meth:`tasks` and :meth:`protocol`.

    Query and gallery come in one pass and are told apart by each sample's ``split``. The scores come from the model's
    own matcher, which the loop sets as ``metric.matcher``. Every process rank gets all features; the ranks share the
    queries and end with the same result.

    Args:
        cmc_topk (Sequence[int]): Which Rank-k to report. Defaults to (1, 5, 10, 20).
        post (Sequence[dict]): Steps between features and ranking, such as ``[dict(type='KReciprocalRerank')]``; plain
            values are reported as well. Defaults to ().
        feature_dtype (str): How to keep features: ``'float32'``, or ``'float16'`` for half the memory, which may
            change ranks. The matchers of vectors compare them in float32. Defaults to ``'float32'``.
        prefilter_topk (int, optional): Match in two stages: only this many gallery images of each query, the nearest by
            pooled features, are scored by the matcher; the others rank behind them. For slow matchers of maps; values
            may fall. Defaults to None: all are scored.
        keep_scores (bool): Let ``post`` read the scores of the matcher from a temporary file (4 bytes for each pair of
            query and gallery image) instead of matching again. For slow matchers; no effect without ``post``. Defaults
            to False.
        keep_top (int): Keep this many gallery images of each query in ``self.ranking``, to draw them. Defaults to 0.
        prefix (str, optional): Prefix of the reported names. Defaults to the data set's name.
        collect_device (str): Part of MMEngine's interface; features are gathered on the CPU.
        **unknown (Any): Raises TypeError.

    Attributes:
        device (torch.device): Where features came from, and where they are matched and ranked.
        matcher (Matcher | Callable): Turns query (Q, D) and gallery (G, D) features into scores (Q, G).
        test_set (tuple[RetrievalSet, RetrievalSet] | None): Query and gallery as collected, on rank 0.
        ranking (RankingResult | None): The result of the first row and trial, without ``post``.
        records (dict[str, RetrievalSet]): ``query`` and ``gallery`` of this result, on rank 0.
        details (dict[str, Any]): After :meth:`evaluate`: values of each trial and their standard deviation, for files.
    """

    default_prefix = 'reid'
    #: Logging level of the note that some queries cannot be scored.
    LOST_LEVEL = logging.WARNING
    roc_fpr: tuple[float, ...] = ()

    def __init__(
        self,
        cmc_topk: Sequence[int] = (1, 5, 10, 20),
        post: Sequence[dict] = (),
        feature_dtype: str = 'float32',
        prefilter_topk: int | None = None,
        keep_scores: bool = False,
        keep_top: int = 0,
        prefix: str | None = None,
        collect_device: str = 'cpu',
        **unknown: Any,
    ) -> None:
        own = type(self).__name__
        if unknown:  # names the metric in the config, where Python would name this class
            raise TypeError(f"{own}.__init__() got an unexpected keyword argument '{next(iter(unknown))}'")
        super().__init__(collect_device=collect_device, prefix=prefix)
        check_options(own, cmc_topk, post, feature_dtype, prefilter_topk)
        self.given_prefix = prefix
        self.cmc_topk = tuple(cmc_topk)
        self.post = as_steps([TASK_UTILS.build(step) if isinstance(step, dict) else step for step in post])
        self.feature_dtype = DTYPES[feature_dtype]
        self.prefilter_topk = prefilter_topk
        self.keep_scores = keep_scores
        self.keep_top = keep_top
        self.matcher: Matcher | Callable | None = None
        self.device = torch.device('cpu')
        self.test_set: tuple[RetrievalSet, RetrievalSet] | None = None
        self.ranking: RankingResult | None = None
        self.records: dict[str, RetrievalSet] = {}
        self.details: dict[str, Any] = {}
        self._rows: list[str] = []

    @property
    def name(self) -> str:
        """str: Prefix of the reported names."""
        return self.given_prefix or (self.dataset_meta or {}).get('dataset_name', self.default_prefix)

    @property
    def keys(self) -> list[str]:
        """list[str]: Names of the values that :meth:`evaluate` will report; known after :meth:`check`."""
        suffixes = dict.fromkeys(('', suffix_of(self.post)))
        rows = [self._row_name(row + suffix) for row in self._rows for suffix in suffixes]
        return [f'{row}/{value}' for row in rows for value in value_names(self.cmc_topk, self.roc_fpr)]

    @abstractmethod
    def tasks(self, query: RetrievalSet, gallery: RetrievalSet) -> list[RetrievalTask]:
        """Makes the retrieval tasks of the protocol.

        Args:
            query (RetrievalSet): Queries of the test set, without features when called by :meth:`check`.
            gallery (RetrievalSet): Its gallery, likewise.

        Returns:
            list[RetrievalTask]: What to rank.

        Raises:
            ValueError: If the test set cannot fill the protocol; the message has counts.
        """

    @abstractmethod
    def protocol(self, task: RetrievalTask) -> Protocol:
        """Returns the rules of a task: what is left out of a gallery and what is counted."""

    def validate(self, dataset: Any) -> None:
        """Checks, before any feature is extracted, that the test set can be scored.

        Args:
            dataset (BaseReIDDataset): The test set; its ``pids``, ``camids``, ``splits`` and ``modalities`` are read.

        Raises:
            ValueError: If it lacks query or gallery, cannot fill the protocol, or no query can be scored.
        """
        query, gallery = read_labels(dataset, self.name)
        check_fields(dataset, query.sample_idx + gallery.sample_idx, self.post, self.name)
        self.check(query, gallery, lambda index: dataset.get_data_info(index)['img_path'])

    def check(self, query: RetrievalSet, gallery: RetrievalSet, path_of: Callable[[int], str]) -> None:
        """Checks labels, see :meth:`validate`.

        Args:
            query (RetrievalSet): Labels of the queries.
            gallery (RetrievalSet): Labels of the gallery.
            path_of (Callable[[int], str]): Returns the file of a ``sample_idx``.
        """
        require_images(query, gallery, self.name)
        require_people(query, gallery, self.name)
        try:
            tasks = self.tasks(query, gallery)
        except ValueError as error:
            raise ValueError(f"test set '{self.name}' cannot be evaluated: {error}") from error
        self._rows = [row for task in tasks for row in task.galleries]
        for task in tasks:
            protocol = self.protocol(task)
            self._log_rule(protocol, len(task.query) + len(task.gallery))
            for row, trials in task.galleries.items():
                name, images = self._row_name(row), task.drawn(trials[0])
                lost = check_scorable(name, task.query, images, protocol, self._where_hidden, path_of)
                if lost:
                    print_log(f'{name} | {lost}', 'current', level=self.LOST_LEVEL)

    def _where_hidden(self, num_cameras: int) -> str:
        return f'in cameras that they do not see (cameras in the data: {num_cameras})'

    def _log_rule(self, protocol: Protocol, num_images: int) -> None:
        """Logs the camera rule where the data decides it; nothing by default."""

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Keeps the features and labels of a batch of predictions."""
        features = torch.stack([sample['feature'] for sample in data_samples])
        batch: dict[str, Any] = {key: [sample[key] for sample in data_samples] for key in RECORD_KEYS}
        batch.update({key: [sample.get(key) for sample in data_samples] for key in OPTIONAL_KEYS})
        self.device = features.device
        self.results.append(dict(batch, feature=features.to(self.feature_dtype)))
        move_to_host(self.results, DEVICE_BYTES)

    @torch.no_grad()
    def evaluate(self, size: int) -> dict[str, float]:
        """Gathers the features of all ranks, and ranks.

        Args:
            size (int): Length of the test set.

        Returns:
            dict[str, float]: The same on every rank: ``<name>[/<row>]/mAP``, ``mINP``, ``Rank-k`` in percent,
            ``num_query`` and ``num_valid_query``. Rows with ``post`` have ``+<step>`` at the end of their name.
        """
        columns, features = gather_images(self.results)
        self.results = []
        if len(features) != size:
            raise RuntimeError(
                f"'{self.name}' has {size} images but features of {len(features)} arrived; the test dataloader "
                'must not drop or filter samples (drop_last=False, sampler DefaultSampler with shuffle=False)'
            )
        metrics = self.compute_metrics(split_by_role(columns, features))
        if not is_main_process():  # rank 0 writes files and images, so the others need not keep features
            self.test_set, self.records = None, {}
        return metrics

    @torch.no_grad()
    def compute_metrics(self, results: tuple[RetrievalSet, RetrievalSet]) -> dict[str, float]:
        """Ranks query and gallery, and returns what :meth:`evaluate` does."""
        query, gallery = results
        require_images(query, gallery, self.name)
        if self.matcher is None:
            raise RuntimeError(
                f"{type(self).__name__} has no matcher; set the type of val_cfg / test_cfg to 'ReIDValLoop' / "
                "'ReIDTestLoop'"
            )
        self.test_set, self.ranking, self.details = results, None, {}
        metrics: dict[str, float] = {}
        for task in self.tasks(query, gallery):
            ranked, images = self._ranker().rank(task, self.protocol(task))
            if self.ranking is None:
                self.ranking = next(iter(ranked.values()))[0]
                self.records = dict(query=task.query, gallery=images)
            for row, trials in ranked.items():
                values, details = summarize_trials(self._row_name(row), trials, self.cmc_topk, self.roc_fpr)
                metrics.update(values)
                self.details.update(details)
        return metrics

    def _ranker(self) -> TaskRanker:
        return TaskRanker(
            matcher=as_matcher(self.matcher),
            device=self.device,  # the matcher may have weights there
            post=self.post,
            max_rank=max(self.cmc_topk),
            roc_fpr=max(self.roc_fpr, default=0.0),
            keep_top=self.keep_top,
            prefilter_topk=self.prefilter_topk,
            keep_scores=self.keep_scores,
        )

    def _row_name(self, row: str) -> str:
        return f'{self.name}{row}' if row[:1] in ('', '+') else f'{self.name}/{row}'
