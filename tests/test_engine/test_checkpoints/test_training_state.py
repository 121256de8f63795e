# Copyright (c) mmreid contributors. All rights reserved.
"""The training state in a checkpoint is untrusted: it is accepted, or refused in one sentence that names the fault."""

import copy
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import LinearLR, MultiStepLR, OptimWrapper, OptimWrapperDict, ReduceOnPlateauLR

from mmreid.datasets.samplers.qaconv_reference_sampler import QAConvReferenceSampler
from mmreid.engine.checkpoints.training_state import plain_training_state
from mmreid.engine.hooks.adaptive_schedule_hook import _checked
from mmreid.engine.hooks.graph_sampling_hook import _is_graph
from mmreid.utils.checkpoint import CheckpointError


def make_run(steps=0, several=False):
    """The parts of a runner that are compared with a checkpoint, after some steps."""
    net = torch.nn.Linear(3, 2)
    wrapper = OptimWrapper(torch.optim.Adam(net.parameters(), lr=0.1))
    schedules = [LinearLR(wrapper, start_factor=0.1, end=5), MultiStepLR(wrapper, milestones=[3])]
    schedules.append(ReduceOnPlateauLR(wrapper))
    for _ in range(steps):
        wrapper.update_params(net(torch.ones(1, 3)).sum())
        for schedule in schedules[:2]:
            schedule.step()
    if several:
        return SimpleNamespace(model=net, optim_wrapper=OptimWrapperDict(a=wrapper), param_schedulers=dict(a=schedules))
    return SimpleNamespace(model=net, optim_wrapper=wrapper, param_schedulers=schedules)


AVERAGED = dict(steps=torch.tensor(2))


def make_state(several=False):
    run = make_run(2, several)
    schedules = run.param_schedulers
    states = {
        key: [part.state_dict() for part in parts] for key, parts in (schedules if several else {'': schedules}).items()
    }
    return dict(
        meta=dict(epoch=2, iter=4, seed=0, config='raise SystemExit', cfg='raise SystemExit'),
        state_dict=run.model.state_dict(),
        message_hub=dict(
            log_scalars={'train/loss': HistoryBuffer([1.0, 0.5], [1, 1])},
            runtime_info=dict(epoch=1, iter=3, max_epochs=9, max_iters=18, loop_stage='train', keep_ckpt_ids=[1]),
            resumed_keys={'train/loss': True},
        ),
        optimizer=run.optim_wrapper.state_dict(),
        ema_state_dict={f'module.{key}': value for key, value in run.model.state_dict().items()} | AVERAGED,
        param_schedulers=states if several else states[''],
    )


@pytest.mark.parametrize('several', [False, True])
def test_the_state_of_a_run_is_taken_over(several):
    state = make_state(several)
    taken = plain_training_state(copy.deepcopy(state), make_run(several=several), 'x.pth')
    assert 'config' not in taken['meta'] and taken['meta']['cfg'] == 'raise SystemExit'
    assert taken['optimizer']['a' if several else 'state'] and taken['param_schedulers'] == state['param_schedulers']
    history = taken['message_hub']['log_scalars']['train/loss']
    assert [part.tolist() for part in history.data] == [[1, 0.5], [1, 1]] and history.mean() == 0.75
    assert taken['message_hub']['runtime_info'] == state['message_hub']['runtime_info']


def test_an_optimizer_that_is_not_built_yet_is_not_compared():
    run = make_run()
    run.optim_wrapper, run.param_schedulers = dict(type='OptimWrapper'), None
    plain_training_state(make_state(), run, 'x.pth')


def history(**changes):
    buffer = HistoryBuffer([1.0, 0.5], [1, 1])
    vars(buffer).update(changes)
    return buffer


