# Copyright (c) mmreid contributors. All rights reserved.
"""Several test sets in one run, their features in a file, and checkpoints of another trial."""

import copy
from types import SimpleNamespace

import pytest
import torch
from tiny_config import tiny_config
from tiny_data import repaint, write_market

from mmreid.engine.runners import ReIDRunner, evaluate_features, save_features
from mmreid.evaluation import ReIDMetric, SYSUMetric
from mmreid.models import CosineMatcher
from mmreid.models.reid.fingerprint import model_fingerprint
from mmreid.models.reid.inference_contract import contract_of
from mmreid.registry import MODELS

NAME = 'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def config(market, work_dir):
    cfg = tiny_config(NAME, market, work_dir)
    cfg.train_dataloader.sampler.batches_per_epoch = 1
    cfg.merge_from_dict({'train_cfg.max_epochs': 1, 'default_hooks.checkpoint.interval': 1})
    return cfg


def only_test(cfg, checkpoint=None):
    for name in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[name] = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.load_from = checkpoint
    return cfg


def test_two_test_sets_and_their_features(market, tmp_path):
    cfg = only_test(config(market, tmp_path))
    second = copy.deepcopy(cfg.test_dataloader)
    second.dataset.name = 'again'
    second.dataset.data_root = str(repaint(write_market(tmp_path / 'again', num_test=6)))
    cfg.test_dataloader = [cfg.test_dataloader, second]
    evaluator = dict(type='ReIDMetric', cmc='single_shot', trials=2)
    cfg.test_evaluator = [dict(type='ReIDMetric'), evaluator]
    runner = ReIDRunner.from_cfg(cfg)
    metrics = runner.test()
    assert metrics['average/mAP'] == (metrics['market1501/mAP'] + metrics['again/mAP']) / 2
    assert 0 < metrics['again/mAP'] < metrics['market1501/mAP'] and 'average/num_query' not in metrics

    save_features(tmp_path / 'features.pth', runner)
    content = torch.load(tmp_path / 'features.pth', weights_only=True)
    assert [test_set['meta']['dataset_name'] for test_set in content['test_sets']] == ['market1501', 'again']
    known = dict(hash=model_fingerprint(runner.model), contract=contract_of(cfg, runner.model).digest)
    assert content['model'] == dict(known, name='initial weights')
    again, details = evaluate_features(tmp_path / 'features.pth', cfg.test_evaluator)
    assert again == metrics and details == runner.test_loop.details == {}
    with pytest.raises(ValueError, match='2 test dataloaders .*ReIDMetric'):
        evaluate_features(tmp_path / 'features.pth', [dict(type='ReIDMetric')] * 3)
    with pytest.raises(ValueError, match='DumpResults'):
        evaluate_features(tmp_path / 'features.pth', dict(type='mmengine.DumpResults', out_file_path='x.pkl'))
    torch.save(dict(state_dict={}), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='other.pth .*--save-features'):
        evaluate_features(tmp_path / 'other.pth', dict(type='ReIDMetric'))


def test_mixed_precision_reaches_the_network(market, tmp_path):
    kinds = {}
    for half in (False, True):
        cfg = only_test(config(market, tmp_path / str(half)))
        cfg.test_cfg.fp16 = half
        runner, seen = ReIDRunner.from_cfg(cfg), set()
        runner.model.backbone.layer1.register_forward_hook(lambda *args, seen=seen: seen.add(args[2].dtype))
        metrics = runner.test()
        kinds[half] = seen
        assert 0 < metrics['market1501/mAP'] <= 100
    assert kinds == {False: {torch.float32}, True: {torch.bfloat16}}


def after_test(metric, matcher):
    """The parts of a runner after a test that features are saved from."""
    loop = SimpleNamespace(pairs=[(None, SimpleNamespace(metrics=[metric]))])
    model = dict(matcher=dict(type=type(matcher).__name__))
    return SimpleNamespace(test_loop=loop, model=SimpleNamespace(matcher=matcher), cfg=SimpleNamespace(model=model))


class SignedMatcher(torch.nn.Module):
    """A matcher with a weight that differs from that of a new one."""

    def __init__(self):
        super().__init__()
        self.register_buffer('sign', torch.ones(1))

    def forward(self, query, gallery):
        return self.sign * (query @ gallery.t())


