# One model for three data sets, tested on each in one run, with one table. Their identities stay separate. To test on
# an unseen data set, remove it from training.
_base_ = ['./bot_resnet50_1xb64-120e_market1501-256x128.py']

_sets = [
    dict(type='Market1501', data_root='data/Market-1501-v15.09.15'),
    dict(type='MSMT17', data_root='data/MSMT17_V1'),
    dict(type='CUHK03NP', data_root='data/cuhk03_np_detected', variant='detected'),
]
_train = dict(split='train', pipeline={{_base_.train_pipeline}})
_test = dict(split='test', pipeline={{_base_.test_pipeline}})
_loader = dict(batch_size=128, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False))

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatReIDDataset',
        datasets=[dict(**_sets[0], **_train), dict(**_sets[1], **_train), dict(**_sets[2], **_train)],
    ),
)
val_dataloader = [
    dict(**_loader, dataset=dict(**_sets[0], **_test)),
    dict(**_loader, dataset=dict(**_sets[1], **_test)),
    dict(**_loader, dataset=dict(**_sets[2], **_test)),
]
test_dataloader = val_dataloader
