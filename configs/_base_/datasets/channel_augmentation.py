# Channel augmentation (Ye et al., CAJ, ICCV 2021) of one view of each image: erasing, then one channel for all, in half
# of the visible images and in seven of eight infrared ones. It takes the place of erasing and packing in a pipeline.
_erase = dict(type='RedrawnErasing', fill_color=(129.1, 143.8, 152.4))  # as in the authors' code, B G R
channel_views = dict(
    type='ModalityViews',
    visible=[[_erase, dict(type='ChannelExchange', prob=0.5)]],
    infrared=[[_erase, dict(type='AdaptiveGray')]],
)