NAN, HUGE = float('nan'), 2**80
BAD = {
    'epoch missing': ('meta', 'epoch', None),
    'epoch a text': ('meta', 'epoch', '../../x'),
    'epoch negative': ('meta', 'epoch', -1),
    'epoch NaN': ('meta', 'epoch', NAN),
    'epoch huge': ('meta', 'epoch', HUGE),
    'epoch True': ('meta', 'epoch', True),
    'iter a tensor': ('meta', 'iter', torch.ones(3)),
    'iter a float': ('meta', 'iter', 4.0),
    'epoch huge by count': ('meta', {'epoch': 999999999, 'iter': 999999999}),
    'more epochs than iterations': ('meta', 'epoch', 5),
    'seed a list': ('meta', 'seed', [1]),
    'seed huge': ('meta', 'seed', 2**33),
    'meta a list': ('meta', [1]),
    'hub missing': ('message_hub', None),
    'hub without a part': ('message_hub', {'log_scalars': {}}),
    'scalars a list': ('message_hub', 'log_scalars', [1]),
    'scalar a number': ('message_hub', 'log_scalars', 'train/loss', 1.0),
    'scalar of texts': ('message_hub', 'log_scalars', 'train/loss', history(_log_history=np.array(['a', 'b']))),
    'scalar a list': ('message_hub', 'log_scalars', 'train/loss', history(_log_history=[1.0, 2.0])),
    'scalar of two lengths': ('message_hub', 'log_scalars', 'train/loss', history(_count_history=np.array([1]))),
    'scalar of two dimensions': ('message_hub', 'log_scalars', 'train/loss', history(_log_history=np.ones((2, 2)))),
    'scalar too long': ('message_hub', 'log_scalars', 'train/loss', history(max_length=1)),
    'scalar of any length': ('message_hub', 'log_scalars', 'train/loss', history(max_length='x')),
    'name a number': ('message_hub', 'log_scalars', 7, history()),
    'info a text': ('message_hub', 'runtime_info', 'x'),
    'info epoch a list': ('message_hub', 'runtime_info', 'epoch', [1]),
    'info stage a number': ('message_hub', 'runtime_info', 'loop_stage', 1),
    'keys a number': ('message_hub', 'resumed_keys', 'train/loss', 7),
    'optimizer a list': ('optimizer', [1]),
    'groups missing': ('optimizer', 'param_groups', None),
    'groups too many': ('optimizer', 'param_groups', [{}, {}]),
    'group a text': ('optimizer', 'param_groups', ['x']),
    'group without params': ('optimizer', 'param_groups', 0, 'params', []),
    'params a number': ('optimizer', 'param_groups', 0, 'params', 7),
    'lr a text': ('optimizer', 'param_groups', 0, 'lr', '0.1'),
    'lr NaN': ('optimizer', 'param_groups', 0, 'lr', NAN),
    'lr huge': ('optimizer', 'param_groups', 0, 'lr', HUGE),
    'betas of texts': ('optimizer', 'param_groups', 0, 'betas', ['a', 'b']),
    'betas a number': ('optimizer', 'param_groups', 0, 'betas', 0.9),
    'amsgrad a number': ('optimizer', 'param_groups', 0, 'amsgrad', 7),
    'state a list': ('optimizer', 'state', [1]),
    'state of a parameter a text': ('optimizer', 'state', 0, 'x'),
    'moment a text': ('optimizer', 'state', 0, 'exp_avg', 'x'),
    'moment of another shape': ('optimizer', 'state', 0, 'exp_avg', torch.ones(7)),
    'moment of whole numbers': ('optimizer', 'state', 0, 'exp_avg', torch.ones(2, 3, dtype=torch.int64)),
    'moment None': ('optimizer', 'state', 0, 'exp_avg', None),
    'moment a number': ('optimizer', 'state', 0, 'exp_avg_sq', 1.0),
    'state of a foreign parameter': ('optimizer', 'state', 99, {'exp_avg': torch.ones(2, 3)}),
    'step of many': ('optimizer', 'state', 0, 'step', torch.ones(3)),
    'step NaN': ('optimizer', 'state', 0, 'step', torch.tensor(NAN)),
    'step a dict': ('optimizer', 'state', 0, 'step', {}),
    'lr None': ('optimizer', 'param_groups', 0, 'lr', None),
    'eps None': ('optimizer', 'param_groups', 0, 'eps', None),
    'schedules None': ('param_schedulers', None),
    'schedules a dict': ('param_schedulers', {0: {}}),
    'schedule a text': ('param_schedulers', 0, 'x'),
    'a method replaced': ('param_schedulers', 0, 'step', 7),
    'another method replaced': ('param_schedulers', 0, '_get_value', 7),
    'the optimizer replaced': ('param_schedulers', 0, 'optimizer', 7),
    'the name of no setting': ('param_schedulers', 0, 'param_name', '../../x'),
    'last step a text': ('param_schedulers', 0, 'last_step', 'x'),
    'last step huge': ('param_schedulers', 0, 'last_step', HUGE),
    'step of the run huge': ('param_schedulers', 0, '_global_step', 2**39),
    'more steps than iterations': ('param_schedulers', 1, 'last_step', 4000),
    'a fraction of a step': ('param_schedulers', 0, 'last_step', 1.5),
    'step below the first': ('param_schedulers', 0, '_global_step', -2),
    'base values of texts': ('param_schedulers', 0, 'base_values', ['x']),
    'average a list': ('ema_state_dict', [1]),
    'average None': ('ema_state_dict', None),
    'average of nothing': ('ema_state_dict', {}),
    'average of another shape': ('ema_state_dict', 'module.weight', torch.ones(7)),
    'average a number': ('ema_state_dict', 'module.bias', 1.0),
    'count of averages a text': ('ema_state_dict', 'steps', 'x'),
    'count of averages NaN': ('ema_state_dict', 'steps', torch.tensor(NAN)),
    'count of averages a fraction': ('ema_state_dict', 'steps', torch.tensor(2.0)),
    'counts of averages': ('ema_state_dict', 'steps', torch.zeros(5)),
    'whole counts of averages': ('ema_state_dict', 'steps', torch.zeros(1, dtype=torch.int64)),
    'count of averages negative': ('ema_state_dict', 'steps', torch.tensor(-1)),
    'average of a weight of another model': ('ema_state_dict', 'module.other', torch.ones(1)),
    'average without a name': ('ema_state_dict', 7, torch.ones(1)),
    'weights missing beside the average': ('state_dict', {}),
    'milestones a list': ('param_schedulers', 1, 'milestones', [3]),
    'best a text': ('param_schedulers', 2, 'best', 'x'),
}


