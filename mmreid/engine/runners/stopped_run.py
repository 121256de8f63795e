# Copyright (c) mmreid contributors. All rights reserved.
"""Says where a training stopped, and how to continue it."""

import os
import shlex
import sys
from collections.abc import Sequence

from mmengine.runner import Runner

from mmreid.utils.one_line_errors import REPORTS


def describe_stop(runner: Runner | None) -> str:
    """Says in one line what a stopped training has saved and how to continue it; logs it if the runner was built."""
    if runner is None or runner.current_run is None:
        return f'stopped before the training began; start it with: {go_on_command(sys.argv, resume=False)}'
    epoch = min(runner.epoch + 1, runner.max_epochs)
    where = f'stopped in epoch {epoch} of {runner.max_epochs}, after iteration {runner.iter} of {runner.max_iters}'
    newest = runner.newest_checkpoint()
    if newest:
        how = f'the newest checkpoint is {newest}; go on with: {go_on_command(sys.argv, resume=True)}'
    else:
        how = f'nothing was saved yet; start again with: {go_on_command(sys.argv, resume=False)}'
    runner.logger.info(f'{where}; {how}', extra=dict(bulky=True))
    return f'{where}; {how}'


def go_on_command(words: Sequence[str], resume: bool) -> str:
    """Returns the command line that started a training (``sys.argv``), with or without ``--resume``."""
    tool, *words = words
    if resume:
        words = [*_without('--resume', words), '--resume']
    words = _without('--local_rank', _without('--local-rank', words))
    if '--launcher' not in words:
        return shlex.join(['python', tool, *words])
    if not os.environ.get(REPORTS):
        return f'the same command{" and --resume" if resume else ""}'
    config, *rest = _without('--launcher', words)
    script = os.path.join(os.path.dirname(tool), 'dist_train.sh')
    return shlex.join(['bash', script, config, os.environ['LOCAL_WORLD_SIZE'], *rest])


def _without(flag: str, words: Sequence[str]) -> list[str]:
    """Removes a flag and its value, if it has one."""
    kept: list[str] = []
    for before, word in zip(['', *words], words, strict=False):
        is_value = before == flag and not word.startswith('-')
        if word != flag and not word.startswith(f'{flag}=') and not is_value:
            kept.append(word)
    return kept
