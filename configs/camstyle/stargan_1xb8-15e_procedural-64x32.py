# Camera styles in minutes on a CPU: a small StarGAN on procedural people, 1,500 iterations with a generator step in
# each.
_base_ = ['./stargan_1xb16-220e_market1501-256x128.py']

train_pipeline = [
    dict(type='LoadReIDImage'),
    dict(type='Resize', scale=(36, 72)),
    dict(type='RandomCrop', crop_size=(64, 32)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackReIDInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    batch_sampler=dict(batches_per_epoch=100),
    dataset=dict(data_root='data/procedural-target', pipeline=train_pipeline),
)
model = dict(
    size=(64, 32),
    generator=dict(base_channels=16, num_blocks=3),
    discriminator=dict(base_channels=16, num_layers=5),
    n_critic=1,
)
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=5e-4)),
    discriminator=dict(optimizer=dict(lr=5e-4)),
)
param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=0.0, begin=750, end=1500, by_epoch=False)]
train_cfg = dict(max_epochs=15)
custom_hooks = [*_base_.custom_hooks[:-1], dict(type='StyleGridHook', interval=250)]
auto_scale_lr = dict(base_batch_size=8)
