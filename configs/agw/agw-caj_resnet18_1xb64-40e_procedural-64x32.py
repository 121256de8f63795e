# CAJ in minutes on a CPU: AGW with channel augmentation and the squared-difference triplet loss on procedural people.
_base_ = ['./agw_resnet18_1xb64-40e_procedural-64x32.py']

_view = [*_base_.train_pipeline[2:4], dict(type='RedrawnErasing', fill_color=(129.1, 143.8, 152.4))]
model = dict(head=dict(loss_triplet=dict(type='SquaredDifferenceTripletLoss')), flip_test=True)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_pipeline[:2],
            dict(
                type='ModalityViews',
                visible=[_view, [*_view, dict(type='ChannelExchange')]],
                infrared=[[*_view, dict(type='AdaptiveGray')]],
            ),
        ]
    )
)
