# SGD for 60 epochs over the source, a tenth of the rate for the backbone, divided by 10 after 40 (official ECN code).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
param_scheduler = [dict(type='MultiStepLR', milestones=[40], gamma=0.1, by_epoch=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=60, val_interval=20)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Source and target images of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=256, enable=False)
