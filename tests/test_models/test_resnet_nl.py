# Copyright (c) mmreid contributors. All rights reserved.
import re

import pytest
import torch
import torchvision
from mmcv.cnn import NonLocal2d

from mmreid.models import ResNetIBN, ResNetNL
from mmreid.registry import MODELS
from mmreid.utils.load_report import load_weights

SMALL = dict(depth=18, stem_channels=8, base_channels=8)
PLACES = ('layer1.1', 'layer2.0', 'layer2.1')


def plain():
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='ResNet', **SMALL))
    backbone.init_weights()
    return backbone


def test_blocks_are_where_agw_has_them():
    backbone = ResNetNL(50)
    found = {name for name, module in backbone.named_modules() if isinstance(module, NonLocal2d)}
    places = ('layer2.2', 'layer2.3', 'layer3.3', 'layer3.4', 'layer3.5')
    assert found == {f'{place}.non_local' for place in places}
    block = backbone.layer2[2].non_local
    assert (block.mode, block.in_channels, block.inter_channels) == ('dot_product', 512, 256)


def test_torchvisions_weights_load_but_for_the_new_blocks():
    with torch.device('meta'):
        official = torchvision.models.resnet50(weights=None).state_dict()
    ours = {key: value.shape for key, value in ResNetNL(50).state_dict().items()}
    assert set(official) - set(ours) == {'fc.weight', 'fc.bias'}
    assert all('.non_local.' in key for key in set(ours) - set(official))
    assert all(ours[key] == value.shape for key, value in official.items() if key in ours)


@pytest.mark.parametrize('initialize', [False, True])
def test_with_the_weights_of_a_plain_resnet_it_begins_as_that_resnet(initialize):
    """Also when its own initial weights were drawn before, as a Runner does."""
    reference = plain()
    backbone = ResNetNL(**SMALL, non_local=(1, 2, 0, 0))
    if initialize:
        backbone.init_weights()
    report = load_weights(backbone, reference.state_dict())
    assert not report.unused and not report.reshaped
    assert {key.partition('.non_local.')[0] for key in report.missing} == set(PLACES)
    x = torch.rand(2, 3, 64, 32)
    for mode in (True, False):
        reference.train(mode)
        backbone.train(mode)
        torch.testing.assert_close(backbone(x)[0], reference(x)[0])


def test_initial_weights_from_a_file_keep_the_beginning(tmp_path, mmreid_log):
    reference = plain()
    torch.save(dict(state_dict=reference.state_dict()), tmp_path / 'plain.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'plain.pth'))
    backbone = MODELS.build(dict(type='ResNetNL', **SMALL, non_local=(1, 2, 0, 0), init_cfg=init_cfg))
    backbone.init_weights()
    assert 'missing keys in source state_dict: layer1.1.non_local' in mmreid_log.text
    x = torch.rand(2, 3, 64, 32)
    torch.testing.assert_close(backbone(x)[0], reference(x)[0])


def test_far_places_matter_once_it_has_learned():
    backbone = ResNetNL(**SMALL, non_local=(1, 0, 0, 0), out_indices=(0,))
    x = torch.rand(2, 3, 128, 64)
    maps = backbone(x)[0]
    maps.square().sum().backward()
    block = backbone.layer1[1].non_local
    norm = block.conv_out.bn
    assert all(p.grad is not None for name, p in backbone.layer1.named_parameters()) and norm.weight.grad.any()
    block.init_weights(std=0.5)
    changed = x.clone()
    changed[:, :, :4] += 1  # in the field of the first rows only
    for scale, differs in ((0.0, False), (1.0, True)):
        torch.nn.init.constant_(norm.weight, scale)
        backbone.eval()
        difference = (backbone(changed)[0] - backbone(x)[0]).abs()[:, :, -1].max()
        assert (difference > 1e-4) == differs


def test_instance_norms_and_the_official_width_inside():
    backbone = ResNetNL(**SMALL, non_local=(0, 2, 1, 0), non_local_cfg=dict(reduction=2048), ibn='a')
    assert backbone.layer2[0].non_local.inter_channels == 1 and hasattr(backbone.layer1[0].bn1, 'IN')
    assert backbone(torch.rand(2, 3, 64, 32))[0].shape == (2, 64, 2, 1)


def test_without_any_it_is_a_plain_resnet():
    assert load_weights(ResNetNL(**SMALL, non_local=(0, 0, 0, 0)), plain().state_dict()).is_exact
    assert load_weights(ResNetIBN(**SMALL, ibn=None), plain().state_dict()).is_exact


@pytest.mark.parametrize('wrong', [(0, 2, 3), (0, 3, 0, 0), (0, 0, -1, 0)])
def test_blocks_without_a_place_are_refused(wrong):
    with pytest.raises(ValueError, match=rf'non_local={re.escape(str(wrong))} .*ResNetNL-18.* \(2, 2, 2, 2\)'):
        ResNetNL(**SMALL, non_local=wrong)
