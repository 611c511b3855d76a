"""Six training functions and what their users write of them, who have no ranges in mind.

A docstring is the task in words, a signature what ``like=`` gets: names, types and choices. No
default value and no bound is told.
"""

from __future__ import annotations

from collections.abc import Callable
import inspect
from typing import Literal


def boost(
    learning_rate: float,
    n_rounds: int,
    max_leaf_nodes: int,
    max_depth: int,
    min_samples_leaf: int,
    l2_regularization: float,
    max_features: float,
    max_bins: int,
    failure_class_weight: float,
    healthy_fraction_kept: float,
    alarm_threshold: float,
) -> float:
    """I predict which pumps fail with scikit-learn's HistGradientBoostingClassifier.

    There are 3000 pumps with 16 readings each, and 3 % of them fail. A false alarm costs 1, a
    missed failure costs 30; my function returns the cost per 1000 held-out pumps, which should be
    as low as possible. Besides the booster's own parameters (n_rounds is its max_iter,
    max_features the share of features that a split may use) there are the weight of the class of
    failing pumps (failure_class_weight; healthy ones weigh 1), the share of healthy pumps that is
    kept for training (healthy_fraction_kept), and the predicted probability from which an alarm is
    raised (alarm_threshold). One training should take a second or so on one core. Please tune all
    parameters of my function.
    """
    raise NotImplementedError


def text(
    lowercase: bool,
    sublinear_tf: bool,
    use_idf: bool,
    norm: Literal["none", "l1", "l2"],
    vectoriser: Literal["words", "characters", "hashing"],
    words_ngram_max: int,
    words_min_count: int,
    words_max_share: float,
    words_stop_words: bool,
    characters_ngram_min: int,
    characters_ngram_max: int,
    characters_min_count: int,
    characters_within_words: bool,
    hashing_n_features: int,
    hashing_ngram_max: int,
    classifier: str,
    logistic_C: float,
    logistic_class_weight: Literal["none", "balanced"],
    svm_C: float,
    svm_class_weight: Literal["none", "balanced"],
    bayes_alpha: float,
    bayes_complement: bool,
    neighbours_count: int,
    neighbours_weights: Literal["uniform", "distance"],
    neighbours_metric: Literal["cosine", "euclidean"],
) -> float:
    """Short messages to a harbour office have to be sorted into 7 classes of unequal size.

    They have typing errors and asides about other things. I have 420 training messages with a few
    wrong labels, and use scikit-learn: a vectoriser (words or characters are counted, or words are
    hashed), TF-IDF, and a classifier, which is "logistic_regression", "linear_svm", "naive_bayes"
    or "nearest_neighbours". Parameters that begin with words_, characters_ and hashing_ are needed
    only with that vectoriser; logistic_, svm_, bayes_ and neighbours_ only with that classifier.
    The n-grams of words and of hashed words begin at single words. words_min_count and
    characters_min_count are numbers of messages in which a term must occur, words_max_share is the
    share of messages in which it may occur; characters_within_words keeps n-grams from crossing
    the ends of words; bayes_complement takes ComplementNB instead of MultinomialNB. My function
    returns one minus the macro-averaged F1 score on 1200 other messages; lower is better. Please
    tune all its parameters.
    """
    raise NotImplementedError


def stock(
    depot_review_days: int,
    depot_cover_days: float,
    depot_safety_factor: float,
    shop_review_days: int,
    shop_cover_days: float,
    shop_safety_factor: float,
    forecast_smoothing: float,
    weekday_effect: float,
    markdown_from_age: int,
    markdown: float,
    express_below_days: float,
    case_size: int,
    issue_at_depot: Literal["oldest_first", "newest_first"],
) -> float:
    """My simulation has a depot that orders fresh food and delivers it in cases to 7 shops.

    The food keeps for 9 days, and the supplier needs 4 to 5 days. A shop sells some 15 pieces a
    day. Depot and shops review their stock in intervals (depot_review_days, shop_review_days) and
    order what covers the forecast for the interval and some days more (…_cover_days), plus a
    safety factor times the deviation of the demand. Forecasts use exponential smoothing
    (forecast_smoothing is its weight of the new day) and a pattern of weekdays (weekday_effect is
    the factor on it; 1 is the pattern as it was observed). Goods that are markdown_from_age days
    old are sold cheaper by the share markdown. An express delivery is made when a shop has less
    left than express_below_days of demand. An order, a delivery and an express delivery cost
    money, and demand that is not met is lost. The loss per day (minus the profit) over 140 days is
    to be minimised. Please tune all parameters.
    """
    raise NotImplementedError


