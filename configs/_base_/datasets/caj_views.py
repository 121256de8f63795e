# Channel augmentation as in the official code of CAJ (Ye et al., ICCV 2021), 288x144: two views of a visible image, one
# of an infrared one, each cropped, mirrored and erased on its own. The second visible view and most infrared ones get
# one channel for all.
_resize = dict(type='Resize', scale=(144, 288), backend='pillow', interpolation='lanczos')
_view = [
    dict(type='RandomCrop', crop_size=(288, 144), padding=10),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RedrawnErasing', fill_color=(129.1, 143.8, 152.4)),
]
caj_pipeline = [
    dict(type='LoadReIDImage'),
    _resize,
    dict(
        type='ModalityViews',
        visible=[_view, [*_view, dict(type='ChannelExchange')]],
        infrared=[[*_view, dict(type='AdaptiveGray')]],
    ),
]