def test_weights_of_the_matcher_come_with_the_features(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS._module_dict, 'SignedMatcher', SignedMatcher)
    matcher = SignedMatcher()
    matcher.sign.fill_(-1)
    metric = ReIDMetric()
    metric.matcher = matcher
    generator = torch.Generator().manual_seed(0)
    for i in range(20):
        row = dict(pid=i % 3, camid=i % 2, split='query' if i < 6 else 'gallery', sample_idx=i, img_path=f'{i}')
        metric.process(None, [dict(row, feature=torch.randn(5, generator=generator))])
    metrics = metric.evaluate(20)
    save_features(tmp_path / 'x.pth', after_test(metric, matcher))
    assert evaluate_features(tmp_path / 'x.pth', dict(type='ReIDMetric'))[0] == metrics
    matcher.sign.fill_(1)
    save_features(tmp_path / 'y.pth', after_test(metric, matcher))
    assert evaluate_features(tmp_path / 'y.pth', dict(type='ReIDMetric'))[0] != metrics


def test_drawn_galleries_and_the_precision_of_features_come_back(tmp_path):
    """The draws depend on places in folders, which here are not in the order of the images."""
    metric = SYSUMetric('indoor', trials=3)
    metric.matcher = CosineMatcher()
    generator = torch.Generator().manual_seed(0)
    for i in range(90):
        split, cameras = ('query', (2, 5)) if i < 30 else ('gallery', (0, 1))
        row = dict(pid=i % 5, camid=cameras[i // 5 % 2], split=split, sample_idx=i, img_path=f'{i}', image_index=-i)
        metric.process(None, [dict(row, feature=torch.randn(5, generator=generator))])
    metrics = metric.evaluate(90)
    save_features(tmp_path / 'x.pth', after_test(metric, metric.matcher))
    config = dict(type='SYSUMetric', mode='indoor', trials=3)
    assert evaluate_features(tmp_path / 'x.pth', config) == (metrics, metric.details)
    assert len(set(metric.details['reid/indoor-single/mAP_trials'])) == 3

    metric.test_set[0].feature[7, 0] = 1e5  # fits a float, but not a half
    save_features(tmp_path / 'y.pth', after_test(metric, metric.matcher))
    evaluate_features(tmp_path / 'y.pth', config)
    with pytest.raises(ValueError, match='query image 7 .*infinite'):
        evaluate_features(tmp_path / 'y.pth', dict(config, feature_dtype='float16'))


@pytest.mark.parametrize('meta', [None, [1], 'x', dict(trial='x'), dict(trial=torch.ones(2)), dict(trial=[1])], ids=str)
def test_what_is_no_trial_is_none(market, tmp_path, meta):
    runner = ReIDRunner.from_cfg(only_test(config(market, tmp_path)))
    runner.test_loop.dataloader.dataset._metainfo['trial'] = 1
    runner.loaded_meta = dict(dataset_meta=meta)
    runner.test_loop._refuse_other_trial()
    runner.loaded_meta = dict(dataset_meta=dict(trial=3))
    with pytest.raises(ValueError, match='checkpoint .*trial 3.*trial 1'):
        runner.test_loop._refuse_other_trial()


def test_a_checkpoint_of_another_trial_is_refused(market, tmp_path):
    cfg = config(market, tmp_path / 'run')
    cfg.train_dataloader.dataset.metainfo = dict(trial=3)
    cfg.val_dataloader.dataset.metainfo = dict(trial=1)
    with pytest.raises(ValueError, match='model .*trial 3.*trial 1 of market1501'):
        ReIDRunner.from_cfg(copy.deepcopy(cfg)).train()
    cfg.val_dataloader.dataset.metainfo = dict(trial=3)
    ReIDRunner.from_cfg(copy.deepcopy(cfg)).train()

    checkpoint = str(tmp_path / 'run' / 'epoch_1.pth')
    for trial, allowed in ((1, False), (1, True), (3, False)):
        test = only_test(config(market, tmp_path / 'test'), checkpoint)
        test.test_dataloader.dataset.metainfo = dict(trial=trial)
        test.allow_trial_mismatch = allowed
        runner = ReIDRunner.from_cfg(test)
        if trial == 3 or allowed:
            runner.test()
            continue
        with pytest.raises(ValueError, match='epoch_1.pth .*trial 3.*trial 1 .*trial=3'):
            runner.test()

    # Nor may a training start from it and be validated on another trial.
    begun = copy.deepcopy(cfg)
    begun.update(load_from=checkpoint, work_dir=str(tmp_path / 'begun'))
    for loader in (begun.train_dataloader, begun.val_dataloader):
        loader.dataset.metainfo = dict(trial=1)
    with pytest.raises(ValueError, match='epoch_1.pth .*trial 3.*trial 1 '):
        ReIDRunner.from_cfg(begun).train()
