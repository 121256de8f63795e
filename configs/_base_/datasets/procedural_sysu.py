# Procedural people in the layout of SYSU-MM01, batches of 8 identities x (4 visible + 4 infrared) images per GPU. The
# "Try it" section of docs/en/methods/cmnas.md makes the data.
_base_ = ['./procedural_64x32.py']

data_root = 'data/procedural-sysu'
train_dataloader = dict(
    batch_sampler=dict(instance_sampler=dict(type='CrossModalityInstanceSampler')),
    dataset=dict(type='SYSUMM01', data_root=data_root, name='procedural'),
)
val_dataloader = dict(dataset=dict(type='SYSUMM01', data_root=data_root, mode='all', name='procedural'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='SYSUMetric')  # all search, single-shot
test_evaluator = val_evaluator
