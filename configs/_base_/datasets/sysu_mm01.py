# SYSU-MM01 at 256x128, batches of 16 identities x (4 visible + 4 infrared) images per GPU.
_base_ = ['./reid_256x128.py']

dataset_type = 'SYSUMM01'
data_root = 'data/SYSU-MM01'

train_dataloader = dict(
    batch_size=128,
    batch_sampler=dict(instance_sampler=dict(type='CrossModalityInstanceSampler', num_instances=4)),
    dataset=dict(type=dataset_type, data_root=data_root),
)
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root, mode='all'))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='SYSUMetric')  # all search, single-shot
test_evaluator = dict(_delete_=True, type='SYSUMetric', mode=('all', 'indoor'), shot=(1, 10))
