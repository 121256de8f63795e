# Camera styles of MSMT17.
_base_ = ['./stargan_1xb16-220e_market1501-256x128.py']

train_dataloader = dict(dataset=dict(type='MSMT17', data_root='data/MSMT17_V1'))
