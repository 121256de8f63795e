# Stage 2 of ADCA on SYSU-MM01: before each epoch, rows of visible clusters move toward those of the infrared clusters
# that look alike. Starts from the end of stage 1.
_base_ = ['./adca-stage1_resnet50_1xb384-50e_sysu-288x144.py']

load_from = 'work_dirs/adca-stage1_resnet50_1xb384-50e_sysu-288x144/epoch_50.pth'
model = dict(head=dict(memory=dict(aggregation=dict(threshold=0.5, keep=0.1, normalize=False))))
