# Copyright (c) mmreid contributors. All rights reserved.
"""The console shows what people read, the log file everything."""

import logging
import warnings

import pytest
from test_tools.tool_runs import write_config
from tiny_data import write_market
from warm_processes import run_warm

from mmreid.engine.runners.console import quiet_warnings, set_console

BULKY = (
    'System environment:',
    'Config:',
    'Hooks will be executed',
    'after_train_iter:',
    'Exp name:',
    'SyncBatchNorm',
    '"FileClient"',
    'HardDisk',
)


@pytest.fixture(scope='module')
def shown_and_logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp('console')
    changes = dict(train_cfg=dict(max_epochs=2, val_interval=2), default_hooks=dict(logger=dict(interval=6)))
    changes['param_scheduler'] = [dict(type='ConstantLR', factor=1.0)]  # no schedule that ends after 2 epochs
    # A data set with another name need not have the image counts of Market-1501.
    changes |= {f'{part}_dataloader': dict(dataset=dict(name='tiny')) for part in ('train', 'val', 'test')}
    config = write_config(folder / 'cfg.py', write_market(folder / 'data'), folder / 'run', **changes)
    shown = run_warm('tools/train.py', config, '--resume').stdout
    (log,) = (folder / 'run').glob('*/*.log')
    return shown, log


def test_a_first_training_fits_on_a_screen(shown_and_logged):
    shown, log = shown_and_logged
    assert not [text for text in BULKY if text in shown]
    assert shown.count('\n') <= 40 and 'WARNING' not in shown, shown
    assert 'nothing to resume' in shown and str(log) in shown
    assert shown.count('Epoch(train)') == 2 and '| tiny     |' in shown


def test_the_log_file_has_everything(shown_and_logged):
    shown, log = shown_and_logged
    kept = log.read_text()
    assert [text for text in BULKY if text not in kept] == []
    for line in shown.splitlines():
        assert line.partition(' - INFO - ')[2] in kept


RECORDS = [
    (logging.INFO, 'a line', {}),
    (logging.WARNING, 'Config:\n is what a warning may begin with', {}),
    (logging.INFO, 'Hooks will be executed in the following order:\n', {}),
    (logging.INFO, 'a table', dict(bulky=True)),
    (logging.WARNING, '"FileClient" will be deprecated in future.', {}),
    (logging.WARNING, 'neck.bn.bias is skipped since its requires_grad=False', {}),
]


@pytest.mark.parametrize(
    ('modes', 'count'), [(['quiet'], 2), (['full'], 6), (['full', 'quiet'], 2), (['quiet', 'full'], 6)]
)
def test_modes(modes, count, capsys):
    logger = logging.Logger('test')
    logger.addHandler(logging.StreamHandler())
    for mode in modes:
        set_console(logger, mode)
    for level, text, extra in RECORDS:
        logger.log(level, text, extra=extra)
    assert capsys.readouterr().err.splitlines() == '\n'.join(text for _, text, _ in RECORDS[:count]).splitlines()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="console='silent'"):
        set_console(logging.Logger('test'), 'silent')


def test_torch_says_nothing_of_the_number_of_workers():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        quiet_warnings()
        warnings.warn('This DataLoader will create 4 worker processes in total.', UserWarning, stacklevel=1)
        warnings.warn('anything else', UserWarning, stacklevel=1)
    assert [str(each.message) for each in caught] == ['anything else']
