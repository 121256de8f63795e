# Copyright (c) mmreid contributors. All rights reserved.
"""Every shipped config builds at full size and runs, shrunk, for an iteration."""

import copy
import functools
from fnmatch import fnmatch

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tiny_config import ROOT, layout_of, shipped_configs, tiny_config
from tiny_data import write_clonedperson, write_market, write_own, write_styles
from tiny_search import InThisProcess
from tiny_world import small_world

from mmreid.datasets.synthetic import (
    CUHK03NPPlan,
    DukePlan,
    LLCMPlan,
    MSMT17Plan,
    RandPersonPlan,
    RegDBPlan,
    SYSUPlan,
    write_dataset,
)
from mmreid.engine.checks.schedule_end import late_end
from mmreid.engine.search import short_training_search_loop
from mmreid.engine.search.arch_space import ArchSpace
from mmreid.engine.search.search_rounds import Round, most_epochs
from mmreid.models import BaseReID
from mmreid.registry import MODELS, RUNNERS
from mmreid.utils.arch_io import load_arch
from mmreid.utils.config import TESTING, TRAINING, load_config
from mmreid.utils.meta_device import meta_device

GENERATORS = [name for name in shipped_configs() if name.startswith('camstyle/')]
CONFIGS = [name for name in shipped_configs() if name not in GENERATORS]
TRAINED = [name for name in CONFIGS if 'pixels' not in name]
# Their parts are also those of other configs, which the first tier trains; only numbers differ.
PARTS_OF_OTHERS = (
    'a*/*_regdb-*',
    'a*/*_llcm-*',
    'baseline/*-ibna_*',
    'cluster-contrast/*-uda_*_msmt2market-*',
    'cluster-contrast/*-uda_*_procedural-*',
    'cluster-contrast/*_msmt17-*',
    'cmnas/cmnas-ablation-[bc]*',
    'cmnas/cmnas-split-st*',
    'cmnas/cmnas-split-to-stage[12]_*',
    'cmnas/cmnas-split_*_[lr]*',
    'ecn/*_market2*',
    'ecn/ecn-e[cn]_*',
    'gs/*_msmt17-all-*',
    'spcl/*_msmt2market-*',
    'spcl/*-uda_*_procedural-*',
    'spcl/*_msmt17-*',
)
SECOND_TIER = [name for name in TRAINED if any(fnmatch(name, pattern) for pattern in PARTS_OF_OTHERS)]
SEARCHES = [name for name in CONFIGS if name.startswith('cmnas/cmnas-search_')]  # by short trainings


@pytest.fixture(scope='module')
def market(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp('market'))


@pytest.fixture(scope='module')
def data_of(market, tmp_path_factory):
    """Gives the root of a small data set in a layout; each is made once, when it is first asked for."""
    roots = dict(Market1501=market, ClonedPerson=write_clonedperson(tmp_path_factory.mktemp('cloned')))
    roots['CsvReIDDataset'] = roots['FolderReIDDataset'] = write_own(tmp_path_factory.mktemp('own'))
    plans = dict(
        SYSUMM01=(SYSUPlan(train_ids=4, val_ids=2, test_ids=3, images_per_camera=10), dict(cameras=6, infrared=(2, 5))),
        RegDB=(RegDBPlan(ids=8, images_per_camera=4), dict(cameras=2, infrared=(1,))),
        CUHK03NP=(CUHK03NPPlan(train_ids=3, test_ids=3, images_per_camera=2), dict(cameras=2)),
        DukeMTMC=(DukePlan(train_ids=5, test_ids=3), dict(cameras=2)),
        MSMT17=(MSMT17Plan(train_ids=5, test_ids=3), dict(cameras=2)),
        RandPerson=(RandPersonPlan(train_ids=5), dict(cameras=2)),
        LLCM=(LLCMPlan(train_ids=4, test_ids=3), dict(cameras=17, infrared=LLCMPlan.INFRARED)),
    )

    write_styles(dict(type='Market1501', data_root=str(market)))

    def root_of(layout):
        if layout not in roots:
            plan, cameras = plans[layout]
            roots[layout] = tmp_path_factory.mktemp('data') / layout
            write_dataset(roots[layout], small_world(size=(48, 24), cluster_fraction=0.0, **cameras), plan)
            if layout in ('CUHK03NP', 'DukeMTMC', 'MSMT17'):
                variant = dict(variant='labeled') if layout == 'CUHK03NP' else {}
                folder = roots[layout] / 'bounding_box_train_camstyle' if layout == 'MSMT17' else None
                write_styles(dict(type=layout, data_root=str(roots[layout]), **variant), folder, own=folder is None)
        return roots[layout]

    return root_of


