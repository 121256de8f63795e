# ECN from MSMT17 to DukeMTMC-reID.
_base_ = ['./ecn_resnet50_1xb256-60e_duke2market-256x128.py']

source = dict(type='MSMT17', data_root='data/MSMT17_V1', split='train', pipeline={{_base_.source_pipeline}})
target = dict(type='DukeMTMC', data_root='data/DukeMTMC-reID', split='train', pipeline={{_base_.target_pipeline}})
train_dataloader = dict(dataset=dict(datasets=[source, target]))
val_dataloader = dict(dataset=dict(type='DukeMTMC', data_root='data/DukeMTMC-reID'))
test_dataloader = val_dataloader
