# StarGAN with cameras as domains, as in HHL (Zhong et al., ECCV 2018). The runner counts the cameras in the data.
model = dict(
    type='CamStyleGAN',
    size=(256, 128),
    generator=dict(type='StarGANGenerator', base_channels=64, num_blocks=6),
    discriminator=dict(type='StarGANDiscriminator', base_channels=64, num_layers=6),
    lambda_cls=1.0,
    lambda_rec=10.0,
    lambda_gp=10.0,
    n_critic=5,
)
model_wrapper_cfg = dict(type='MMSeparateDistributedDataParallel')  # on several ranks
