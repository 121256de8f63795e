# ECN from DukeMTMC-reID to MSMT17.
_base_ = ['./ecn_resnet50_1xb256-60e_duke2market-256x128.py']

# No random erasing, as in the official code for this target. Styled images are in one folder of the data set.
source_pipeline = [step for step in _base_.source_pipeline if step['type'] != 'RandomErasing']
target_pipeline = [
    dict(type='LoadCamStyleImage', folder='data/MSMT17_V1/bounding_box_train_camstyle'),
    *[step for step in _base_.target_pipeline[1:] if step['type'] != 'RandomErasing'],
]
source = dict(type='DukeMTMC', data_root='data/DukeMTMC-reID', split='train', pipeline=source_pipeline)
target = dict(type='MSMT17', data_root='data/MSMT17_V1', split='train', pipeline=target_pipeline)
train_dataloader = dict(dataset=dict(datasets=[source, target]))
val_dataloader = dict(dataset=dict(type='MSMT17', data_root='data/MSMT17_V1'))
test_dataloader = val_dataloader
