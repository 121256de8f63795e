# Ablation: exemplar and neighborhood invariance, on the real target images.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

model = dict(head=dict(invariance=dict(camera=False)))
target = dict(
    type='Market1501',
    data_root='data/Market-1501-v15.09.15',
    split='train',
    pipeline=[dict(type='LoadReIDImage'), *_base_.target_pipeline[1:]],
)
train_dataloader = dict(dataset=dict(datasets=[{{_base_.source}}, target]))
