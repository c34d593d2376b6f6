"""LightGBM's side of `attune evaluate conversion --peer`: the same rows, folds and settings."""

import json
import sys
import time

import lightgbm
import numpy as np

folder = sys.argv[1]
with open(f"{folder}/question.json") as file:
    q = json.load(file)
rows = np.fromfile(f"{folder}/rows", dtype="<f4").reshape(-1, q["width"])
labels = np.array(q["labels"])
folds = np.array(q["folds"])
parameters = {
    "objective": "binary",
    "num_leaves": q["leaves"],
    "learning_rate": q["learning_rate"],
    "min_data_in_leaf": q["least_rows"],
    "bagging_fraction": q["row_share"],
    "bagging_freq": 1,
    "feature_fraction_bynode": q["feature_share"],
    "lambda_l2": q["shrinkage"],
    "seed": q["seed"],
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
probabilities = np.zeros(len(labels))
fit_seconds = 0.0
for fold in np.unique(folds):
    known = folds != fold
    begun = time.perf_counter()
    data = lightgbm.Dataset(rows[known], labels[known], params=parameters)
    booster = lightgbm.train(parameters, data, num_boost_round=q["rounds"])
    fit_seconds += time.perf_counter() - begun
    probabilities[~known] = booster.predict(rows[~known], num_threads=1)
best = float("inf")
for _ in range(7):
    begun = time.perf_counter()
    booster.predict(rows, raw_score=True, num_threads=1)
    best = min(best, time.perf_counter() - begun)
print(
    json.dumps(
        {
            "version": lightgbm.__version__,
            "probabilities": probabilities.tolist(),
            "fit_seconds": fit_seconds,
            "score_rows_per_second": len(rows) / best,
        }
    )
)
