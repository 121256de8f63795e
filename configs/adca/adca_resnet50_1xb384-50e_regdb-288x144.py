# Stage 2 of ADCA on RegDB: before each epoch, rows of visible clusters move toward those of the infrared clusters that
# look alike. Starts from stage 1: --cfg-options load_from=.../epoch_50.pth
_base_ = ['./adca-stage1_resnet50_1xb384-50e_regdb-288x144.py']

model = dict(head=dict(memory=dict(aggregation=dict(threshold=0.5, keep=0.1, normalize=False))))
