# SpCL without labels on Market-1501.
_base_ = [
    '../_base_/models/spcl_resnet50.py',
    '../_base_/datasets/unlabeled_256x128.py',
    '../_base_/schedules/adam_50e_step.py',
    '../_base_/default_runtime.py',
]

data = dict(type='Market1501', data_root='data/Market-1501-v15.09.15')
train_dataloader = dict(batch_size=64, batch_sampler=dict(num_instances=4, batches_per_epoch=400), dataset=data)
val_dataloader = dict(dataset=data)
test_dataloader = val_dataloader
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='PseudoLabelHook',
        clustering=dict(type='SelfPacedDBSCAN', eps=0.6, min_samples=4, k1=30, k2=6, eps_gap=0.02),
        outliers='own',
    ),
]
auto_scale_lr = dict(base_batch_size=64)
