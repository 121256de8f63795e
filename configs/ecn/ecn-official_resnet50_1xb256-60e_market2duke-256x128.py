# The same from Market-1501 to DukeMTMC-reID.
_base_ = ['./ecn-official_resnet50_1xb256-60e_duke2market-256x128.py']

source = dict(
    type='Market1501', data_root='data/Market-1501-v15.09.15', split='train', pipeline={{_base_.source_pipeline}}
)
target = dict(type='DukeMTMC', data_root='data/DukeMTMC-reID', split='train', pipeline={{_base_.target_pipeline}})
train_dataloader = dict(dataset=dict(datasets=[source, target]))
val_dataloader = dict(dataset=dict(type='DukeMTMC', data_root='data/DukeMTMC-reID'))
test_dataloader = val_dataloader
