"""LightGBM's side of the boost bench: reads job names, answers with CPU time, as peers.py does.

The data is a folder that the bench writes: `rows` (32-bit numbers), `labels` (the same) and
`parameters.json` (LightGBM's own names, the number of rounds and of columns).
"""

import json
import sys
import time

import lightgbm
import numpy as np


def main(folder):
    with open(f"{folder}/parameters.json") as file:
        parameters = json.load(file)
    rounds = parameters.pop("num_boost_round")
    rows = np.fromfile(f"{folder}/rows", dtype="<f4").reshape(-1, parameters.pop("width"))
    labels = np.fromfile(f"{folder}/labels", dtype="<f4")

    def fit():
        data = lightgbm.Dataset(rows, labels, params=parameters)
        return lightgbm.train(parameters, data, num_boost_round=rounds)

    fitted = fit()
    jobs = {
        "fit": fit,
        "score": lambda: fitted.predict(rows, raw_score=True, num_threads=1),
    }
    for line in sys.stdin:
        job = jobs[line.strip()]
        begun = time.process_time()
        job()
        took = time.process_time() - begun
        print(json.dumps({"job": line.strip(), "cpu_us": took * 1e6}), flush=True)


main(sys.argv[1])
