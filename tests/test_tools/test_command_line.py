# Copyright (c) mmreid contributors. All rights reserved.
"""What users see when they misspell, forget or break something."""

import importlib.util
import json
import sys
import warnings

import pytest
import torch
from test_tools.tool_modules import load_tool
from test_tools.tool_runs import run, write_config
from tiny_config import ROOT, tiny_config
from tiny_data import repaint, write_market
from warm_processes import run_warm

from mmreid.utils.config import TESTING, TRAINING, check_option_keys, load_config
from mmreid.utils.work_dir import ensure_writable

NAME = 'baseline/bot_resnet50_1xb64-120e_market1501-256x128.py'


def tool(name):
    """Imports a tool as a module."""
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def merged(name, *arguments, monkeypatch):
    module = tool(name)
    monkeypatch.setattr(sys, 'argv', [f'{name}.py', str(ROOT / 'configs' / NAME), *map(str, arguments)])
    args = module.parse_args()
    return module.merge_args(load_config(args.config, args.cfg_options), args)


def test_train_flags_reach_the_config(monkeypatch, tmp_path):
    cfg = merged('train', '--work-dir', tmp_path, '--amp', '--auto-scale-lr', '--resume', monkeypatch=monkeypatch)
    assert cfg.work_dir == str(tmp_path) and cfg.resume and cfg.load_from is None
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper' and 'dtype' not in cfg.optim_wrapper and cfg.channels_last
    assert cfg.auto_scale_lr.enable
    unused = ['--cfg-options', 'val_dataloader.batch_size=8']
    cfg = merged('train', '--no-validate', '--resume', 'a.pth', *unused, monkeypatch=monkeypatch)
    assert cfg.val_cfg is cfg.val_dataloader is None and cfg.load_from == 'a.pth'
    loaders = 'train_dataloader.persistent_workers=True', 'test_dataloader.pin_memory=True'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert merged('train', monkeypatch=monkeypatch).train_dataloader.pin_memory
    flags = ['--no-pin-memory', '--no-persistent-workers']
    given = merged('train', *flags, '--cfg-options', *loaders[1:], monkeypatch=monkeypatch)
    assert not given.train_dataloader.pin_memory and given.test_dataloader.pin_memory, 'options are stronger'
    assert not given.train_dataloader.persistent_workers and not given.val_dataloader.persistent_workers
    assert cfg.work_dir == './work_dirs/bot_resnet50_1xb64-120e_market1501-256x128'


@pytest.mark.parametrize(('dtype', 'said'), [('float16', 'needs a GPU'), ('float32', 'bfloat16, float16')])
def test_a_mixed_precision_that_does_not_work_is_refused(dtype, said, monkeypatch, tmp_path):
    train = tool('train')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    work_dir = tmp_path / 'run'
    options = ['--work-dir', str(work_dir), '--amp', '--cfg-options', f'optim_wrapper.dtype={dtype}']
    monkeypatch.setattr(sys, 'argv', ['train.py', str(ROOT / 'configs' / NAME), *options])
    with pytest.raises(ValueError, match=f"dtype='{dtype}' of AmpOptimWrapper .*{said}"):
        train.main()
    assert not work_dir.exists()
    train.check_precision(merged('train', '--amp', monkeypatch=monkeypatch))


def test_options_are_stronger_than_flags(monkeypatch):
    options = ['--cfg-options', 'work_dir=there', 'optim_wrapper.type=OptimWrapper', 'train_cfg.max_epochs=2']
    cfg = merged('train', '--work-dir', 'here', '--amp', *options, 'channels_last=False', monkeypatch=monkeypatch)
    assert cfg.channels_last is False
    assert (cfg.work_dir, cfg.optim_wrapper.type, cfg.train_cfg.max_epochs) == ('there', 'OptimWrapper', 2)


def test_the_given_checkpoint_is_tested_whatever_the_training_started_from(monkeypatch):
    options = ['--cfg-options', 'load_from=start.pth', 'resume=True', 'train_cfg.max_epochs=2']
    cfg = merged('test', 'end.pth', *options, monkeypatch=monkeypatch)
    assert cfg.load_from == 'end.pth' and not cfg.resume and cfg.train_cfg is None


