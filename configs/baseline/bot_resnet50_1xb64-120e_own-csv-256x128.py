# Template for own images that a CSV file lists (img_path,pid,camid,split); see docs/en/user_guides/own_data.md.
_base_ = ['./bot_resnet50_1xb64-120e_market1501-256x128.py']

_data = dict(_delete_=True, type='CsvReIDDataset', data_root='data/own', ann_file='labels.csv', name='own')
train_dataloader = dict(dataset=dict(**_data, split='train', pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(dataset=dict(**_data, split='test', pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
