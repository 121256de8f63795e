# Copyright (c) mmreid contributors. All rights reserved.
"""Groups the images without labels before an epoch, and writes the memory that they are compared with."""

import copy
import time
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import BaseLoop, EpochBasedTrainLoop

from mmreid.datasets import SourceTargetDataset
from mmreid.engine.features.embeddings import extract_embeddings
from mmreid.engine.features.extraction import testing_pipeline
from mmreid.evaluation.clustering import Clustering
from mmreid.evaluation.clustering.dbscan import ALONE
from mmreid.evaluation.clustering.quality import rate_clusters
from mmreid.evaluation.clustering.self_paced_dbscan import separated
from mmreid.models import ContrastMemory
from mmreid.models.memories.contrast_memory import class_means
from mmreid.registry import HOOKS, TASK_UTILS
from mmreid.utils.dist import host_group, of_first_rank
from mmreid.utils.unwrap_model import unwrap_model

from .memory_writing import of_all_ranks
from .pseudo_label_access import contrast_memory, image_groups, label_samplers, unlabeled_images
from .sync_norm_hook import sync_norm_stats

STATE = 'pseudo_label_clustering'


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Makes pseudo labels before an epoch, and updates a :class:`ContrastMemory` after every step.

    The images without labels go through the model in eval mode with the test pipeline; a memory that has a feature of
    each image is taken instead. The first rank groups them and tells the others, so all have the same labels, which
    the batch sampler (a :class:`PseudoLabelSampler`) and the memory get. In a ``SourceTargetDataset`` that concerns
    the target; in other training sets, all images. For an :class:`UnsupervisedCrossModalReID` each modality is grouped
    on its own. The hook averages running statistics over ranks first, and leaves the model and all random states as
    they were.

    After a step every rank writes the features of all ranks in rank order, so all copies of the memory stay equal.
    Checkpoints hold the labels and the memory, so a resumed run continues exactly.

    Args:
        clustering (dict): Config of a :class:`Clustering`. Defaults to ``dict(type='JaccardDBSCAN')``.
        outliers (str): What becomes of images in no cluster: ``'drop'`` leaves them out until the next labels,
            ``'own'`` makes each a class of its own. Defaults to ``'drop'``, as in Cluster Contrast; SpCL has ``'own'``.
        interval (int): Epochs between two labelings. Defaults to 1.
        pipeline (list[dict], optional): Transforms of an image. Defaults to None: those of the validation set, or else
            of the test set.
        batch_size (int): Images per batch and rank. Defaults to 128.
        num_workers (int, optional): Processes that load images. Defaults to None: as many as in training.
        mirror (bool): Group the means of the features of an image and its mirror image, as ADCA does. Defaults to
            False.
        true_labels (bool): Compare the clusters with the identities in the data set, which training never reads
            otherwise, and log the result. For evaluation only. Defaults to False.

    Raises:
        ValueError: If an argument is out of range.
    """

    priority = 'ABOVE_NORMAL'  # before GraphSamplingHook, which draws on the labels

    def __init__(
        self,
        clustering: dict = dict(type='mmreid.JaccardDBSCAN'),  # noqa: B006
        outliers: str = 'drop',
        interval: int = 1,
        pipeline: list[dict] | None = None,
        batch_size: int = 128,
        num_workers: int | None = None,
        mirror: bool = False,
        true_labels: bool = False,
    ) -> None:
        if outliers not in ('drop', 'own'):
            raise ValueError(f"outliers='{outliers}' of PseudoLabelHook is unknown; use 'drop' or 'own'")
        if interval < 1 or batch_size < 1:
            raise ValueError(f'interval={interval} and batch_size={batch_size} of PseudoLabelHook must be at least 1')
        self.clustering: Clustering = TASK_UTILS.build(clustering)
        self.outliers = outliers
        self.interval = interval
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.mirror = mirror
        self.true_labels = true_labels
        self._host_group: Any = None

    def before_run(self, runner) -> None:
        """Tells the memory the sizes of the training data, before weights are loaded."""
        if isinstance(runner._train_loop, BaseLoop):  # a config until training begins
            dataset = runner.train_dataloader.dataset
            num_source = dataset.num_classes if isinstance(dataset, SourceTargetDataset) else 0
            device = next(runner.model.parameters()).device
            groups = image_groups(runner)
            apart = {group: torch.from_numpy(images) for group, images in groups.items()} if len(groups) > 1 else None
            contrast_memory(runner).expect(num_source, len(unlabeled_images(dataset)), device, apart)

    def before_train(self, runner) -> None:
        """Checks what the labels are for, and restores the state of the clustering of a resumed run."""
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ValueError(
                'PseudoLabelHook makes labels before epochs, which an iteration-based loop does not have; use '
                "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=...)"
            )
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise ValueError(
                'weight averaging needs a model of constant size, but the memory grows and shrinks with the clusters; '
                'take the EMAHook out'
            )
        memory = contrast_memory(runner)
        self._groups = {group: (images, copy.copy(self.clustering)) for group, images in image_groups(runner).items()}
        self._samplers = label_samplers(runner)
        self._compose = testing_pipeline(self.pipeline, runner.cfg, type(self).__name__)
        self._host_group = host_group()
        self._given: np.ndarray | None = None
        if not (runner.iter and runner._resume):
            memory.clear()  # a new run does not continue the memory of the weights that it starts from
        elif memory.labels is None:
            raise ValueError(
                f'the checkpoint has no memory for the {memory.num_target} unlabeled images of this training set; '
                'resume with the data that the run was started with, or use load_from instead of resume'
            )
        else:
            self._give_labels(memory)  # before GraphSamplingHook restores a graph of them
            if known := runner.message_hub.runtime_info.get(STATE):
                self._load_state(known)

    def before_train_epoch(self, runner) -> None:
        """Makes labels, or takes those of an earlier epoch, and gives them to the samplers."""
        memory = contrast_memory(runner)
        if memory.labels is None or runner.epoch % self.interval == 0:
            self._relabel(runner, memory)
        self._give_labels(memory)

    def _give_labels(self, memory: ContrastMemory) -> None:
        """Gives the samplers new labels; the same ones would make a graph of identities anew."""
        labels = memory.labels.numpy()
        if self._given is None or not np.array_equal(labels, self._given):
            for sampler, images in self._samplers:
                sampler.set_labels(labels[images])
            self._given = labels.copy()

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Writes the features of the step, of all ranks, into the memory."""
        memory = contrast_memory(runner)
        pending = memory.take_pending()
        if pending is not None:
            memory.update(*of_all_ranks(pending, self._host_group))

    def _relabel(self, runner, memory: ContrastMemory) -> None:
        start = time.perf_counter()
        sync_norm_stats(unwrap_model(runner.model))
        dataset, known = runner.train_dataloader.dataset, memory.instances()
        feats = self._extract(runner, unlabeled_images(dataset), 'target') if known is None else known
        source = self._source_means(runner, dataset) if memory.num_source and known is None else None
        _check_finite(feats)
        extracted = time.perf_counter()
        found, state = of_first_rank(lambda: self._group(runner, feats))
        self._load_state(state)
        runner.message_hub.update_info(STATE, state)
        done = time.perf_counter()
        self._report(runner, found, extracted - start, done - extracted)
        memory.relabel(torch.from_numpy(self._joined(found)), feats, source)
        broadcast(memory.features)  # sums on a GPU may differ in their last digits

    def _group(self, runner, feats: torch.Tensor) -> tuple[dict[str, np.ndarray], dict[str, dict]]:
        """Returns the clusters of each group of images, and the states of their clusterings."""
        matcher, labels, state = unwrap_model(runner.model).matcher, {}, {}
        for group, (images, clustering) in self._groups.items():
            own = feats[torch.from_numpy(images).to(feats.device)] if len(self._groups) > 1 else feats
            labels[group], state[group] = clustering(own, matcher, runner.epoch), clustering.state()
        return labels, state

    def _load_state(self, state: dict[str, dict]) -> None:
        for group, (_, clustering) in self._groups.items():
            clustering.load_state(state[group])

    def _joined(self, found: dict[str, np.ndarray]) -> np.ndarray:
        """Returns the labels of all images, (T,); those of each group come after those of the one before."""
        joined, first = np.full(sum(map(len, found.values())), ALONE), 0
        for group, labels in found.items():
            labels = separated(labels) if self.outliers == 'own' else labels
            _check_classes(labels, group)
            joined[self._groups[group][0]] = np.where(labels == ALONE, ALONE, first + labels)
            first += int(labels.max()) + 1
        return joined

    def _extract(self, runner, images: np.ndarray, domain: str) -> torch.Tensor:
        loader = runner.train_dataloader
        workers = loader.num_workers if self.num_workers is None else self.num_workers
        model, options = unwrap_model(runner.model), (self._compose, self.batch_size, workers, self.mirror)
        return extract_embeddings(model, loader.dataset, images, domain, *options)

    def _source_means(self, runner, dataset: SourceTargetDataset) -> torch.Tensor:
        images = dataset.images_of('source')
        feats = self._extract(runner, images, 'source')
        return class_means(feats, torch.from_numpy(dataset.gt_labels[images]), dataset.num_classes)

    def _report(self, runner, found: dict[str, np.ndarray], *seconds: float) -> None:
        if not is_main_process():
            return
        texts, scalars, dataset = [], {}, runner.train_dataloader.dataset
        for group, labels in found.items():
            pids = dataset.pids[unlabeled_images(dataset)][self._groups[group][0]] if self.true_labels else None
            text, numbers = _counts(labels, pids)
            texts.append(f'{group} {text}' if len(found) > 1 else text)
            prefix = f'{group}_' if len(found) > 1 else ''
            scalars |= {f'pseudo_labels/{prefix}{name}': value for name, value in numbers.items()}
        runner.logger.info(
            f'pseudo labels of epoch {runner.epoch + 1}: {"; ".join(texts)} ({seconds[0]:.1f} s for features, '
            f'{seconds[1]:.1f} s for clusters)'
        )
        runner.visualizer.add_scalars(scalars, step=runner.epoch + 1)


