# Cluster Contrast without labels on MSMT17: 400 batches in an epoch.
_base_ = ['./cluster-contrast_resnet50_1xb256-50e_market1501-256x128.py']

data = dict(type='MSMT17', data_root='data/MSMT17_V1')
train_dataloader = dict(batch_sampler=dict(batches_per_epoch=400), dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