@functools.cache
def full(name):
    """Loads a config once; who changes it takes a copy."""
    return load_config(
        str(ROOT / 'configs' / name),
        required=TESTING if name not in TRAINED else {*TRAINING, *TESTING, 'auto_scale_lr'},
    )


def pipeline_of(cfg):
    loader = cfg.test_dataloader
    return (loader[0] if isinstance(loader, list) else loader).dataset.pipeline


@pytest.mark.parametrize('name', CONFIGS)
def test_builds_at_full_size_on_the_meta_device(name):
    cfg = copy.deepcopy(full(name))
    height, width = next(step.scale[::-1] for step in pipeline_of(cfg) if step.type == 'Resize')
    with DefaultScope.overwrite_default_scope('mmreid'), meta_device():
        if cfg.model.get('head'):
            cfg.model.head.num_classes = 751
        if str(cfg.model.get('arch')).endswith('.json'):
            cfg.model.arch = 'split'  # stands in for what a search writes
        model = MODELS.build(cfg.model)
        model.eval()
        if isinstance(model, BaseReID) and model.branches is not None:
            model.branches.set_only(model.branches.names[0])
        features = model(torch.zeros(2, 3, height, width), mode='tensor')
    assert features.shape[0] == 2 and features.is_meta
    if getattr(getattr(model, 'head', None), 'classifier', None) is not None:
        assert model.head.classifier.weight.shape == (751, cfg.model.head.in_channels)


def chain(path):
    """Counts the files from a config down to its deepest base."""
    return 1 + max((chain(path.parent / base) for base in Config._get_base_files(str(path))), default=0)


def test_no_config_inherits_through_more_than_four_files():
    deep = {name: chain(ROOT / 'configs' / name) for name in shipped_configs()}
    assert max(deep.values()) == 4, {name: depth for name, depth in deep.items() if depth > 4}


@pytest.mark.parametrize('name', TRAINED)
def test_no_schedule_is_longer_than_its_training(name):
    cfg = full(name)
    assert late_end(cfg.get('param_scheduler'), cfg.train_cfg.max_epochs, 10**9) is None


@pytest.mark.parametrize('name', CONFIGS)
def test_name_tells_the_numbers(name):
    cfg = full(name)
    stem = name.split('/')[-1].removesuffix('.py')
    resize = next(step for step in pipeline_of(cfg) if step.type == 'Resize')
    assert stem.endswith('{1}x{0}'.format(*resize.scale))
    if name in TRAINED:
        assert f'xb{cfg.train_dataloader.batch_size}-{cfg.train_cfg.max_epochs}e_' in stem
        assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size * int(stem.split('_')[2][0])
        schedule = cfg.param_scheduler['weights'] if isinstance(cfg.param_scheduler, dict) else cfg.param_scheduler
        assert not schedule or schedule[-1].get('end', cfg.train_cfg.max_epochs) in (cfg.train_cfg.max_epochs, 1.0)


