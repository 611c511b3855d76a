"""Spaces and studies beyond the ordinary: branches, constraints, failures, trade-offs, transfer.

``python -m benchmarks.spaces conditional constrained failing trade-off`` runs each problem with
the sampler and a real local model, and with its base sampler alone, and prints a table;
``python -m benchmarks.spaces transfer --data FOLDER --trials 10`` needs a folder with the
``train.csv`` of Banking77. Best error so far, mean ± deviation of 5 seeds, qwen2.5-coder-0.5b:

============= ==================== ============== ============== ============== ==============
problem       sampler              trial 1        trial 5        trial 10       trial 20
============= ==================== ============== ============== ============== ==============
conditional   base                 .1212 ± .0930  .0464 ± .0131  .0327 ± .0151  .0200 ± .0057
..            with the model       .0220 ± .0045  .0194 ± .0015  .0194 ± .0015  .0174 ± .0015
constrained   base                 .9806 ± .0433  .4117 ± .3833  .0361 ± .0095  .0260 ± .0025
..            with the model       .4264 ± .5237  .0668 ± .0574  .0317 ± .0024  .0287 ± .0036
failing       base                 .8080 ± .4293  .0678 ± .0443  .0454 ± .0237  .0277 ± .0040
..            with the model       .0344 ± .0083  .0267 ± .0026  .0260 ± .0019  .0227 ± .0015
transfer      base                 .2385 ± .1196  .1139 ± .0180  .1038 ± .0134
..            with the model       .1447 ± .0027  .1056 ± .0050  .1007 ± .0093
..            … and ``history=``   .0966 ± .0000  .0879 ± .0014  .0873 ± .0017
============= ==================== ============== ============== ============== ==============

Hypervolume of accuracy against training seconds (more is better), the main job's encoder on 300
queries, at trials 1, 3, 5, 10, 15, 20: base .130, .227, .239 ± .041, .269 ± .021, .309, .322 ±
.040; with the model .131, .198, .206 ± .014, .260 ± .027, .299, .325 ± .036: behind at trials 3
and 5. The model asks for learning rates of 1e-4 to 1e-3, as for pretrained encoders; this one is
trained from scratch and needs 1e-2.

Conditional: of the model's 25 trials, 9 were of the SVM, 10 of the forest and 6 of boosting, none
completed by the base sampler. Failing: 49 of 100 trials failed without the model, 21 with it (1 of
the model's 25). Constrained: 27 and 22 of 100 infeasible (18 of the model's 25: it cannot
multiply, and the middle of the ranges is infeasible).

``TPESampler(group=True, multivariate=True)`` was no better than ``TPESampler()`` on the
conditional problem (normalised regret of 8 seeds: .042 and .048 at trial 20, .031 and .029 at 30,
.020 and .018 at 60), so the default base sampler does not use it.
"""
