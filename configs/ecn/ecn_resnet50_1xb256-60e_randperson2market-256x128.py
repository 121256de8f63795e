# ECN from RandPerson (synthetic) to Market-1501.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

source = dict(type='RandPerson', data_root='data/randperson_subset', split='train', pipeline={{_base_.source_pipeline}})
train_dataloader = dict(dataset=dict(datasets=[source, {{_base_.target}}]))
