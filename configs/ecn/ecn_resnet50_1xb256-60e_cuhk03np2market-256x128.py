# ECN from CUHK03-NP (boxes drawn by hand) to Market-1501.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

source = dict(
    type='CUHK03NP',
    data_root='data/cuhk03_np_labeled',
    variant='labeled',
    split='train',
    pipeline={{_base_.source_pipeline}},
)
train_dataloader = dict(dataset=dict(datasets=[source, {{_base_.target}}]))
