# The same from DukeMTMC-reID. DukeMTMC-reID was withdrawn by its owners, see docs/en/datasets/dukemtmc.md.
_base_ = ['./ecn-official_resnet50_1xb256-60e_market2msmt-256x128.py']

source = dict(type='DukeMTMC', data_root='data/DukeMTMC-reID', split='train', pipeline={{_base_.source_pipeline}})
train_dataloader = dict(dataset=dict(datasets=[source, {{_base_.target}}]))
