# ECN from MSMT17 to DukeMTMC-reID. DukeMTMC-reID was withdrawn by its owners, see docs/en/datasets/dukemtmc.md.
_base_ = ['./ecn_resnet50_1xb256-60e_msmt2market-256x128.py']

target = dict(type='DukeMTMC', data_root='data/DukeMTMC-reID', split='train', pipeline={{_base_.target_pipeline}})
train_dataloader = dict(dataset=dict(datasets=[{{_base_.source}}, target]))
val_dataloader = dict(dataset=dict(type='DukeMTMC', data_root='data/DukeMTMC-reID'))
test_dataloader = val_dataloader
