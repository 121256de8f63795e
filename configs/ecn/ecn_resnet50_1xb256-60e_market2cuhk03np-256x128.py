# ECN from Market-1501 to CUHK03-NP (boxes drawn by hand). There are no published styled images of it.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

source = dict(
    type='Market1501', data_root='data/Market-1501-v15.09.15', split='train', pipeline={{_base_.source_pipeline}}
)
target = dict(
    type='CUHK03NP',
    data_root='data/cuhk03_np_labeled',
    variant='labeled',
    split='train',
    pipeline={{_base_.target_pipeline}},
)
train_dataloader = dict(dataset=dict(datasets=[source, target]))
val_dataloader = dict(dataset=dict(type='CUHK03NP', data_root='data/cuhk03_np_labeled', variant='labeled'))
test_dataloader = val_dataloader
