# Copyright (c) mmreid contributors. All rights reserved.
import sys

import numpy as np
from mmengine.config import Config
from test_tools.tool_runs import run

from mmreid.registry import VISUALIZERS
from mmreid.visualization import ReIDVisualizer

CONFIG = 'configs/_base_/default_runtime.py'


def main():
    cfg = Config.fromfile(CONFIG).visualizer
    visualizer = VISUALIZERS.build(dict(cfg, name='new', save_dir=sys.argv[1]))
    assert isinstance(visualizer, ReIDVisualizer)
    visualizer.add_scalar('loss', 0.5)
    visualizer.add_image('image', np.zeros((4, 4, 3), np.uint8))
    assert 'matplotlib' not in sys.modules
    visualizer.set_image(np.full((20, 30, 3), 255, np.uint8))
    assert visualizer.get_image().shape == (20, 30, 3) and (visualizer.get_image() == 255).all()
    visualizer.draw_bboxes(np.array([5, 5, 15, 15]), edge_colors='black')
    assert (visualizer.get_image() < 255).any() and 'matplotlib' in sys.modules
    print('drawn')


def test_matplotlib_is_loaded_with_the_first_image(tmp_path):
    assert 'drawn' in run(__file__, str(tmp_path)).stdout


if __name__ == '__main__':
    main()
