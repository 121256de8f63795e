# Copyright (c) mmreid contributors. All rights reserved.
"""Shows the embeddings of a validation or a test in the visualization backends."""

import io

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmreid.evaluation.metrics import FeatureMetric
from mmreid.registry import HOOKS


@HOOKS.register_module()
class EmbeddingHook(Hook):
    """Gives the embeddings of some people to each backend of the visualizer, after a validation or a test.

    ``LocalVisBackend`` writes them into a file, ``TensorboardVisBackend`` shows them in its projector,
    ``WandbVisBackend`` as a table. All of them, and other backends, get an image of their places by t-SNE, in the
    colors of identity, camera, modality and domain, where these differ.

    Args:
        num_images (int): Most images of each test set, all those of random people. Defaults to 500.
        interval (int): Draw every n-th validation. Defaults to 1.
        tsne (bool): Draw the places by t-SNE, for which scikit-learn is needed. Defaults to True.
        images (bool): Give small images to TensorBoard. Defaults to True.
        seed (int): Seed of the choice of people, so that it stays the same, and of t-SNE. Defaults to 0.

    Raises:
        ValueError: If a number is too small.
    """

    priority = 'LOW'

    def __init__(
        self, num_images: int = 500, interval: int = 1, tsne: bool = True, images: bool = True, seed: int = 0
    ) -> None:
        if num_images < 5 or interval < 1:
            raise ValueError(
                f'num_images={num_images} of EmbeddingHook must be at least 5, and interval={interval} at least 1'
            )
        self.num_images = num_images
        self.interval = interval
        self.tsne = tsne
        self.images = images
        self.seed = seed
        self._count = 0

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Shows the embeddings of every n-th validation."""
        self._count += 1
        if self._count % self.interval == 0:
            self._show(runner, runner.val_loop)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Shows the embeddings of the test."""
        self._show(runner, runner.test_loop)

    def _show(self, runner: Runner, loop) -> None:
        if not is_main_process():
            return
        # Here, because matplotlib loads slowly.
        from mmreid.visualization.embedding_backends import send_embeddings
        from mmreid.visualization.embeddings import choose_embeddings, project

        found = [metric for _, evaluator in loop.pairs for metric in evaluator.metrics]
        for metric in (metric for metric in found if isinstance(metric, FeatureMetric)):
            embeddings = choose_embeddings([(metric.name, *metric.test_set)], self.num_images, self.seed)
            for backend in runner.visualizer._vis_backends.values():
                send_embeddings(backend, metric.name, embeddings, runner.epoch, self.images)
            if self.tsne and len(embeddings) >= 5:
                places = project(embeddings.feature, self.seed)
                labels = {name: embeddings.labels[name] for name in embeddings.varied}
                image = _as_image(places, labels, metric.name)
                runner.visualizer.add_image(f'embeddings/{metric.name}', image, step=runner.epoch)


def _as_image(places: np.ndarray, labels: dict[str, list[str]], title: str) -> np.ndarray:
    """Draws the places; (H, W, 3), RGB, uint8."""
    from mmreid.visualization.embeddings import draw_embeddings

    file = io.BytesIO()
    draw_embeddings(file, places, labels, title)
    return cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
