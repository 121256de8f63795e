# SpCL without labels on MSMT17: 800 batches in an epoch.
_base_ = ['./spcl_resnet50_1xb64-50e_market1501-256x128.py']

data = dict(type='MSMT17', data_root='data/MSMT17_V1')
train_dataloader = dict(batch_sampler=dict(batches_per_epoch=800), dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
