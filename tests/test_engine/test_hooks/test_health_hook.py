# Copyright (c) mmreid contributors. All rights reserved.
from types import SimpleNamespace

import pytest
import torch
from tiny_data import write_image, write_market
from torch import nn
from torch.utils.data import ConcatDataset

from mmreid.datasets import Market1501
from mmreid.datasets.contract import ReIDData, inner_datasets
from mmreid.datasets.corrupt_images import CorruptImages
from mmreid.engine import ReIDHealthHook
from mmreid.engine.contracts import MultiTestSetLoop


def loop_over(dataset) -> MultiTestSetLoop:
    """An evaluation loop with one test set."""
    loop = MultiTestSetLoop()
    loop.pairs = [(SimpleNamespace(dataset=dataset), None)]
    return loop


class Images(CorruptImages, ReIDData):
    """What a data set has found in its images."""

    num_corrupt, corrupt_files, damaged_files = 0, [], []

    def __init__(self, **found):
        vars(self).update(found)


SAVE_EVERY_STEP = dict(type='SafeCheckpointHook', interval=1, by_epoch=False, save_last=False)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_stops_on_a_bad_loss_before_it_is_saved(make_runner, work_dir, value):
    script = [dict(loss_triplet=0.5), dict(loss_triplet=value, pos_dist=0.1)]
    runner = make_runner(
        script=script, checkpoint=SAVE_EVERY_STEP, custom_hooks=[dict(type='ReIDHealthHook')], epochs=1
    )
    with pytest.raises(RuntimeError, match='epoch 1, iteration 2') as error:
        runner.train()
    message = str(error.value)
    assert f'loss={value:g}, loss_triplet={value:g}' in message
    assert 'loss_toy=' in message.split('finite terms:')[1] and 'lr=0.01' in message
    saved = torch.load(f'{work_dir}/iter_1.pth', weights_only=True)
    assert all(tensor.isfinite().all() for tensor in saved['state_dict'].values())
    with pytest.raises(FileNotFoundError):
        open(f'{work_dir}/iter_2.pth')


def test_weights_that_are_not_finite_are_not_saved(make_runner, work_dir):
    runner = make_runner(checkpoint=SAVE_EVERY_STEP, custom_hooks=[dict(type='ReIDHealthHook')], epochs=1)
    runner.model.layer.weight.register_hook(lambda grad: grad * float('inf'))  # the loss of this step is still finite
    with pytest.raises(RuntimeError, match='1 of 2 weights .*iteration 1, .*layer.weight'):
        runner.train()
    with pytest.raises(FileNotFoundError):
        open(f'{work_dir}/iter_1.pth')


def test_without_the_hook_bad_weights_are_saved(make_runner, work_dir):
    """What the hook prevents does happen; otherwise the test above could not fail."""
    make_runner(script=[{}, dict(loss_triplet=float('nan'))], checkpoint=SAVE_EVERY_STEP, epochs=1).train()
    saved = torch.load(f'{work_dir}/iter_2.pth', weights_only=True)
    assert saved['state_dict']['layer.weight'].isnan().all()


def test_only_losses_stop(make_runner, read_log):
    """A NaN distance (no negative pair in the batch) is no reason to stop, and an entry without 'loss' is no loss."""
    script = [dict(pos_dist=float('nan'), active_triplets=0.25, emb_dist=float('nan'))] * 4
    hooks = dict(logger=dict(type='LoggerHook', interval=1))
    runner = make_runner(script=script, custom_hooks=[dict(type='ReIDHealthHook')], default_hooks=hooks)
    runner.train()
    assert runner.iter == 4
    assert 'active_triplets: 0.2500' in read_log()
    logged = runner.message_hub.get_scalar
    assert logged('train/loss').current() == logged('train/loss_toy').current()


def test_interval_skips_checks(make_runner):
    runner = make_runner(
        script=[dict(loss_bad=float('nan'))], custom_hooks=[dict(type='ReIDHealthHook', interval=4)], epochs=1
    )
    runner.train()


def test_bad_gradient_does_not_stop():
    """Under AMP the loss scaler meets infinite gradients and handles them."""
    runner = fake_runner()
    runner.message_hub.log_scalars['train/grad_norm'] = SimpleNamespace(current=lambda: float('inf'))
    ReIDHealthHook().after_train_iter(runner, 0, outputs=dict(loss=torch.tensor(1.0), grad_norm=float('inf')))


def test_message_names_the_batch():
    batch = dict(data_samples=[SimpleNamespace(pid=pid) for pid in (7, 7, 2, 2)])
    runner = fake_runner()
    runner.message_hub.log_scalars['train/grad_norm'] = SimpleNamespace(current=lambda: 12.5)
    with pytest.raises(RuntimeError, match=r'grad_norm=12.5, 4 images .* 2, 7\)'):
        ReIDHealthHook().after_train_iter(runner, 0, batch, dict(loss=float('nan')))


def test_collapse_warns_once_per_episode():
    warnings: list[str] = []
    runner = fake_runner(warnings)
    hook = ReIDHealthHook(collapse_threshold=0.01, collapse_patience=3)

    def steps(*distances: float) -> int:
        for distance in distances:
            hook.after_train_iter(runner, 0, outputs=dict(loss=1.0, emb_dist=torch.tensor(distance)))
        return len(warnings)

    assert steps(1.2, 0.001, 0.001, 0.5, 0.001, 0.001) == 0, 'never three in a row'
    assert steps(3e-4) == 1, 'the third in a row'
    assert '0.0003' in warnings[0] and 'lr=0.00035' in warnings[0] and 'warm-up' in warnings[0]
    assert steps(*[0.001] * 20) == 1, 'once per episode'
    assert steps(0.5, 0.001, 0.001) == 1
    assert steps(0.001) == 2, 'armed again after a recovery'


