"""Writes embrace_plus.avro: a small synthetic file in the layout of EmbracePlus raw_data/v6.

    python embrace_plus.py        # needs fastavro

The values follow rules that the test knows; nothing in it was measured.
"""

import math

import fastavro


def record(name, *fields):
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields]}


INTS, LONGS, FLOATS = ({"type": "array", "items": t} for t in ("int", "long", "float"))
TIMED = (("timestampStart", "long"), ("samplingFrequency", "float"))
IMU = record("ImuParams", ("physicalMin", "int"), ("physicalMax", "int"), ("digitalMin", "int"), ("digitalMax", "int"))
VERSION = record("Version", ("major", "int"), ("minor", "int"), ("patch", "int"))
RAW = record(
    "RawData",
    ("accelerometer", record("Accelerometer", *TIMED, ("imuParams", IMU), ("x", INTS), ("y", INTS), ("z", INTS))),
    ("eda", record("Eda", *TIMED, ("values", FLOATS))),
    ("temperature", record("Temperature", *TIMED, ("values", FLOATS))),
    ("bvp", record("Bvp", *TIMED, ("values", FLOATS))),
    ("systolicPeaks", record("SystolicPeaks", ("peaksTimeNanos", LONGS))),
    ("tags", record("Tags", ("tagsTimeMicros", LONGS))),
)
SCHEMA = fastavro.parse_schema(
    record("Session", ("schemaVersion", VERSION), ("fwVersion", "Version"), ("deviceSn", "string"), ("rawData", RAW))
)
START = 1_700_000_000_000_000
version = {"major": 6, "minor": 4, "patch": 0}
data = {
    "schemaVersion": version,
    "fwVersion": version,
    "deviceSn": "SYNTHETIC",
    "rawData": {
        "accelerometer": {
            "timestampStart": START + 500_000, "samplingFrequency": 64.0,
            "imuParams": {"physicalMin": -16, "physicalMax": 16, "digitalMin": -32768, "digitalMax": 32768},
            "x": [0] * 128, "y": [2048 * (k % 2) for k in range(128)], "z": [2048] * 128,
        },
        "eda": {"timestampStart": START, "samplingFrequency": 4.0, "values": [1.0 + 0.01 * k for k in range(40)]},
        "temperature": {"timestampStart": START, "samplingFrequency": 1.0, "values": [33.0] * 10},
        "bvp": {"timestampStart": START + 250_000, "samplingFrequency": 64.0,
                "values": [math.sin(k / 10) for k in range(640)]},
        "systolicPeaks": {"peaksTimeNanos": [(START + 800_000 * k) * 1000 for k in range(1, 6)] + [(START + 9_000_000) * 1000, (START + 9_750_000) * 1000]},
        "tags": {"tagsTimeMicros": [START + 3_000_000]},
    },
}
with open("embrace_plus.avro", "wb") as out:
    fastavro.writer(out, SCHEMA, [data], codec="deflate")
