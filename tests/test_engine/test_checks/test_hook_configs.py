# Copyright (c) mmreid contributors. All rights reserved.
"""Typos in the hooks of a config are reported when the runner is built, not at the first save."""

import pytest
from mmengine.hooks import IterTimerHook

from mmreid.engine.checks.hook_configs import check_custom_hooks, check_default_hooks

TIMER = dict(type='IterTimerHook')


@pytest.mark.parametrize(
    ('hooks', 'message'),
    [
        (dict(chekpoint=TIMER), 'default_hooks.chekpoint .*default_hooks.checkpoint'),
        (dict(loger=None), 'default_hooks.loger .*default_hooks.logger'),
        (dict(own=None), 'default_hooks.own=None '),
        (dict(checkpoint=dict(interval=2)), "default_hooks.checkpoint={'interval': 2} "),
        (dict(timer='IterTimerHook'), "default_hooks.timer='IterTimerHook' "),
        (dict(checkpoint=dict(TIMER, rule='greatr')), "checkpoint.rule='greatr' .*'greater', 'less'"),
        (dict(checkpoint=dict(TIMER, rule=['less', 7])), 'checkpoint.rule=.*7'),
        (dict(checkpoint=dict(TIMER, rule=dict(mAP='less'))), 'checkpoint.rule={'),
        (dict(checkpoint=dict(TIMER, save_best='a', rule=['less', 'less'])), "2 .* 1 .*save_best='a'"),
    ],
)
def test_default_hooks(hooks, message):
    with pytest.raises(ValueError, match=message):
        check_default_hooks(hooks)


def test_what_is_right_passes():
    check_default_hooks(dict(timer=None, checkpoint=TIMER, visualization=TIMER, logger=IterTimerHook()))
    for rule in (None, 'less', ['greater'], ['greater', 'less']):
        check_default_hooks(dict(checkpoint=dict(TIMER, save_best=['a', 'b'], rule=rule)))
    check_custom_hooks(None)
    check_custom_hooks([TIMER, IterTimerHook()])


@pytest.mark.parametrize('hooks', ['EMAHook', ['EMAHook'], [dict(interval=1)], TIMER])
def test_custom_hooks(hooks):
    with pytest.raises(ValueError, match='custom_hooks.*dict.type='):
        check_custom_hooks(hooks)