def test_reports_unreadable_images_of_wrapped_datasets():
    warnings: list[str] = []
    runner = fake_runner(warnings)
    broken = Images(num_corrupt=6, corrupt_files=[f'{i}.jpg' for i in range(6)])
    clean = Images()
    wrapped = SimpleNamespace(dataset=SimpleNamespace(datasets=[clean, SimpleNamespace(dataset=broken), object()]))
    runner.train_dataloader = SimpleNamespace(dataset=wrapped)
    hook = ReIDHealthHook()
    hook.after_train_epoch(runner)
    hook.after_train_epoch(runner)
    assert len(warnings) == 1, 'an unchanged count is not repeated'
    assert warnings[0].startswith('6 unreadable images') and '0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, ...' in warnings[0]
    assert '5.jpg' not in warnings[0]
    broken.num_corrupt = 7
    hook.after_train_epoch(runner)
    assert len(warnings) == 2 and warnings[1].startswith('7 ')


def test_reports_damaged_images_once():
    warnings: list[str] = []
    runner = fake_runner(warnings)
    data = Images(damaged_files=[f'{i}.jpg' for i in range(6)])
    runner.train_dataloader = SimpleNamespace(dataset=data)
    runner.val_loop = runner.test_loop = loop_over(data)
    hook = ReIDHealthHook()
    hook.after_train_epoch(runner)
    hook.after_train_epoch(runner)
    hook.after_val_epoch(runner)
    assert (
        len(warnings) == 1
        and warnings[0].startswith('6 images are damaged: 0.jpg, 1.jpg')
        and '5.jpg' not in warnings[0]
    )
    data.damaged_files.append('7.jpg')
    hook.after_test_epoch(runner)
    assert len(warnings) == 2 and warnings[1].startswith('1 images are damaged: 7.jpg.')


def test_finds_counts_in_torch_concat():
    class Counting(CorruptImages, list, ReIDData):
        pass

    assert len(list(inner_datasets(ConcatDataset([Counting([0]), Counting([1]), [2]])))) == 2


def test_says_when_training_data_is_validated_on(tmp_path):
    root = str(write_market(tmp_path))
    warnings: list[str] = []
    runner = fake_runner(warnings)
    runner.train_dataloader = SimpleNamespace(dataset=Market1501(root), batch_sampler=None)
    runner.model = nn.Identity()
    honest = Market1501(root, split='test')
    leaking = Market1501(root, split='val', val_from_train=dict(ratio=0.3))
    runner.val_loop = loop_over(honest)
    ReIDHealthHook().before_train(runner)
    assert warnings == []
    runner.val_loop.pairs.append((SimpleNamespace(dataset=leaking), None))
    ReIDHealthHook().before_train(runner)
    assert len(warnings) == 1 and "'market1501' (val) shares 2 identities" in warnings[0]
    assert 'use the same val_from_train in both' in warnings[0]


def test_says_when_test_people_are_trained_on_without_validation(tmp_path):
    root = str(write_market(tmp_path))
    write_image(tmp_path / 'bounding_box_train/0101_c1s1_000777_00.jpg')
    said: list[str] = []
    runner = fake_runner(said)
    runner.logger.info = said.append
    runner.val_loop, runner.model = None, nn.Identity()
    runner.train_dataloader = SimpleNamespace(dataset=Market1501(root), batch_sampler=None)
    data = dict(type='Market1501', data_root=root, split='test', pipeline=[dict(type='NoSuchStep')])
    runner.cfg = dict(test_dataloader=dict(dataset=data))
    ReIDHealthHook().before_train(runner)
    assert len(said) == 1 and "'market1501' (test) shares 1 identities (101)" in said[0]
    runner.cfg = dict(test_dataloader=[dict(dataset=dict(data, data_root=str(tmp_path / 'none')))])
    ReIDHealthHook().before_train(runner)
    assert len(said) == 2 and 'test data could not be read' in said[1] and str(tmp_path / 'none') in said[1]
    runner.cfg = {}
    ReIDHealthHook().before_train(runner)
    assert len(said) == 2


@pytest.mark.parametrize('name', ['interval', 'collapse_patience'])
def test_refuses_zero(name):
    with pytest.raises(ValueError, match=f'{name}=0 '):
        ReIDHealthHook(**{name: 0})


def fake_runner(warnings: list[str] | None = None) -> SimpleNamespace:
    """Makes the part of a Runner that the hook looks at.

    Args:
        warnings (list[str], optional): Collects the warnings.

    Returns:
        SimpleNamespace: The stand-in.
    """
    return SimpleNamespace(
        hooks=[],
        epoch=0,
        iter=0,
        logger=SimpleNamespace(warning=(warnings if warnings is not None else []).append),
        optim_wrapper=SimpleNamespace(get_lr=lambda: {'base_lr': [1.0], 'lr': [0.00035, 0.0035]}),
        message_hub=(hub := SimpleNamespace(log_scalars={}, get_scalar=lambda key: hub.log_scalars[key])),
    )