def _counts(labels: np.ndarray, pids: np.ndarray | None) -> tuple[str, dict[str, float]]:
    """Describes clusters; rates them if there are true identities to compare them with."""
    counts = np.bincount(labels[labels != ALONE])
    clusters, grouped = int((counts > 1).sum()), int(counts[counts > 1].sum())
    text = f'{clusters} clusters of {grouped} images, {len(labels) - grouped} images in none'
    ratings = {} if pids is None else rate_clusters(labels, pids)
    text += ''.join(f', {name} {value:.1f}' for name, value in ratings.items())
    return text, dict(clusters=clusters, outliers=len(labels) - grouped) | ratings


def _check_finite(feats: torch.Tensor) -> None:
    finite = feats.flatten(1).isfinite().all(1)
    if not finite.all():
        raise ValueError(
            f'the features of {int((~finite).sum())} of {len(feats)} images are not finite and cannot be grouped; '
            'resume from an earlier checkpoint with a lower learning rate, or check the weights of load_from'
        )


def _check_classes(labels: np.ndarray, group: str) -> None:
    num_classes = len(np.unique(labels[labels != ALONE]))
    if num_classes < 2:
        raise ValueError(
            f'the clustering found {num_classes or "no"} cluster{"s" if not num_classes else ""} among {len(labels)} '
            f'{"" if group == "target" else f"{group} "}images, so there is nothing to tell apart; '
            + ('lower eps, k1 or min_samples' if num_classes else 'raise eps, or lower min_samples')
            + ' of the clustering, or start from weights that tell people apart (load_from)'
        )
