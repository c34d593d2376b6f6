"""Writes eda_fixture.json: whole series of SciPy and neurokit2, thinned, for eda_reference.rs.

python eda_fixture.py DATA > eda_fixture.json, with DATA the folder that holds eda/ and reference/.
"""

import json
import sys
import warnings

import neurokit2 as nk
import numpy as np
from scipy.signal import butter, sosfiltfilt

warnings.filterwarnings("ignore")
POINTS = 60
data = sys.argv[1]
records = json.load(open(f"{data}/reference/eda_reference.json"))["records"]


def thinned(x):
    """Every so many values, and sums that every value goes into."""
    x = np.asarray(x, float)
    step = max(1, len(x) // POINTS)
    return {
        "step": step,
        "values": x[::step].tolist(),
        "sum": x.sum(),
        "sum_of_squares": (x**2).sum(),
        "sum_of_moments": (x * np.arange(len(x))).sum() / len(x),
    }


out = {}
for name, record in records.items():
    x, fs = np.loadtxt(f"{data}/{record['file']}"), record["fs"]
    clean = x
    if fs > 6:
        clean = sosfiltfilt(butter(4, 3, fs=fs, output="sos"), x)
    cvx = nk.eda_phasic(clean, sampling_rate=fs, method="cvxeda")
    out[name] = {
        "file": record["file"],
        "fs": fs,
        "tonic": thinned(sosfiltfilt(butter(2, 0.05, "low", fs=fs, output="sos"), clean)),
        "phasic": thinned(sosfiltfilt(butter(2, 0.05, "high", fs=fs, output="sos"), clean)),
        "cvxeda_tonic": thinned(cvx.EDA_Tonic),
        "cvxeda_phasic": thinned(cvx.EDA_Phasic),
    }
json.dump(out, sys.stdout, indent=1)
print()
