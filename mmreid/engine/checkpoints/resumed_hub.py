# Copyright (c) mmreid contributors. All rights reserved.
"""What a resumed checkpoint, which may come from anywhere, may decide about other files: nothing."""

import os.path as osp
import sys
from typing import Any

from mmengine.runner import Runner

from .run_files import run_of


def clean_message_hub(runner: Runner, resumed: str, folder: str, filename_tmpl: str) -> None:
    """Removes from the message hub whatever would make the run delete files that are not its own.

    Args:
        runner (Runner): A runner that has loaded its checkpoint.
        resumed (str): The checkpoint that the run resumes; empty for a new run.
        folder (str): Folder of the run's checkpoints.
        filename_tmpl (str): Name of checkpoints, with ``{}`` or ``{:03d}`` for the number.
    """
    info = runner.message_hub.runtime_info
    if info.get('keep_ckpt_ids') is not None:
        info['keep_ckpt_ids'] = _own_steps(info['keep_ckpt_ids'], resumed, folder, filename_tmpl)
    for key in [key for key in info if key.startswith('best_score')]:
        score = info[key]
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not abs(score) <= sys.float_info.max:
            runner.logger.warning(f'{key}={str(score)[:40]} of {resumed} is not a finite number and is forgotten')
            del info[key]


def _own_steps(steps: Any, resumed: str, folder: str, filename_tmpl: str) -> list[int]:
    """Keeps the numbers of those checkpoints that are in the folder and were saved by the resumed run."""
    steps = steps if isinstance(steps, (list, tuple)) and all(type(step) is int for step in steps) else []
    if not resumed:
        return list(steps)
    if osp.realpath(osp.dirname(resumed)) != osp.realpath(folder):
        return []
    run_id = run_of(resumed)
    files = {step: osp.join(folder, filename_tmpl.format(step)) for step in steps}
    return [step for step, file in files.items() if osp.isfile(file) and run_of(file) == run_id]