def test_option_values_keep_their_spaces(monkeypatch, capsys):
    options = [
        'train_dataloader.dataset.data_root=/my data/x',
        'model.backbone.out_indices=[3]',
        'train_cfg.max_epochs=2',
    ]
    cfg = merged('train', '--cfg-options', *options, 'resume=True', monkeypatch=monkeypatch)
    assert cfg.train_dataloader.dataset.data_root == '/my data/x'
    assert (cfg.model.backbone.out_indices, cfg.train_cfg.max_epochs, cfg.resume) == ([3], 2, True)
    with pytest.raises(SystemExit):
        merged('train', '--cfg-options', 'foo', monkeypatch=monkeypatch)
    assert 'foo: expected key=value' in capsys.readouterr().err


def test_test_flags_reach_the_config(monkeypatch, tmp_path):
    flags = ['--amp', '--tta', '--show-dir', tmp_path, '--interval', 3, '--wait-time', 5, '--tlift']
    cfg = merged('test', 'none', *flags, '--allow-trial-mismatch', monkeypatch=monkeypatch)
    assert cfg.train_dataloader is None and cfg.load_from is None and cfg.test_cfg.fp16
    hook = dict(type='RankListHook', out_dir=str(tmp_path), interval=3, show=False, wait_time=5)
    assert cfg.custom_hooks[-1] == hook and cfg.model.flip_test
    assert cfg.test_evaluator.post == [dict(type='TLift')] and cfg.allow_trial_mismatch
    assert not merged('test', 'none', monkeypatch=monkeypatch).allow_trial_mismatch
    written = merged('test', 'none', '--out', 'a.pkl', '--out-item', 'pred', monkeypatch=monkeypatch).test_evaluator
    assert written[1:] == [dict(type='DumpResults', out_file_path='a.pkl')] and written[0].type == 'ReIDMetric'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    pinned = [merged('test', 'none', *flag, monkeypatch=monkeypatch) for flag in ([], ['--no-pin-memory'])]
    assert [cfg.test_dataloader.pin_memory for cfg in pinned] == [True, False]
    with pytest.raises(SystemExit):
        merged('test', 'none', '--out-item', 'pred', monkeypatch=monkeypatch)
    with pytest.raises(ValueError, match='--out a.json: .*.pkl'):
        merged('test', 'none', '--out', 'a.json', '--out-item', 'pred', monkeypatch=monkeypatch)


def test_auto_scale_lr_without_its_section(monkeypatch, tmp_path):
    module = tool('train')
    monkeypatch.setattr(sys, 'argv', ['train.py', 'x.py', '--auto-scale-lr'])
    cfg = load_config(str(ROOT / 'configs' / NAME))
    cfg.auto_scale_lr = None
    with pytest.raises(ValueError, match=r'--auto-scale-lr .*x.py .*auto_scale_lr = dict\(base_batch_size'):
        module.merge_args(cfg, module.parse_args())


