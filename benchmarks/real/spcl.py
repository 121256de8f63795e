# The same by SpCL: a memory of images instead of clusters, and only the reliable part of a cluster stays together.
_base_ = ['./cluster_contrast.py']

model = dict(head=dict(memory=dict(_delete_=True, type='HybridMemory', temperature=0.05, momentum=0.2)))
custom_hooks = [
    *_base_.custom_hooks[:-1],
    dict(
        type='PseudoLabelHook',
        clustering=dict(type='SelfPacedDBSCAN', eps=0.6, min_samples=4, k1=30, k2=6, eps_gap=0.02),
        outliers='own',
    ),
]
