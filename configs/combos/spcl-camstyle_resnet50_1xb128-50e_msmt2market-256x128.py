# SpCL with camera styles: a target image is shown in the style of a random camera, and belongs to its own memory row.
_base_ = ['../spcl/spcl-uda_resnet50_1xb128-50e_msmt2market-256x128.py']

target = dict(
    type='Market1501',
    data_root='data/Market-1501-v15.09.15',
    split='train',
    pipeline=[
        dict(type='LoadCamStyleImage'),
        *_base_.target_pipeline[1:-1],
        dict(
            type='PackReIDInputs',
            algorithm_keys=('slot',),
            optional_keys=('ori_shape', 'img_shape', 'flip', 'image_index', 'styled'),
        ),
    ],
)
train_dataloader = dict(dataset=dict(datasets=[_base_.source, target]))
