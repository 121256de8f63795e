# SpCL with a labeled source in minutes on a CPU; without one: spcl_resnet18_1xb64-20e_procedural-64x32.py
_base_ = ['../cluster-contrast/cluster-contrast-uda_resnet18_1xb128-20e_procedural-64x32.py']

model = dict(head=dict(memory=dict(_delete_=True, type='HybridMemory', temperature=0.05, momentum=0.2)))
custom_hooks = [
    *_base_.custom_hooks[:-1],
    dict(
        type='PseudoLabelHook',
        clustering=dict(type='SelfPacedDBSCAN', eps=0.5, k1=8, k2=3, eps_gap=0.02),
        outliers='own',
    ),
]
