# CM-NAS in minutes on a CPU: searches which norms a narrow ResNet-18 shares on procedural people. Writes arch.json for
# cmnas_resnet18_1xb64-40e_procedural-64x32.py.
_base_ = [
    '../_base_/models/cmnas_resnet18.py',
    '../_base_/datasets/procedural_sysu.py',
    '../_base_/schedules/cmnas_search_40e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(base_channels=16, init_cfg=None),
    neck=dict(in_channels=128),
    head=dict(in_channels=128, weight_losses=('ce', 'triplet')),
    mutator=dict(type='BNMutator'),
)
train_dataloader = dict(
    sampler=dict(batches_per_epoch=5),
    dataset=dict(_delete_=True, type='ImageSplit', part=0, dataset=_base_.train_dataloader.dataset),
)
custom_hooks = [*_base_.custom_hooks, dict(type='ArchLogHook'), dict(type='ArchFreezeHook')]
auto_scale_lr = dict(base_batch_size=64)
