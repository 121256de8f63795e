# Copyright (c) mmreid contributors. All rights reserved.
"""The runner: class counts, loading that reports, weights that cannot be fetched."""

import logging
import os
from urllib.error import URLError

import pytest
import torch
from test_tools.tool_modules import load_tool
from tiny_config import tiny_config
from tiny_data import write_market

from mmreid.engine.runners import ReIDRunner
from mmreid.registry import MODELS
from mmreid.structures import InferenceContract
from mmreid.utils.load_report import load_weights
from mmreid.utils.run_lock import FolderInUseError, run_lock

NAME = 'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


def config(market, work_dir, **options):
    cfg = tiny_config(NAME, market, work_dir)
    cfg.train_dataloader.sampler.batches_per_epoch = 2
    cfg.merge_from_dict({'train_cfg.max_epochs': 1, 'default_hooks.checkpoint.interval': 1, **options})
    return cfg


@pytest.fixture(scope='module')
def trained(market, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('trained')
    ReIDRunner.from_cfg(config(market, work_dir)).train()
    return work_dir / 'epoch_1.pth'


@pytest.fixture
def log(caplog):
    """Everything that MMEngine's loggers write, which do not propagate."""
    records = []

    class Keeper(logging.Handler):
        def emit(self, record):
            records.append(record.getMessage())

    original = logging.Logger.handle

    def handle(self, record):
        records.append(record.getMessage())
        return original(self, record)

    logging.Logger.handle = handle
    yield records
    logging.Logger.handle = original


def test_number_of_identities_comes_from_the_data(market, tmp_path):
    runner = ReIDRunner.from_cfg(config(market, tmp_path))
    assert runner.model.head.classifier.weight.shape == (6, 32)


@pytest.mark.parametrize('randomness', [dict(seed='abc'), dict(seed=-1), dict(seed=1.5), dict(seed=2**32)])
def test_a_seed_is_a_whole_number(market, tmp_path, randomness):
    with pytest.raises(ValueError, match=f'randomness.seed={randomness["seed"]!r} '):
        ReIDRunner.from_cfg(config(market, tmp_path, randomness=randomness))


def test_too_small_number_of_identities_is_refused(market, tmp_path):
    with pytest.raises(ValueError, match='num_classes=3.* 6 identities'):
        ReIDRunner.from_cfg(config(market, tmp_path, **{'model.head.num_classes': 3}))


def test_load_from_reports_and_skips_a_classifier_of_another_size(market, tmp_path, trained, log):
    smaller = write_market(tmp_path / 'data', num_train=4)
    runner = ReIDRunner.from_cfg(config(smaller, tmp_path, load_from=str(trained)))
    runner.load_or_resume()
    report = next(line for line in log if line.startswith('loaded '))
    assert 'skipped for their shape: head.classifier.weight ((6, 32) -> (4, 32))' in report
    assert '131 of 132 entries loaded' in report and 'normal when fine-tuning' in report
    state = torch.load(trained, weights_only=True)['state_dict']
    torch.testing.assert_close(runner.model.state_dict()['backbone.conv1.weight'], state['backbone.conv1.weight'])


def test_a_checkpoint_says_how_its_model_is_used(market, tmp_path, trained):
    text = torch.load(trained, weights_only=True)['meta']['inference']
    contract = InferenceContract.from_json(text, str(trained))
    assert contract.preprocessing.size == (64, 32) and contract.preprocessing.mean == (123.675, 116.28, 103.53)


def test_a_model_that_cannot_be_described_is_trained_all_the_same(market, tmp_path, log):
    cfg = config(market, tmp_path)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pipeline.insert(1, dict(type='CenterCrop', crop_size=(64, 32)))
    ReIDRunner.from_cfg(cfg).train()
    assert 'inference' not in torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['meta']
    assert sum('CenterCrop' in line and 'config file' in line for line in log) == 1


def test_resume_refuses_what_does_not_fit(market, tmp_path, trained):
    more = {'model.head.num_classes': 7}
    runner = ReIDRunner.from_cfg(config(market, tmp_path, load_from=str(trained), resume=True, **more))
    with pytest.raises(ValueError, match='epoch_1.pth .*head.classifier.weight .*resume'):
        runner.train()


def test_nothing_loaded_is_an_error_unless_accepted(market, tmp_path, trained):
    other = tmp_path / 'other.pth'
    state = torch.load(trained, weights_only=True)['state_dict']
    torch.save(dict(state_dict={f'encoder.{key}': value for key, value in state.items()}), other)
    runner = ReIDRunner.from_cfg(config(market, tmp_path, load_from=str(other)))
    with pytest.raises(ValueError, match='0% of the backbone .*other.pth.*allow_partial'):
        runner.load_or_resume()
    cfg = config(market, tmp_path, load_from=str(other), allow_partial=True)
    ReIDRunner.from_cfg(cfg).load_or_resume()


def test_a_checkpoint_of_another_depth_is_not_tested(market, tmp_path, trained, log):
    def for_test(**options):
        cfg = config(market, tmp_path, load_from=str(trained), **{'model.backbone.depth': 34}, **options)
        for section in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
            cfg[section] = None
        return ReIDRunner.from_cfg(cfg)

    with pytest.raises(ValueError, match='epoch_1.pth .*tested.*backbone.layer1.2'):
        for_test().test()
    for_test(allow_partial=True).test()


def test_learning_rate_is_scaled_by_the_batch_and_told(market, tmp_path, log):
    runner = ReIDRunner.from_cfg(config(market, tmp_path, **{'auto_scale_lr.enable': True}))
    optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(optim_wrapper, runner.auto_scale_lr)
    assert optim_wrapper.param_groups[0]['lr'] == pytest.approx(3.5e-4 * 8 / 64)
    assert 'learning rate 0.00035 x (8 / 64) = 4.375e-05' in log
    with pytest.raises(ValueError, match='auto_scale_lr .*base_batch_size='):
        runner.scale_lr(optim_wrapper, dict(enable=True))


def test_testing_does_not_need_the_training_data(market, tmp_path, trained):
    cfg = config(market, tmp_path, load_from=str(trained))
    cfg.train_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    runner = ReIDRunner.from_cfg(cfg)
    assert runner.test()['market1501/num_query'] == 8
    with pytest.raises(FileNotFoundError, match='nowhere/bounding_box_train'):
        ReIDRunner.from_cfg(config(market, tmp_path, **{'train_dataloader.dataset.data_root': 'nowhere'})).train()


def test_without_a_checkpoint_the_initial_weights_are_tested(market, tmp_path):
    runner = ReIDRunner.from_cfg(config(market, tmp_path))
    runner.model.neck.bn.weight.data.zero_()
    runner.test()
    assert runner.model.neck.bn.weight.eq(1).all()


def test_resuming_a_finished_run_says_so(market, tmp_path, trained, log):
    ReIDRunner.from_cfg(config(market, tmp_path, load_from=str(trained), resume=True)).train()
    assert any('trained to epoch 1 of 1, so there is nothing to do' in line for line in log)


def test_resuming_keeps_the_seed_of_the_run(market, tmp_path, trained):
    cfg = config(market, tmp_path, load_from=str(trained), resume=True, randomness=dict(seed=9))
    runner = ReIDRunner.from_cfg(cfg)
    runner.train()
    assert runner.seed == runner.train_dataloader.batch_sampler.sampler.seed == 0


def test_resuming_does_not_run_the_config_of_the_checkpoint(market, tmp_path, trained):
    marker, hostile = tmp_path / 'ran', tmp_path / 'hostile.pth'
    checkpoint = torch.load(trained, weights_only=True)
    checkpoint['meta']['config'] = f'import pathlib\npathlib.Path({str(marker)!r}).touch()\ngpu_ids = [0, 1, 2]'
    torch.save(checkpoint, hostile)
    runner = ReIDRunner.from_cfg(config(market, tmp_path, load_from=str(hostile), resume=True))
    runner.train()
    assert runner.epoch == 1 and not marker.exists()


def test_a_run_that_was_resumed_by_hand_saves(market, tmp_path, trained):
    runner = ReIDRunner.from_cfg(config(market, tmp_path, **{'train_cfg.max_epochs': 2}))
    runner.resume(str(trained))
    runner.train()
    meta = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['meta']
    assert meta['epoch'] == 2 and meta['run_id'] == runner.current_run.id


@pytest.mark.parametrize('by_option', [False, True])
def test_where_nothing_can_be_resumed_the_weights_of_the_config_are_loaded(
    by_option, market, tmp_path, trained, monkeypatch
):
    train = load_tool('train.py')
    options = ['--cfg-options', f'load_from={trained}'] if by_option else []
    monkeypatch.setattr('sys.argv', ['train.py', 'config.py', '--work-dir', str(tmp_path), '--resume', *options])
    cfg = config(market, tmp_path, **({} if by_option else dict(load_from=str(trained))))
    runner = ReIDRunner.from_cfg(train.merge_args(cfg, train.parse_args()))
    runner.build_train_loop(runner.cfg.train_cfg)
    runner.load_or_resume()
    assert runner.loaded_meta['epoch'] == 1 and runner.epoch == 0
    state = torch.load(trained, weights_only=True)['state_dict']
    torch.testing.assert_close(runner.model.state_dict()['backbone.conv1.weight'], state['backbone.conv1.weight'])


def test_fine_tuning_with_ema_on_other_classes(market, tmp_path, trained):
    smaller = write_market(tmp_path / 'data', num_train=4)
    cfg = config(smaller, tmp_path, load_from=str(trained))
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='EMAHook')]
    ReIDRunner.from_cfg(cfg).train()


