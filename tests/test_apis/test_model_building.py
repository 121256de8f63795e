# Copyright (c) mmreid contributors. All rights reserved.
"""Models from names, configs, checkpoints and folders."""

import shutil

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry
from tiny_config import ROOT, shipped_configs
from tiny_models import MODELS_BY_KIND, trained

from mmreid.apis import get_model, init_model, list_models
from mmreid.apis.model_building import contract_of_model
from mmreid.apis.model_list import find_model
from mmreid.apis.plain_config import build_described
from mmreid.models.reid.inference_contract import contract_of
from mmreid.registry import MODELS
from mmreid.structures import InferenceContract
from mmreid.utils.config import load_config
from mmreid.utils.meta_device import meta_device

BOT = 'bot_resnet50_1xb64-120e_market1501-256x128'


def test_names_are_those_of_the_metafiles():
    names = list_models()
    assert BOT in names and names == sorted(names) and len(names) > 50
    assert {f'{find_model(name).config.name}' for name in names} <= {path.split('/')[-1] for path in shipped_configs()}
    assert list_models('bot_*market', ['bot_resnet', 'bot-']) == [
        name for name in names if name.startswith('bot_') and 'market' in name and not name.startswith('bot_resnet')
    ]


@pytest.mark.parametrize('name', [BOT, f'mmreid::{BOT}', f'mmreid::baseline/{BOT}.py'])
def test_a_listed_model_is_found(name):
    assert find_model(name).config.stem == BOT


@pytest.mark.parametrize('name', ['bot_resnet50_market', 'mmreid::../../setup.py', 'mmreid::nothing.py'])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match=name.replace('.', r'\.')):
        get_model(name)


def test_a_name_without_weights_is_not_silently_random():
    with pytest.raises(ValueError, match=BOT):
        get_model(BOT, pretrained=True)


@pytest.mark.parametrize('kind', MODELS_BY_KIND)
def test_a_checkpoint_is_enough(kind, tmp_path):
    cfg, model = trained(kind, tmp_path / 'model.pth')
    loaded = get_model(tmp_path / 'model.pth')
    assert not loaded.training and contract_of_model(loaded) == contract_of(cfg, model)
    wanted = {key: value for key, value in model.state_dict().items() if not key.startswith('head.')}
    torch.testing.assert_close(dict(loaded.state_dict()), wanted, rtol=0, atol=0)


def test_a_folder_is_enough(tmp_path):
    cfg, model = trained('ImageReID', tmp_path / 'weights.pth')
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        get_model(tmp_path)
    (tmp_path / 'inference.json').write_text(contract_of(cfg, model).to_json())
    assert type(get_model(tmp_path)).__name__ == 'ImageReID'
    shutil.copy(tmp_path / 'weights.pth', tmp_path / 'more.pth')
    with pytest.raises(ValueError, match='2 files'):
        get_model(tmp_path)
    assert type(get_model(tmp_path, pretrained=tmp_path / 'more.pth')).__name__ == 'ImageReID'


def test_a_config_and_its_weights(tmp_path):
    cfg, model = trained('ImageReID', tmp_path / 'model.pth')
    loaded = init_model(cfg, tmp_path / 'model.pth')
    torch.testing.assert_close(dict(loaded.state_dict()), dict(model.state_dict()), rtol=0, atol=0)
    cfg.dump(tmp_path / 'config.py')
    assert get_model(tmp_path / 'config.py', flip_test=True).flip_test
    with pytest.raises(ValueError, match='flip_test'):
        get_model(tmp_path / 'model.pth', flip_test=True)


def test_weights_of_another_model_are_refused(tmp_path):
    cfg, _ = trained('ImageReID', tmp_path / 'model.pth')
    cfg.model.backbone.depth = 34
    with pytest.raises(ValueError, match='model.pth'):
        get_model(cfg, tmp_path / 'model.pth')


def test_weights_that_are_not_finite_are_refused(tmp_path):
    cfg, model = trained('ImageReID', tmp_path / 'model.pth')
    state = model.state_dict()
    state['neck.bn.running_var'][3] = float('nan')
    torch.save(dict(state_dict=state), tmp_path / 'nan.pth')
    with pytest.raises(ValueError, match='nan.pth.*neck.bn.running_var'):
        get_model(cfg, tmp_path / 'nan.pth')


def test_another_preparation_of_images_is_noticed(tmp_path, mmreid_log):
    cfg, _ = trained('ImageReID', tmp_path / 'model.pth')
    get_model(cfg, tmp_path / 'model.pth')
    assert 'model.pth' not in mmreid_log.text
    cfg.test_dataloader.dataset.pipeline[1].scale = (48, 96)
    get_model(cfg, tmp_path / 'model.pth')
    assert 'model.pth' in mmreid_log.text and '(96, 48)' in mmreid_log.text


def test_a_checkpoint_that_does_not_describe_its_model(tmp_path):
    torch.save(dict(state_dict=dict(a=torch.zeros(2))), tmp_path / 'plain.pth')
    with pytest.raises(ValueError, match='plain.pth'):
        get_model(tmp_path / 'plain.pth')


@pytest.mark.parametrize('scope', ['mmpretrain', 'elsewhere'])
def test_the_scope_of_another_project_is_left_alone(scope, tmp_path):
    if scope not in ROOT_MODELS.children:
        Registry('model', parent=ROOT_MODELS, scope=scope)
    cfg, _ = trained('CrossModalReID', tmp_path / 'model.pth')
    with DefaultScope.overwrite_default_scope(scope):
        assert type(get_model(tmp_path / 'model.pth')) is type(get_model(cfg))
        assert DefaultScope.get_current_instance().scope_name == scope


# One config of each kind of backbone, neck and matcher.
SHIPPED = [
    'baseline/bot_swin-tiny_1xb64-120e_market1501-256x128.py',
    'baseline/bot_convnext-tiny_1xb64-120e_market1501-256x128.py',
    'baseline/bot_vit-small_1xb64-120e_market1501-256x128.py',
    'baseline/agw_resnet50-ibna_1xb64-120e_market1501-256x128.py',
    'baseline/pixels_procedural-64x32.py',
    'baseline/pcb_resnet50_1xb64-60e_market1501-384x128.py',
    *(
        next(name for name in shipped_configs() if part in name)
        for part in ('osnet', 'gs/qaconv', 'cmnas/cmnas', 'ecn/')
    ),
]


@pytest.mark.parametrize('name', SHIPPED)
def test_shipped_models_are_built_again_from_their_description(name):
    cfg = load_config(str(ROOT / 'configs' / name))
    if str(cfg.model.get('arch')).endswith('.json'):
        cfg.model.arch = 'split'
    steps = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    preprocessor = MODELS.build(dict(steps, type='ReIDDataPreprocessor'))
    with meta_device(), DefaultScope.overwrite_default_scope('mmreid'):
        model = MODELS.build(cfg.model)
    model.data_preprocessor = preprocessor  # without memory it would have no mean
    contract = InferenceContract.from_json(contract_of(cfg, model).to_json(), name)
    with meta_device():
        again = build_described(contract, 1000, 10**9, name)
    shapes = {key: value.shape for key, value in model.state_dict().items() if not key.startswith('head.')}
    assert {key: value.shape for key, value in again.state_dict().items()} == shapes
