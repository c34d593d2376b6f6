"""Writes lab.xdf, a small synthetic LabRecorder file, and lab.json: what pyxdf reads from it.

    python xdf.py        # needs numpy, pyxdf 1.17

Two machines: their clocks differ by 1234.5 s and drift by 40 ppm; clock offsets are noisy, and one is
wild. EDA at 4 Hz with jittered times, a pause and omitted time stamps; RR intervals; ECG as int16;
markers as text; a stream that nobody wants; a boundary.
"""

import json
import struct

import numpy as np
import pyxdf

rng = np.random.default_rng(7)
BOUNDARY = bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")
START, LENGTH = 5000.0, 60.0


def varlen(n):
    return struct.pack("<BB", 1, n) if n < 256 else struct.pack("<BI", 4, n)


def chunk(tag, content):
    return varlen(len(content) + 2) + struct.pack("<H", tag) + content


def header(stream, name, kind, rate, fmt, channels):
    desc = "".join(
        f"<channel><label>{l}</label><unit>{u}</unit><type>{t}</type></channel>" for l, u, t in channels
    )
    xml = (
        f'<?xml version="1.0"?><info><name>{name}</name><type>{kind}</type>'
        f"<channel_count>{len(channels)}</channel_count><nominal_srate>{rate}</nominal_srate>"
        f"<channel_format>{fmt}</channel_format><desc><channels>{desc}</channels></desc></info>"
    )
    return chunk(2, struct.pack("<I", stream) + xml.encode())


def samples(stream, rows, fmt):
    body = struct.pack("<I", stream) + varlen(len(rows))
    for stamp, values in rows:
        body += b"\x00" if stamp is None else b"\x08" + struct.pack("<d", stamp)
        for v in values:
            if fmt == "string":
                body += varlen(len(v.encode())) + v.encode()
            else:
                body += struct.pack("<" + fmt, v)
    return chunk(3, body)


def offsets(stream, base, drift):
    out = b""
    for k in range(13):
        at = START + 5 * k
        value = base + drift * (at - START) + rng.normal(0, 2e-5) + (0.03 if k == 6 else 0)
        out += chunk(4, struct.pack("<Idd", stream, at, value))
    return out


out = b"XDF:" + chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>')
out += header(1, "Wrist", "EDA", 4, "double64", [("EDA", "µS", "EDA"), ("Temp", "C", "Temp")])
out += header(2, "Strap", "RR", 0, "float32", [("RR", "s", "RR")])
out += header(3, "Chest", "ECG", 130, "int16", [("ECG", "&#181;V", "ECG")])
out += header(4, "Lab", "Markers", 0, "string", [("m", "", "")])
out += header(5, "Hum", "Audio", 10, "int8", [("a", "", "")])

eda, k = [], 0
for k in range(int(LENGTH * 4)):
    t = START + k / 4 + (5.0 if k > 120 else 0)
    stamp = t + rng.uniform(0, 0.02)
    eda.append((None if k % 7 == 3 and k != 121 else stamp, (2.0 + np.sin(k / 9), 31.0)))
out += samples(1, eda[:100], "d") + chunk(5, BOUNDARY) + samples(1, eda[100:], "d")
t, rr = START, []
while t < START + LENGTH:
    v = 0.8 + 0.05 * np.sin(t / 3)
    t += v
    rr.append((t, (v,)))
out += samples(2, rr, "f")
out += samples(3, [(START + j / 130 + rng.uniform(0, 0.004), (int(300 * np.sin(j / 5)),)) for j in range(390)], "h")
out += samples(4, [(START + 10.25, ("offer shown",)), (START + 40.5, ("Käufer geht",))], "string")
out += samples(5, [(START + j / 10, (j % 100,)) for j in range(20)], "b")
for stream, base, drift in [(1, 1234.5, 40e-6), (2, 1234.5, 40e-6), (3, 0.002, 0), (4, 0.0, 0)]:
    out += offsets(stream, base, drift)
out += chunk(6, struct.pack("<I", 1) + b"<info><sample_count>240</sample_count></info>")
open("lab.xdf", "wb").write(out)

# A pause of a second ends a run, at any rate: by default 125 s do at 4 Hz.
streams, _ = pyxdf.load_xdf("lab.xdf", jitter_break_threshold_samples=4)
read = {}
for s in streams:
    name = s["info"]["name"][0]
    values = [r[0] for r in s["time_series"]] if name == "Lab" else [float(v) for v in np.asarray(s["time_series"])[:, 0]]
    step = {"Chest": 10, "Wrist": 5, "Strap": 3}.get(name, 1)
    read[name] = {"count": len(values), "step": step, "times_s": [float(x) for x in s["time_stamps"]][::step], "values": values[::step]}
json.dump({"pyxdf": pyxdf.__version__, "streams": read}, open("lab.json", "w"), separators=(",", ":"), ensure_ascii=False)
print(len(out), {n: r["count"] for n, r in read.items()})
