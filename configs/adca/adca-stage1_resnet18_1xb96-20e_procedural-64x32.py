# Stage 1 of ADCA in minutes on a CPU: a narrow ResNet-18 on procedural people without labels. Give it the weights of a
# network that has seen other people: --cfg-options load_from=... The "Try it" section of docs/en/methods/adca.md makes
# the data.
_base_ = [
    '../_base_/models/adca_resnet50.py',
    '../_base_/datasets/procedural_sysu.py',
    '../_base_/schedules/adam_20e_cosine.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(depth=18, base_channels=16, norm_cfg=dict(_delete_=True, type='mmreid.BranchBN2d'), init_cfg=None),
    neck=dict(in_channels=128, norm_cfg=None),
    head=dict(in_channels=128),
)
data_root = 'data/procedural-unlabeled-vi'
_view = [*_base_.train_pipeline[2:4], dict(type='RedrawnErasing', fill_color=(129.1, 143.8, 152.4))]
_drawn = dict(type='MultiGalleryBatchSampler', num_instances=4, batches_per_epoch=16)
train_dataloader = dict(
    batch_size=96,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    batch_sampler=dict(
        _delete_=True,
        type='MultiDomainBatchSampler',
        parts=[
            dict(modality='visible', batch_size=32, batch_sampler=_drawn),
            dict(modality='infrared', batch_size=64, batch_sampler=_drawn),
        ],
    ),
    dataset=dict(
        data_root=data_root,
        pipeline=[
            *_base_.train_pipeline[:2],
            dict(
                type='ModalityViews',
                visible=[_view, [*_view, dict(type='ChannelExchange')]],
                infrared=[[*_view, dict(type='AdaptiveGray')]],
            ),
        ],
    ),
)
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
# Eight infrared images of each person: shorter lists of neighbors than for the 20 of SYSU-MM01.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='PseudoLabelHook', clustering=dict(type='JaccardDBSCAN', eps=0.5, k1=8, k2=3), mirror=True),
]
auto_scale_lr = dict(base_batch_size=96, enable=False)
