# Adam for 120 epochs, ten times the rate for neck and classifier: 10 epochs of warm-up, divided by 10 after 40 and 70
# (official CM-NAS code, train_sysu.sh).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999), weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=10.0), head=dict(lr_mult=10.0))),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=11, by_epoch=True),
    dict(type='MultiStepLR', milestones=[40, 70], gamma=0.1, by_epoch=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=120, val_interval=40)
val_cfg = dict(type='ReIDValLoop')
test_cfg = dict(type='ReIDTestLoop')

# Identities x images x modalities of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=128, enable=False)
