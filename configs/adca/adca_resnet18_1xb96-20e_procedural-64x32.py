# Stage 2 of ADCA in minutes on a CPU: before each epoch, rows of visible clusters move toward those of the infrared
# clusters that look alike. Starts from the end of stage 1.
_base_ = ['./adca-stage1_resnet18_1xb96-20e_procedural-64x32.py']

load_from = 'work_dirs/adca-stage1_resnet18_1xb96-20e_procedural-64x32/epoch_20.pth'
model = dict(head=dict(memory=dict(aggregation=dict(threshold=0.5, keep=0.1, normalize=False))))
