# CM-NAS on SYSU-MM01: searches which norms the modalities share. Writes arch.json for cmnas_*_sysu-256x128.py.
_base_ = [
    '../_base_/models/cmnas_resnet50.py',
    '../_base_/datasets/sysu_mm01.py',
    '../_base_/schedules/cmnas_search_40e.py',
    '../_base_/default_runtime.py',
]

model = dict(mutator=dict(type='BNMutator'), head=dict(weight_losses=('ce', 'triplet')))
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ImageSplit', part=0, dataset=_base_.train_dataloader.dataset),
)
custom_hooks = [*_base_.custom_hooks, dict(type='ArchLogHook'), dict(type='ArchFreezeHook')]
