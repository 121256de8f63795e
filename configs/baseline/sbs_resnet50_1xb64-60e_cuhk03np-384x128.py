_base_ = ['./sbs_resnet50_1xb64-60e_market1501-384x128.py']

_data = dict(type='CUHK03NP', data_root='data/cuhk03_np_detected', variant='detected')
train_dataloader = dict(dataset=_data)
val_dataloader = dict(dataset=_data)
test_dataloader = val_dataloader