@pytest.mark.parametrize('name', SEARCHES)
def test_searches_by_short_trainings(name, data_of, tmp_path, monkeypatch):
    monkeypatch.setattr(short_training_search_loop, 'SideProcess', InThisProcess)
    full_size = copy.deepcopy(full(name).train_cfg)
    cfg = tiny_config(name, data_of, tmp_path)
    cfg.train_dataloader.sampler.batches_per_epoch = 1
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.folds = 2  # the tiny data sets have few people
    cfg.train_cfg.rounds = [dict(epochs=1, folds=1, new=2), dict(epochs=1, folds=2, keep=1)]
    runner: Runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    runner.train()
    assert load_arch(tmp_path / 'arch.json').norms.keys() == runner.model.arch.keys()
    assert len((tmp_path / 'candidates.jsonl').read_text().splitlines()) == 4
    space = ArchSpace(full_size.blocks, runner.model.arch)
    assert space.size == 32 and sum(map(len, space.blocks.values())) == len(runner.model.arch)
    most = most_epochs([Round(**entry) for entry in full_size.rounds], space.size)
    assert full_size.max_trainings == 3 and most <= 3 * full_size.max_epochs


@pytest.mark.parametrize(
    'name',
    [
        *sorted(set(TRAINED) - set(SEARCHES) - set(SECOND_TIER)),
        *(pytest.param(name, marks=pytest.mark.long) for name in SECOND_TIER),
    ],
)
def test_trains_validates_and_tests(name, data_of, tmp_path):
    cfg = tiny_config(name, data_of, tmp_path)
    sampler = cfg.train_dataloader.sampler
    parts = cfg.train_dataloader.get('batch_sampler', {}).get('parts', [])
    for identity_sampler in (sampler, *(part.sampler for part in parts if 'sampler' in part)):
        if identity_sampler.type != 'DefaultSampler':
            identity_sampler.batches_per_epoch = 1
    whole = cfg.train_dataloader.get('batch_sampler', {})
    for drawing in (whole, *(part.get('batch_sampler', {}) for part in parts)):
        if drawing.get('type') == 'MultiGalleryBatchSampler':
            drawing.batches_per_epoch = 1
    if sampler.get('warmup', 0) < cfg.train_cfg.max_epochs:
        sampler.pop('warmup', None)  # so that the graph is in the one epoch
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    if 'warmup_epochs' in cfg.train_cfg:
        cfg.train_cfg.warmup_epochs = 0
    for hook in cfg.custom_hooks:
        if hook.type == 'FreezeHook':
            hook.end = 0
    runner: Runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == len(runner.train_dataloader) and (runner.iter == 1 or sampler.type == 'DefaultSampler')
    # Some start with no gradient (norms behind a residual branch that begins at zero), but most must move.
    moved = [key for key, value in runner.model.named_parameters() if not torch.equal(value, before[key])]
    learning = {key for key, value in runner.model.named_parameters() if value.requires_grad}
    expected = {'head.classifier.weight', 'neck.bn.weight', 'matcher.fc.weight'} & learning
    assert len(moved) > len(before) / 2 and expected <= set(moved)
    metrics = runner.test()
    data_set = runner.test_dataloader.dataset
    found = {key: value for key, value in metrics.items() if key.startswith(data_set.name) and key.endswith('/mAP')}
    assert found and all(0 < value <= 100 for value in found.values())
    if layout_of(name) == 'Market1501':
        assert metrics[f'{data_set.name}/num_valid_query'] == 8


@pytest.mark.parametrize('name', sorted(set(CONFIGS) - set(TRAINED)))
def test_floor_tests(name, market, tmp_path):
    metrics = RUNNERS.get('ReIDRunner').from_cfg(tiny_config(name, market, tmp_path)).test()
    assert metrics['procedural/mAP'] > 90  # the color of each test image tells its identity


