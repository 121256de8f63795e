# What every run has: scope, hooks, environment, seed, logs.
default_scope = 'mmreid'
custom_imports = dict(imports=['mmreid.registry'], allow_failed_imports=False)
runner_type = 'ReIDRunner'

default_hooks = dict(
    runtime_info=dict(type='StepValuesHook', interval=50),  # steps whose losses are read from the GPU together
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # Keeps the last checkpoints. save_best belongs to a hold-out of the training identities, never to the test set.
    checkpoint=dict(type='SafeCheckpointHook', interval=10, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    repeat_validation=dict(type='RepeatValidationHook'),  # of a resumed run that was killed before its validation
)
custom_hooks = [
    dict(type='EpochSeedHook'),
    dict(type='SyncNormHook'),
    dict(type='ReIDHealthHook'),
    dict(type='ProgressBarHook'),
]

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl', timeout=3600),
)
randomness = dict(seed=0)

# For TensorBoard: visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
visualizer = dict(type='ReIDVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
console = 'quiet'  # 'full' shows environment, config and hooks too, which are in the log file anyway
load_from = None
resume = False
