# Search for 40 epochs, the first 10 of the weights alone: Adam for both; the weights' rates are those of training,
# divided by 10 after 20 and 30. The search of CM-NAS was never released; the architecture's optimizer is that of TF-NAS
# (Hu et al., ECCV 2020).
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    weights=dict(
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999), weight_decay=5e-4),
        paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=10.0), head=dict(lr_mult=10.0))),
    ),
    arch=dict(
        optimizer=dict(type='Adam', lr=1e-2, betas=(0.5, 0.999), weight_decay=5e-4),
        clip_grad=dict(max_norm=5),
        modules=['mutator'],
    ),
)
param_scheduler = dict(weights=[dict(type='MultiStepLR', milestones=[20, 30], gamma=0.1, by_epoch=True)], arch=[])
# The training images must be an ImageSplit with part=0; the architecture is judged on part 1.
train_cfg = dict(
    type='ArchSearchLoop',
    max_epochs=40,
    val_interval=40,
    warmup_epochs=10,
    arch_interval=1,
    bilevel=True,
    order='first',
    arch_dataloader=dict(dataset=dict(part=1)),
)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Identities x images x modalities of all GPUs that the learning rates were chosen for.
auto_scale_lr = dict(base_batch_size=128, enable=False)
