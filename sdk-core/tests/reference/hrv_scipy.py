"""Spectra of the RR records as SciPy computes them, for hrv_reference.rs.

Usage: python hrv_scipy.py DATA_DIR > hrv_scipy.json     (SciPy 1.17, NumPy 2)

Every argument the definition pins is written out here; the Rust code takes the same ones.
"""

import json
import sys
from pathlib import Path

import numpy as np
import scipy
from scipy.interpolate import CubicSpline
from scipy.signal import detrend, lombscargle, welch

RECORDS = [
    "mitdb100_5min_all",
    "pyhrv_short_5min",
    "polar_h10_pvc_10min",
    "e4_S05_longest_run",
    "e4_S34_longest_run",
]
BANDS = {"vlf_ms2": (0.0033, 0.04), "lf_ms2": (0.04, 0.15), "hf_ms2": (0.15, 0.40), "total_ms2": (0.0033, 0.40)}
RATE_HZ, SEGMENT = 4.0, 256
LOMB_STEP_HZ, LOMB_POINTS = 0.001, 500
# Of the Lomb periodogram every tenth ordinate is kept, which is enough to compare.
LOMB_KEPT = 10


def bands(hz, psd):
    slack = 1e-9
    out = {}
    for name, (low, high) in BANDS.items():
        inside = (hz >= low - slack) & (hz <= high + slack)
        out[name] = float(np.trapezoid(psd[inside], hz[inside]))
    out["lf_hf"] = out["lf_ms2"] / out["hf_ms2"]
    return out


def rounded(values):
    return [float(f"{v:.9g}") for v in values]


def reference(rr_ms):
    at_s = np.cumsum(rr_ms) / 1000
    grid = np.arange(at_s[0], at_s[-1], 1 / RATE_HZ)
    tachogram = detrend(CubicSpline(at_s, rr_ms)(grid), type="linear")
    segment = min(SEGMENT, len(tachogram))
    hz, psd = welch(tachogram, fs=RATE_HZ, window="hann", nperseg=segment, noverlap=segment // 2)

    lomb_hz = LOMB_STEP_HZ * np.arange(1, LOMB_POINTS + 1)
    power = lombscargle(at_s, rr_ms - rr_ms.mean(), 2 * np.pi * lomb_hz)
    # From scipy's A^2 N / 4 to a one-sided density: 2 dt P, dt the mean interval.
    lomb = 2 * rr_ms.mean() / 1000 * power
    return {
        "samples": len(tachogram),
        "welch": {"psd_ms2_per_hz": rounded(psd), **bands(hz, psd)},
        "lomb": {"psd_ms2_per_hz_every_10th": rounded(lomb[LOMB_KEPT - 1 :: LOMB_KEPT]), **bands(lomb_hz, lomb)},
    }


def main():
    folder = Path(sys.argv[1]) / "rr"
    records = {name: reference(np.loadtxt(folder / f"{name}.txt")) for name in RECORDS}
    # A record shorter than one segment: SciPy then takes one shorter segment.
    records["mitdb100_first_60_beats"] = reference(np.loadtxt(folder / "mitdb100_5min_all.txt")[:60])
    versions = {"scipy": scipy.__version__, "numpy": np.__version__}
    json.dump({"versions": versions, "records": records}, sys.stdout, indent=None, separators=(",", ":"))
    print()


main()