def recommend(
    n_factors: int,
    n_iterations: int,
    user_regularization: float,
    item_regularization: float,
    regularization_by_count: float,
    init_std: float,
    user_bias_shrinkage: float,
    item_bias_shrinkage: float,
    half_life_days: float,
    extreme_rating_weight: float,
    prediction_shrinkage: float,
) -> float:
    """I fit biases and then matrix factors (alternating least squares) to ratings by stars.

    There are 4500 ratings from 1 to 5 stars that 220 users gave to 160 items over about 500 days;
    the root mean squared error on the 2500 ratings that came afterwards is minimised. The
    regularisation of the factors is multiplied by the number of ratings of the user or item to the
    power of regularization_by_count. A bias is a mean residual with user_bias_shrinkage or
    item_bias_shrinkage added to the number of ratings. Ratings are weighted by their age
    (half_life_days), and those with the lowest or highest number of stars by
    extreme_rating_weight besides. init_std is the deviation of the first item factors, and
    prediction_shrinkage the share by which the factors' part of a prediction is reduced. One fit
    should take a second or so. Please tune all parameters.
    """
    raise NotImplementedError


def net(
    learning_rate: float,
    weight_decay: float,
    beta_1: float,
    beta_2: float,
    batch_size: int,
    lr_schedule: Literal["constant", "linear", "cosine", "step"],
    warmup_fraction: float,
    gradient_clip_norm: float,
    label_smoothing: float,
    hidden_width: int,
    hidden_layers: int,
    dropout: float,
    activation: Literal["relu", "tanh", "gelu"],
) -> float:
    """A fully connected network (PyTorch, AdamW) sorts spectra of 48 bands into 7 classes.

    There are 420 training spectra, and some of their labels are wrong. The network is trained for
    12 epochs, which stay as they are; the log loss on 2000 held-out spectra with correct labels is
    minimised. warmup_fraction is the share of all steps in which the learning rate rises. One
    training should take a second or two on one core. Please tune all parameters of my function.
    """
    raise NotImplementedError


def cache(
    buffer_pages: int,
    old_sublist_percent: int,
    promote_after_operations: int,
    compressed_pages: int,
    read_ahead_pages: int,
    read_ahead_after_sequential: int,
    max_dirty_percent: int,
    flush_batch_pages: int,
    checkpoint_every_operations: int,
    commit_group_size: int,
) -> float:
    """I simulate the buffer of a storage engine, and want the lowest cost per operation.

    The data are 12,000 pages; the trace has 14,000 operations: hot rows that move, scans and
    writes. The buffer is a young and an old list (old_sublist_percent of the buffer), as in
    InnoDB; a page is promoted to the young list when it is used again after
    promote_after_operations. Pages that leave the buffer go to a tier of compressed pages, which
    may be off. After read_ahead_after_sequential pages in a row, read_ahead_pages more are read.
    Dirty pages are flushed in batches as soon as they are more than max_dirty_percent of the
    buffer, and at checkpoints; commits are written in groups. The cost is waiting, plus a rent per
    page of memory (a compressed page costs about a third of one in the buffer) and a charge for
    slow recovery when checkpoints are rare. Please tune all parameters of my simulation.
    """
    raise NotImplementedError


FUNCTIONS: dict[str, Callable[..., float]] = {
    f"fresh-{function.__name__}": function
    for function in (boost, text, stock, recommend, net, cache)
}


def words_of(function: Callable[..., float]) -> str:
    """Return what a user writes of a function, without its line breaks."""
    return " ".join((inspect.getdoc(function) or "").split())
