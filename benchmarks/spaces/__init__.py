"""Spaces and studies beyond the ordinary: branches, constraints, failures, trade-offs, transfer.

``python -m benchmarks.spaces conditional constrained failing trade-off`` runs each problem with
the sampler and a real local model, and with its base sampler alone, and prints a table;
``python -m benchmarks.spaces transfer --data FOLDER --trials 10`` needs a folder with the
``train.csv`` of Banking77. Best error so far, mean ± deviation of 5 seeds, qwen2.5-coder-0.5b:

============= ==================== ============== ============== ============== ==============
problem       sampler              trial 1        trial 5        trial 10       trial 20
============= ==================== ============== ============== ============== ==============
conditional   base                 .1212 ± .0930  .0464 ± .0131  .0327 ± .0151  .0200 ± .0057
..            with the model       .0421 ± .0209  .0247 ± .0117  .0247 ± .0117  .0180 ± .0014
constrained   base                 .9806 ± .0433  .4117 ± .3833  .0745 ± .0662  .0304 ± .0018
..            with the model       .2447 ± .4227  .0394 ± .0079  .0304 ± .0040  .0277 ± .0025
failing       base                 .8080 ± .4293  .1866 ± .3157  .0274 ± .0052  .0270 ± .0049
..            with the model       .0321 ± .0066  .0247 ± .0032  .0234 ± .0012  .0234 ± .0012
transfer      base                 .2385 ± .1196  .1139 ± .0180  .1089 ± .0193
..            with the model       .2208 ± .0503  .1398 ± .0279  .1101 ± .0151
..            … and ``history=``   .0966 ± .0000  .0885 ± .0000  .0883 ± .0005
============= ==================== ============== ============== ============== ==============

Hypervolume of accuracy against training seconds (more is better), the main job's encoder on 300
queries: base .1298 at trial 1, .2371 ± .0376 at 5, .2687 ± .0221 at 10; with the model .0850,
.1576 ± .0313 and .2543 ± .0262: a loss. The model asks for learning rates of 1e-4 to 1e-3, as for
pretrained encoders; this one is trained from scratch and needs 1e-2. Asked without aims it did no
better (.104 against .111 from the first five proposals of one seed).

Conditional: of the model's 25 trials, 9 were of the SVM, 10 of the forest and 6 of boosting, none
completed by the base sampler. Failing: 70 of 100 trials failed without the model, 67 with it (4 of
the model's 25): the base sampler does not see failures. Constrained: 31 and 16 of 100 infeasible
(14 of the model's 25: it cannot multiply). Transfer: the model's own proposals were worse than
random points at trial 5; what helped was the earlier study, whose best three are tried first.

``TPESampler(group=True, multivariate=True)`` was no better than ``TPESampler()`` on the
conditional problem (normalised regret of 8 seeds: .042 and .048 at trial 20, .031 and .029 at 30,
.020 and .018 at 60), so the default base sampler does not use it.
"""
