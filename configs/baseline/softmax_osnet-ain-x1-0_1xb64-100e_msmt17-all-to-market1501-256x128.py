# OSNet-AIN on all of MSMT17, tested on a data set that it has never seen (Zhou et al., TPAMI 2021), with settings of
# torchreid for Market-1501 (im_osnet_ain_x1_0_softmax_256x128_amsgrad_cosine). The weights are those of its model zoo,
# to be put into checkpoints/.
_base_ = ['./softmax_osnet-x1-0_1xb64-150e_market1501-256x128.py']

_weights = dict(checkpoint='checkpoints/osnet_ain_x1_0_imagenet.pth')
model = dict(backbone=dict(variant='ain', init_cfg=_weights), matcher=dict(type='CosineMatcher'))

train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(128, 256)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorJitter', brightness=0.2, contrast=0.15),
    dict(type='PackReIDInputs'),
]
train_dataloader = dict(
    dataset=dict(type='MSMT17', data_root='data/MSMT17_V1', combine_all=True, pipeline=train_pipeline)
)

param_scheduler = [dict(type='CosineAnnealingLR', T_max=100, by_epoch=True)]
train_cfg = dict(max_epochs=100)