def test_option_keys_are_checked():
    cfg = load_config(str(ROOT / 'configs' / NAME))
    with pytest.raises(
        ValueError,
        match="trian_cfg.max_epochs: .*'train_cfg.max_epochs'",
    ):
        check_option_keys(cfg, {'trian_cfg.max_epochs': 2})
    with pytest.warns(UserWarning, match="'dept' .*'model.backbone.depth'"):
        check_option_keys(cfg, {'model.backbone.dept': 18})
    with pytest.raises(ValueError, match="param_scheduler.end: .* 2, .* 0..1, .*'end'"):
        check_option_keys(cfg, {'param_scheduler.end': 2})
    with pytest.raises(ValueError, match="work_dir.x: .*'w' .*'x'"):
        check_option_keys(type(cfg)(dict(work_dir='w')), {'work_dir.x': 2})
    with pytest.raises(ValueError, match="'data_root' .*train_dataloader.dataset.data_root, val_data"):
        check_option_keys(cfg, {'data_root': '/data'})
    with pytest.raises(
        ValueError, match="'test_pipeline' .* val_dataloader.dataset.pipeline, test_dataloader.dataset.pipeline"
    ):
        check_option_keys(cfg, {'test_pipeline.1.scale': (64, 128)})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_option_keys(cfg, {'train_cfg.max_epochs': 2, 'model.backbone.depth': 18, 'work_dir': 'x'})


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('model.backbone', 'ResNet', "model.backbone='ResNet' .*model.backbone.type=ResNet"),
        ('val_evaluator', 'ReIDMetric', "val_evaluator='ReIDMetric' .*val_evaluator.type=ReIDMetric"),
        ('custom_hooks', 'EMAHook', "custom_hooks='EMAHook' .* 4 .*custom_hooks.0"),
        ('custom_hooks', ['EMAHook'], "custom_hooks=.'EMAHook'. .* 4 .*custom_hooks.0"),
        ('train_dataloader.dataset.pipeline.0', 3, 'pipeline.0=3 .*LoadReIDImage'),
        ('load_from', '', 'load_from= .*None'),
        ('model.backbone', '', "model.backbone='' .*type='ResNet'"),
    ],
)
def test_options_do_not_replace_components_by_words(key, value, message):
    with pytest.raises(ValueError, match=message):
        check_option_keys(load_config(str(ROOT / 'configs' / NAME)), {key: value})


def test_options_may_replace_the_rest(recwarn):
    cfg = load_config(str(ROOT / 'configs' / NAME))
    cfg.model.arch = dict(layer='split')
    fine = {'model.arch': 'share', 'model.head.loss_metric': None, 'custom_hooks': [], 'visualizer': None}
    check_option_keys(cfg, {**fine, 'train_dataloader.dataset.data_prefix': ''})
    assert all('data_prefix' in str(warning.message) for warning in recwarn)


@pytest.mark.parametrize('option', ['custom_hooks=[dict(type=EMAHook)]', 'x={a:1}', "x=[{'a':1}]", 'x=dict(a=1)'])
def test_options_are_no_dicts(monkeypatch, capsys, option):
    with pytest.raises(SystemExit):
        merged('train', '--cfg-options', option, monkeypatch=monkeypatch)
    assert f'--cfg-options {option}: ' in capsys.readouterr().err


def test_variables_without_effect_are_refused():
    for config in (NAME.replace('market1501', 'dukemtmc'), NAME.replace('market1501', 'own-csv')):
        cfg = load_config(str(ROOT / 'configs' / config))
        with pytest.raises(ValueError, match="'data_root' .* train_dataloader.dataset.data_root, val_"):
            check_option_keys(cfg, {'data_root': '/data'})
        with pytest.raises(ValueError, match="'dataset_type' .* train_dataloader.dataset.type, val_"):
            check_option_keys(cfg, {'dataset_type': 'Market1501'})
    cfg = load_config(str(ROOT / 'configs/baseline/pixels_procedural-64x32.py'))
    with pytest.raises(ValueError, match="'train_pipeline' .*nothing$"):
        check_option_keys(cfg, {'train_pipeline.0.type': 'X'})
    cfg = load_config(str(ROOT / 'configs/cmnas/cmnas_resnet50_1xb128-120e_regdb-256x128.py'))
    with pytest.raises(ValueError, match="'trial' .* train_dataloader.dataset.trial, val_"):
        check_option_keys(cfg, {'trial': 2})
    cfg.own = 3
    with pytest.warns(UserWarning, match="'own' .*mmreid"):
        check_option_keys(cfg, {'own': 4})


def test_a_config_of_the_installation_has_a_name(monkeypatch):
    named = load_config(f'mmreid::{NAME}')
    assert named.to_dict() == load_config(str(ROOT / 'configs' / NAME)).to_dict()
    with pytest.raises(FileNotFoundError, match='did you mean .*bot_resnet50_1xb64-120e_market1501-256x128.py'):
        load_config(f'mmreid::{NAME.replace("120e", "12e")}')


