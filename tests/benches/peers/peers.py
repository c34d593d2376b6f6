"""The peers' side of the signal benches.

Reads job names, one a line; for each, runs the job once on the same record the bench uses and
answers with its CPU time in microseconds, one JSON object a line. One thread (the bench sets
OMP_NUM_THREADS). The first answer to a name is a warm-up that the bench throws away.
"""

import contextlib
import io
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import hrvanalysis
import neurokit2 as nk
import numpy as np


def column(path, skip=0):
    return np.loadtxt(path, skiprows=skip)


def main(data):
    eda = column(f"{data}/eda/S05_baseline_5min_4hz.txt")
    rr = column(f"{data}/rr/mitdb100_5min_all.txt")
    named_rr = {"RRI": rr, "RRI_Time": np.cumsum(rr) / 1000}
    peaks = np.round(np.concatenate([[0], np.cumsum(rr)])).astype(int)
    bvp = column(f"{data}/stress_predict/Raw_data/S05/BVP.csv", 2)[64 * 600 : 64 * 900]
    listed = list(rr)
    jobs = {
        "eda": lambda: nk.eda_process(eda, sampling_rate=4),
        "cvxeda": lambda: nk.eda_phasic(eda, sampling_rate=4, method="cvxeda"),
        "hrv": lambda: (nk.hrv_time(named_rr), nk.hrv_frequency(named_rr)),
        "hrvanalysis": lambda: (
            hrvanalysis.get_time_domain_features(listed),
            hrvanalysis.get_frequency_domain_features(listed),
            hrvanalysis.get_poincare_plot_features(listed),
        ),
        "correction": lambda: nk.signal_fixpeaks(
            peaks, sampling_rate=1000, iterative=False, method="Kubios"
        ),
        "ppg": lambda: nk.ppg_process(bvp, sampling_rate=64),
    }
    answers = sys.stdout
    for line in sys.stdin:
        job = jobs[line.strip()]
        with contextlib.redirect_stdout(io.StringIO()):
            begun = time.process_time()
            job()
            took = time.process_time() - begun
        print(json.dumps({"job": line.strip(), "cpu_us": took * 1e6}), file=answers, flush=True)


main(sys.argv[1])