def test_number_of_batches_is_set_on_the_sampler(market, tmp_path):
    with pytest.raises(ValueError, match='num_batch_per_epoch .*batches_per_epoch='):
        ReIDRunner.from_cfg(config(market, tmp_path, **{'train_dataloader.num_batch_per_epoch': 1}))


def test_position_embeddings_are_resized_while_loading():
    def vit(size):
        arch = dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=8)
        return MODELS.build(dict(type='VisionTransformer', arch=arch, img_size=size, patch_size=16))

    square, tall = vit((64, 64)), vit((128, 64))
    torch.nn.init.normal_(square.pos_embed)
    report = load_weights(tall, square.state_dict())
    assert report.is_exact and tall.pos_embed.shape[1] == 33
    torch.testing.assert_close(tall.pos_embed[:, 0], square.pos_embed[:, 0])
    assert tall.pos_embed[:, 1:].abs().mean() > 0.1


def test_prefix_of_wrapped_models_is_stripped():
    model = torch.nn.Linear(2, 2)
    report = load_weights(model, {f'module.{key}': value * 0 for key, value in model.state_dict().items()})
    assert report.loaded == ['weight', 'bias'] and not model.weight.any()


def test_resume_without_a_checkpoint_says_that_it_starts_anew(market, tmp_path, log):
    runner = ReIDRunner.from_cfg(config(market, tmp_path, resume=True))
    runner.load_or_resume()
    assert any('resume' in line and f' {tmp_path} ' in line for line in log)