def test_config_faults_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='bot_resnet50_1xb64-120e_market1501-256x12.py .*256x128.py'):
        load_config(str(ROOT / 'configs' / NAME.replace('x128', 'x12')))
    base = repr(str(ROOT / 'configs' / NAME))
    (tmp_path / 'typo.py').write_text(f'_base_ = [{base}]\noptim_wraper = dict()\n_x = 1\n')
    with pytest.raises(ValueError, match="typo.py .*'optim_wraper', .*'optim_wrapper'"):
        load_config(str(tmp_path / 'typo.py'))
    own = ['_optim_wraper = 1', 'test_dataloader2 = dict(x=1)', 'test_dataloader = [test_dataloader2]']
    own = chr(10).join([f'_base_ = [{base}]', *own])
    for typo, meant in (('trian_cfg', 'train_cfg'), ('load_form', 'load_from'), ('modle', 'model')):
        (tmp_path / 'typo.py').write_text(f'_base_ = [{base}]' + chr(10) + f'{typo} = dict(a=1)')
        with pytest.raises(ValueError, match=f"typo.py .*'{typo}', .*'{meant}'"):
            load_config(str(tmp_path / 'typo.py'))
    (tmp_path / 'orphan.py').write_text("_base_ = ['./gone.py']")
    with pytest.raises(FileNotFoundError, match='orphan.py .*gone.py'):
        load_config(str(tmp_path / 'orphan.py'))
    (tmp_path / 'open.py').write_text('model = dict(')
    with pytest.raises(ValueError, match='open.py .*line 1'):
        load_config(str(tmp_path / 'open.py'))
    with pytest.raises(IsADirectoryError, match=f'{tmp_path} .*.py'):
        load_config(str(tmp_path))
    (tmp_path / 'a.pth').write_bytes(b'')
    with pytest.raises(ValueError, match='a.pth .*CONFIG .CHECKPOINT.'):
        load_config(str(tmp_path / 'a.pth'))
    (tmp_path / 'own.py').write_text(own)
    assert load_config(str(tmp_path / 'own.py')).test_dataloader == [dict(x=1)]  # a variable that a section uses
    (tmp_path / 'short.py').write_text('model = dict()\n')
    with pytest.raises(ValueError, match='short.py .*train_dataloader, train_cfg, optim_wrapper; .*_base_'):
        load_config(str(tmp_path / 'short.py'), required=TRAINING)
    assert set(TESTING) - {'model'} == {'test_dataloader', 'test_cfg', 'test_evaluator'}


def test_a_module_beside_the_config_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'path', list(sys.path))
    (tmp_path / 'module_beside_config.py').write_text('value = 3')
    config = tmp_path / 'config.py'
    config.write_text("custom_imports = dict(imports=['module_beside_config'], allow_failed_imports=False)")
    load_config(str(config))
    assert sys.modules['module_beside_config'].value == 3


def test_misspelt_types_get_a_suggestion():
    from mmreid.registry import MODELS
    from mmreid.utils.registry_hints import suggest_names

    with pytest.raises(KeyError, match="'ImageReid' .*'ImageReID'"), suggest_names():
        MODELS.build(dict(type='mmreid.ImageReid'))
    with pytest.raises(KeyError, match="'ResNett' .*('ResNeXt'|'ResNet')"), suggest_names():
        MODELS.build(dict(type='ResNett'))
    with (
        pytest.raises(TypeError, match="TripletLoss .*'margn'; .*'margin'"),
        suggest_names(),
    ):
        MODELS.build(dict(type='TripletLoss', margn=1))
    with (
        pytest.raises(TypeError, match="'zzz'; .*gather, loss_weight, margin.*_delete_=True"),
        suggest_names(),
    ):
        MODELS.build(dict(type='TripletLoss', zzz=1))
    with pytest.raises(KeyError, match='other'), suggest_names():
        raise KeyError('other')
    with pytest.raises(TypeError, match="'ResNet' .*dict.type='ResNet'"), suggest_names():
        MODELS.build('ResNet')
    with pytest.raises(KeyError, match='dict.depth=50. .*type'), suggest_names():
        MODELS.build(dict(depth=50))


