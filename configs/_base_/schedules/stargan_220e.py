# 220,000 iterations in epochs of 1,000; the rates of both networks fall to 0 over the last 110,000.
adam = dict(type='Adam', lr=1e-4, betas=(0.5, 0.999))
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    generator=dict(optimizer=adam, modules=['generator']),
    discriminator=dict(optimizer=adam, modules=['discriminator']),
)
param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=0.0, begin=110_000, end=220_000, by_epoch=False)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=220)

# Images of all GPUs that the learning rate was chosen for.
auto_scale_lr = dict(base_batch_size=16, enable=False)