@pytest.mark.parametrize(
    ('checkpoint', 'cause'),
    [
        ('torchvision://resnet50', 'URLError'),
        ('torchvision://resnet5', "torchvision has no weights 'resnet5'"),
        ('/nowhere/r50.pth', 'nowhere/r50.pth'),
    ],
)
def test_missing_pretrained_weights_are_explained(market, tmp_path, monkeypatch, checkpoint, cause):
    def offline(*args, **kwargs):
        raise URLError('Name or service not known')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    cfg = config(market, tmp_path)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    runner = ReIDRunner.from_cfg(cfg)
    advice = '(?s)/checkpoints .*init_cfg=None'
    with pytest.raises(RuntimeError, match=advice) as info:
        runner.train()
    assert checkpoint in str(info.value) and cause in str(info.value)


def test_workers_that_do_not_exist_are_not_kept_alive(market, tmp_path):
    loader = config(market, tmp_path).val_dataloader
    loader.update(num_workers=0, persistent_workers=True, prefetch_factor=2)
    assert not ReIDRunner.build_dataloader(loader).persistent_workers


def test_dataloader_config_is_not_changed_by_building(market, tmp_path):
    loader = config(market, tmp_path).val_dataloader
    before = loader.to_dict()
    ReIDRunner.build_dataloader(loader)
    assert loader.to_dict() == before


def test_impossible_test_set_stops_before_training(tmp_path):
    market = write_market(tmp_path / 'data', cameras=1)
    with pytest.raises(ValueError, match="'market1501' .*4 of 4 .*cameras in the data: 1.*cross_camera=False"):
        ReIDRunner.from_cfg(config(market, tmp_path, **{'val_evaluator.cross_camera': True})).train()


def test_two_trainings_do_not_share_the_folder_of_their_checkpoints(market, tmp_path):
    out_dir = {'default_hooks.checkpoint.out_dir': str(tmp_path / 'out')}
    runner = ReIDRunner.from_cfg(config(market, tmp_path / 'a/run', **out_dir))
    kept = tmp_path / 'out/run/epoch_7.pth'
    kept.parent.mkdir(parents=True)
    kept.touch()
    with run_lock(kept.parent), pytest.raises(FolderInUseError, match=f'{kept.parent} .*process {os.getpid()} '):
        runner.train()
    assert kept.is_file(), 'it is not moved while the other run is there'
    with run_lock(tmp_path / 'a/run'):  # released
        pass
    assert runner.own_folders() == [str(tmp_path / 'a/run'), str(kept.parent)]
    remote = {'default_hooks.checkpoint.out_dir': 's3://bucket/out'}
    assert ReIDRunner.from_cfg(config(market, tmp_path / 'b', **remote)).own_folders() == [str(tmp_path / 'b')]
