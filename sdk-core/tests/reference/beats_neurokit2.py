"""Peaks that neurokit2 finds in HeartPy's PPG recordings, for tests/beats_reference.rs.

    python beats_neurokit2.py ../../../../shared/data > beats_neurokit2.json

Versions used: neurokit2 0.2.13, SciPy 1.17.1. Only numbers of samples are written, no data.
`ring_data.csv` is left out: nothing says at which rate it was sampled.
"""

import json
import sys
from pathlib import Path

import neurokit2 as nk
import numpy as np
import pandas as pd

folder = Path(sys.argv[1]) / "heartpy"


def recordings():
    yield "data.csv", np.loadtxt(folder / "data.csv"), 100.0
    timed = pd.read_csv(folder / "data2.csv")
    seconds = (timed.timer.iloc[-1] - timed.timer.iloc[0]) / 1000
    yield "data2.csv", timed.hr.to_numpy(), (len(timed) - 1) / seconds
    dated = pd.read_csv(folder / "data3.csv")
    when = pd.to_datetime(dated.datetime, format="ISO8601")
    seconds = (when.iloc[-1] - when.iloc[0]).total_seconds()
    yield "data3.csv", dated.hr.to_numpy(), (len(dated) - 1) / seconds


found = {}
for name, values, rate_hz in recordings():
    clean = nk.ppg_clean(values, sampling_rate=rate_hz, method="elgendi")
    peaks = nk.ppg_findpeaks(clean, sampling_rate=rate_hz, method="elgendi")["PPG_Peaks"]
    found[name] = {"rate_hz": rate_hz, "peaks": [int(p) for p in peaks]}
json.dump(found, sys.stdout)
print()
