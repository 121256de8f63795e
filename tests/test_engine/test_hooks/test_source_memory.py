# Copyright (c) mmreid contributors. All rights reserved.
"""Training with learned neighbors: their source memory is sized, filled, resumed exactly and left out of weights."""

import copy

import pytest
import torch
from test_engine.test_hooks.test_memory_update_hook import data, runner_of  # noqa: F401
from test_tools.test_resume import assert_same
from tiny_config import ROOT

from mmreid.utils.config import load_config
from mmreid.utils.published import published_weights

SOURCE = 'head.invariance.neighbors.memory.features'
POS_WEIGHT = 'head.invariance.neighbors.log_pos_weight'
NEIGHBORS = dict(type='GraphPositivePrediction', k=3, channels=(8, 4), held_out_every=2, threshold=0.3)
MODEL = dict(head=dict(invariance=dict(neighbors=NEIGHBORS)))
SHIPPED = load_config(str(ROOT / 'configs/ecn/ecnpp_resnet50_1xb256-60e_msmt2market-256x128.py')).optim_wrapper


def plus():
    """The changes of ECN++; new ones each time, as merging takes ``_delete_`` out."""
    return dict(model=copy.deepcopy(MODEL), optim_wrapper=dict(copy.deepcopy(SHIPPED), _delete_=True))


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp('trained')
    runner = runner_of(data, folder, **plus())
    runner.train()
    return folder, runner


def test_the_source_memory_is_as_large_as_the_source_and_is_filled(trained):
    _, runner = trained
    neighbors = runner.model.head.neighbors
    assert neighbors.memory.features.shape == (8, 32) and neighbors.memory.version == runner.iter == 8
    torch.testing.assert_close(neighbors.memory.features.norm(dim=1), torch.ones(8))
    assert neighbors.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_resuming_is_exact_source_memory_included(data, trained, tmp_path):  # noqa: F811
    whole = torch.load(trained[0] / 'epoch_4.pth', weights_only=True)
    runner_of(data, tmp_path, **plus(), resume=True, load_from=str(trained[0] / 'epoch_2.pth')).train()
    found = torch.load(tmp_path / 'epoch_4.pth', weights_only=True)
    assert SOURCE in found['state_dict'] and found['state_dict'][POS_WEIGHT] != 0
    assert set(found['optimizer']) == {'model', 'graph'} and 'exp_avg' in found['optimizer']['graph']['state'][0]
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(found[part], whole[part], part)


def test_resuming_with_another_source_is_refused(data, trained, tmp_path):  # noqa: F811
    changes = dict(data, source=data['larger'])
    checkpoint = trained[0] / 'epoch_2.pth'
    with pytest.raises(ValueError, match='market1501 with 8 images, [^;]*12 images'):
        runner_of(changes, tmp_path, **plus(), resume=True, load_from=str(checkpoint)).train()
    content = torch.load(checkpoint, weights_only=True)
    del content['meta']['trained_with']  # as in files of earlier versions
    content['optimizer']['model']['state'] = {}  # or its moments would not fit the classifier
    torch.save(content, tmp_path / 'old.pth')
    with pytest.raises(ValueError, match='8 slots x 32.*12 source images'):
        runner_of(changes, tmp_path, **plus(), resume=True, load_from=str(tmp_path / 'old.pth')).train()


def test_more_candidates_than_images_are_refused_before_the_training(data, tmp_path):  # noqa: F811
    for k, domain, size in ((8, 'source', 8), (10, 'target', 10)):
        neighbors = dict(NEIGHBORS, k=k)
        source = data['source'] if domain == 'source' else data['larger']
        model = dict(head=dict(invariance=dict(neighbors=neighbors)))
        runner = runner_of(dict(data, source=source), tmp_path / domain, model=model)
        with pytest.raises(ValueError, match=f'k={k} .*{domain} .*{size} images'):
            runner.train()


def test_published_weights_and_testing_have_no_source_memory(data, trained, tmp_path):  # noqa: F811
    state = torch.load(trained[0] / 'epoch_4.pth', weights_only=True)['state_dict']
    assert set(state) - set(published_weights(state)) == {SOURCE, 'head.memory.features'}
    assert not any('labels' in key for key in state)
    runner = runner_of(data, tmp_path, **plus(), load_from=str(trained[0] / 'epoch_4.pth'))
    assert runner.test()['market1501/mAP'] > 0