@pytest.mark.parametrize(
    ('backend', 'module', 'package'),
    [('WandbVisBackend', 'wandb', 'wandb'), ('TensorboardVisBackend', 'torch.utils.tensorboard', 'tensorboard')],
)
def test_loggers_that_are_not_installed(monkeypatch, tmp_path, backend, module, package):
    from mmengine.registry import VISBACKENDS

    from mmreid.utils.registry_hints import suggest_names

    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    built = VISBACKENDS.build(dict(type=backend, save_dir=str(tmp_path)))
    with pytest.raises(ImportError, match=f'{backend} .*pip install .*{package}'), suggest_names():
        built.add_scalar('x', 1)


def test_work_dir_that_is_a_file(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='Not a directory') as info:
        ensure_writable(tmp_path / 'file' / 'x')
    assert str(tmp_path / 'file' / 'x') in str(info.value)
    assert ensure_writable(tmp_path / 'new' / 'folder').is_dir()


@pytest.mark.slow
def test_train_then_test_from_the_command_line(tmp_path):
    """The newcomer's way: train with TensorBoard, test with images and results, read a corrupt file's name."""
    data = repaint(write_market(tmp_path / 'data'))
    backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    config = write_config(
        tmp_path / 'cfg.py',
        data,
        tmp_path / 'run',
        train_cfg=dict(max_epochs=1),
        visualizer=dict(vis_backends=backends),
    )
    run('tools/train.py', config)
    assert list((tmp_path / 'run').rglob('events.out.tfevents*'))
    out, images = tmp_path / 'metrics.json', tmp_path / 'images'
    run_warm('tools/test.py', config, tmp_path / 'run/epoch_1.pth', '--out', out, '--show-dir', images)
    metrics = json.loads(out.read_text())
    assert 0 < metrics['market1501/mAP'] < 100
    assert len(list((images / 'market1501').glob('query*_pid*_c*.jpg'))) == metrics['market1501/num_query'] == 8

    (data / 'bounding_box_train/0002_c1s1_000002_00.jpg').write_bytes(b'no image')
    done = run_warm('tools/train.py', config, '--work-dir', tmp_path / 'broken', check=False)
    assert done.returncode != 0 and '0002_c1s1_000002_00.jpg (8 bytes)' in done.stdout
    assert not list((tmp_path / 'broken').glob('*.pth*'))


def test_print_config_and_compare_results(tmp_path):
    shown = run('tools/misc/print_config.py', f'configs/{NAME}', '--cfg-options', 'model.backbone.depth=101').stdout
    assert 'depth=101' in shown and "type='Market1501'" in shown
    (tmp_path / 'a.json').write_text('{"market1501/mAP": 12.34, "market1501/Rank-1": 56.78}')
    table = run_warm('tools/analysis_tools/compare_results.py', f'one={tmp_path / "a.json"}').stdout
    assert '12.3' in table and '56.8' in table and 'one' in table
    folder = tmp_path / 'lr=0.1'
    folder.mkdir()
    (tmp_path / 'a.json').rename(folder / 'a.json')
    split = load_tool('analysis_tools/compare_results.py').split_entry
    assert split(f'at k=2={folder}/a.json') == ('at k=2', f'{folder}/a.json')
    done = run_warm('tools/analysis_tools/compare_results.py', 'x=none.json', check=False)
    assert done.returncode and 'none.json' in done.stdout


def test_tiny_config_changes_only_what_it_may(tmp_path):
    full, tiny = load_config(str(ROOT / 'configs' / NAME)), tiny_config(NAME, tmp_path, tmp_path)
    assert tiny.model.head.loss_metric == full.model.head.loss_metric
    assert tiny.optim_wrapper == full.optim_wrapper and tiny.param_scheduler == full.param_scheduler
    assert [step.type for step in tiny.train_dataloader.dataset.pipeline] == [
        step.type for step in full.train_dataloader.dataset.pipeline
    ]