@pytest.mark.parametrize('change', BAD.values(), ids=BAD)
def test_wrong_kinds_are_refused(change):
    *parents, last, value = change
    state = entry = make_state()
    for key in parents:
        entry = entry[key]
    entry[last] = value
    with pytest.raises(CheckpointError, match=r'^x\.pth ') as error:
        plain_training_state(state, make_run(), 'x.pth')
    assert '\n' not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(('steps', 'fits'), [(2 * 10**6, True), (2 * 10**6 + 2000, False), (2**39, False)])
def test_steps_by_iteration_may_be_more_than_the_run_has_now(steps, fits):
    """Epochs may have been longer."""
    run = make_run()
    run.param_schedulers = [LinearLR(run.optim_wrapper, by_epoch=False)]
    state = make_state()
    state['param_schedulers'] = [dict(run.param_schedulers[0].state_dict(), _global_step=steps)]
    with nullcontext() if fits else pytest.raises(CheckpointError, match=f'_global_step is {steps}.* 2 epochs'):
        plain_training_state(state, run, 'x.pth')


@pytest.mark.parametrize(
    'change',
    [('optimizer', {'b': {}}), ('optimizer', {'a': []}), ('param_schedulers', []), ('param_schedulers', {'a': 1})],
)
def test_several_optimizers_are_compared_by_name(change):
    state = make_state(several=True) | dict([change])
    with pytest.raises(CheckpointError, match=r'^x\.pth '):
        plain_training_state(state, make_run(several=True), 'x.pth')


def test_functions_of_a_history_stay_behind():
    """A function in a file is never called."""
    state = make_state()
    state['message_hub']['log_scalars']['train/loss'] = history(_statistics_methods=dict(mean='os.system'))
    taken = plain_training_state(state, make_run(), 'x.pth')
    assert taken['message_hub']['log_scalars']['train/loss'].statistics('mean') == 0.75


@pytest.mark.parametrize(
    'known',
    [None, 7, 'x', [[1]], {}, torch.zeros(3), torch.zeros(3, 2), torch.zeros(2, 2, dtype=torch.int32),
     torch.full((3, 2), 3, dtype=torch.int32), torch.full((3, 2), -1, dtype=torch.int32)],
    ids=str,
)  # fmt: skip
def test_graphs_of_other_classes_are_not_taken(known):
    assert not _is_graph(known, 3)
    assert _is_graph(torch.full((3, 2), 2, dtype=torch.int32), 3)


@pytest.mark.parametrize(
    'known', [7, 'x', [1], dict(reference='x'), dict(last_epoch=1.5), dict(reference=[1.0])], ids=str
)
def test_the_state_of_the_adaptive_schedule_is_checked(known):
    with pytest.raises(ValueError, match='checkpoint .*AdaptiveScheduleHook'):
        _checked(known)
    assert _checked(dict(reference=1.5, last_epoch=None)) == dict(reference=1.5, last_epoch=None)


def stream():
    dataset = SimpleNamespace(gt_labels=np.repeat(np.arange(4), 3))
    sampler = SimpleNamespace(dataset=dataset, seed=0, epoch=0, set_epoch=None)
    return QAConvReferenceSampler(sampler, batch_size=4, num_instances=2)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('images', None),
        ('images', [[0, 1, 2]]),
        ('images', [[0, 0, 0], [3, 4, 5], [6, 7, 8], [9, 10, 11]]),
        ('pointers', [0, 0]),
        ('pointers', [-1, 0, 0, 0]),
        ('pointers', [3, 0, 0, 0]),
        ('pointers', [2**80, 0, 0, 0]),
        ('python', None),
        ('python', [3, [1, 2], None]),
        ('python', ['x', 'y', 'z']),
        ('numpy', [[1] * 624, 10**9]),
        ('numpy', [[1] * 3, 0]),
        ('numpy', [[-1] * 624, 0]),
        ('numpy', 'x'),
    ],
)
def test_the_state_of_a_stream_is_checked(key, value):
    good = stream().state()
    stream().load_state(good)
    with pytest.raises(ValueError, match='QAConvReferenceSampler'):
        stream().load_state(good | {key: value})