@pytest.mark.parametrize('name', GENERATORS)
def test_generator_builds_at_full_size_on_the_meta_device(name):
    cfg = load_config(str(ROOT / 'configs' / name), required={*TRAINING, 'auto_scale_lr', 'param_scheduler'})
    with DefaultScope.overwrite_default_scope('mmreid'), torch.device('meta'):
        model = MODELS.build(dict(cfg.model, cameras=range(3)))
        height, width = cfg.model.size
        images = torch.zeros(2, 3, height, width)
        assert model(images).shape == (2, 3, 3, height, width)
        scores, logits = model.discriminator(images)
    patch = 2**cfg.model.discriminator.num_layers
    assert scores.shape == (2, 1, height // patch, width // patch) and logits.shape == (2, 3)
    iterations = cfg.train_cfg.max_epochs * cfg.train_dataloader.batch_sampler.batches_per_epoch
    assert [(entry['begin'], entry['end']) for entry in cfg.param_scheduler] == [(iterations // 2, iterations)]
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size
    stem = name.split('/')[-1]
    assert f'1xb{cfg.train_dataloader.batch_size}-{cfg.train_cfg.max_epochs}e_' in stem
    assert stem.endswith(f'-{height}x{width}.py')
    if 'procedural' not in name:
        assert iterations == 220_000 and (height, width) == (256, 128)


@pytest.mark.parametrize('name', GENERATORS)
def test_generator_trains(name, data_of, tmp_path):
    cfg = tiny_config(name, data_of, tmp_path)
    cfg.train_dataloader.batch_sampler.batches_per_epoch = 1
    cfg.train_cfg.max_epochs = cfg.model.n_critic = 1  # so that the one iteration trains both networks
    runner: Runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    assert len(runner.model.cameras) == len(set(runner.train_dataloader.dataset.camids.tolist()))
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    after = dict(runner.model.named_parameters())
    assert runner.iter == 1 and all(not torch.equal(after[key], value) for key, value in before.items())
    assert len(list(tmp_path.rglob('style_grid_1.png'))) == 1


@pytest.mark.parametrize('name', [*CONFIGS, *GENERATORS])
def test_ships_no_dead_host_and_survives_a_round_trip(name, tmp_path):
    cfg = load_config(str(ROOT / 'configs' / name))
    sections = {key: value for key, value in cfg.items() if not key.startswith('_')}
    assert '_delete_' not in str(sections)  # left over where the base has nothing to delete
    cfg.dump(tmp_path / 'dumped.py')
    assert 'openmmlab.com' not in (tmp_path / 'dumped.py').read_text()
    assert load_config(str(tmp_path / 'dumped.py')).to_dict() == cfg.to_dict()


def test_no_forbidden_words_in_the_tree():
    forbidden = ('.cu' + 'da()', 'mmcv.o' + 'ps', 'download.openmm' + 'lab.com', 'weights_only=' + 'False')
    for path in [*(ROOT / 'mmreid').rglob('*.py'), *(ROOT / 'tools').rglob('*.py'), *(ROOT / 'configs').rglob('*.py')]:
        text = path.read_text()
        assert not [word for word in forbidden if word in text], path


def test_several_test_sets_in_one_run(market, tmp_path):
    cfg = tiny_config('baseline/bot_resnet50_1xb64-120e_market1501-256x128.py', market, tmp_path)
    first, second = copy.deepcopy(cfg.test_dataloader), copy.deepcopy(cfg.test_dataloader)
    second.dataset.update(name='other', indices=[0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    cfg.test_dataloader = [first, second]
    for section in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[section] = None
    metrics = RUNNERS.get(cfg.runner_type).from_cfg(cfg).test()
    assert (metrics['market1501/num_query'], metrics['other/num_query']) == (8, 4)
    log = ''.join(path.read_text() for path in tmp_path.rglob('*.log'))
    assert '| market1501 |' in log and '| other      |' in log

    cfg.test_dataloader[1].dataset.name = 'market1501'
    cfg.experiment_name += 'x'
    with pytest.raises(ValueError, match="'market1501/.*dataset.name"):
        RUNNERS.get(cfg.runner_type).from_cfg(cfg).test()
