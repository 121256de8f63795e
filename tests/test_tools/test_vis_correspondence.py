# Copyright (c) mmreid contributors. All rights reserved.
import cv2
import numpy as np
import torch
from test_models.pairwise_rank_work import build, config
from test_tools.tool_runs import last_line
from tiny_config import ROOT
from warm_processes import run_warm

TOOL = 'tools/visualization/vis_correspondence.py'


def test_draws_the_matches_of_two_images(tmp_path):
    pipeline = [
        dict(type='LoadReIDImage'),
        dict(type='Resize', scale=(32, 64)),
        dict(type='PackReIDInputs'),
    ]
    text = f'model = {config()!r}\ntest_dataloader = dict(dataset=dict(pipeline={pipeline!r}))\n'
    (tmp_path / 'config.py').write_text(f"_base_ = '{ROOT}/configs/_base_/default_runtime.py'\n" + text)
    torch.save(dict(state_dict=build().state_dict()), tmp_path / 'model.pth')
    rng = np.random.default_rng(0)
    images = [tmp_path / f'{name}.png' for name in 'ab']
    for image in images:
        cv2.imwrite(str(image), rng.integers(0, 256, (80, 40, 3), np.uint8))
    out = tmp_path / 'out' / 'matches.png'
    arguments = [TOOL, tmp_path / 'config.py', tmp_path / 'model.pth', *images, '--out', out]
    assert last_line(run_warm(*arguments, '--top', '5')).endswith(', 5 matches')
    drawn = cv2.imread(str(out))
    assert drawn.shape[0] > 384 and (drawn != 255).any()

    missing = run_warm(*arguments[:3], images[0], tmp_path / 'c.png', '--out', out, check=False)
    assert missing.returncode and 'c.png' in missing.stdout and 'error: ' in missing.stdout
