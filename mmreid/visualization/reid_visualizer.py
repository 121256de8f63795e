# Copyright (c) mmreid contributors. All rights reserved.
"""The visualizer of all configs."""

import math

import numpy as np
from mmengine.dist import master_only
from mmpretrain.visualization import UniversalVisualizer

from mmreid.registry import VISUALIZERS


class _NoFigure:
    """Answers what MMEngine's visualizer asks a figure when it is built."""

    def get_dpi(self) -> float:
        return math.nan


@VISUALIZERS.register_module()
class ReIDVisualizer(UniversalVisualizer):
    """MMPretrain's visualizer, which loads Matplotlib with its first image; most trainings never draw one.

    Args:
        **kwargs: See :class:`mmengine.visualization.Visualizer`.
    """

    def _initialize_fig(self, fig_cfg: dict) -> tuple:
        return None, _NoFigure(), None

    @master_only
    def set_image(self, image: np.ndarray) -> None:
        """Sets the image to draw on.

        Args:
            image (np.ndarray): Shape (H, W, 3) or (H, W).
        """
        if self.ax_save is None:
            self.fig_save_canvas, self.fig_save, self.ax_save = super()._initialize_fig(self.fig_save_cfg)
            self.dpi = self.fig_save.get_dpi()
        super().set_image(image)
