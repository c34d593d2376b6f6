"""Feast's feature server over a SQLite online store: 20 features of some people.

Makes a repository in the folder given, fills the online store, and serves it on the port given,
until it is stopped.
"""

import os
import sys
from datetime import datetime, timedelta, timezone

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float32

FEATURES = 20
PEOPLE = 1000


def main(folder, port):
    with open(os.path.join(folder, "feature_store.yaml"), "w") as file:
        file.write(
            "project: bench\nregistry: registry.db\nprovider: local\n"
            "online_store:\n  type: sqlite\n  path: online.db\n"
            "offline_store:\n  type: file\nentity_key_serialization_version: 3\n"
        )
    os.chdir(folder)
    names = [f"f{n}" for n in range(FEATURES)]
    now = datetime.now(timezone.utc)
    rows = pd.DataFrame({"person": range(PEOPLE), "at": [now] * PEOPLE})
    for place, name in enumerate(names):
        rows[name] = [float(person % 7 + place) for person in range(PEOPLE)]
        rows[name] = rows[name].astype("float32")
    rows.to_parquet("rows.parquet")
    person = Entity(name="person", join_keys=["person"], value_type=ValueType.INT64)
    view = FeatureView(
        name="bench",
        entities=[person],
        ttl=timedelta(days=30),
        schema=[Field(name=name, dtype=Float32) for name in names],
        source=FileSource(path="rows.parquet", timestamp_field="at"),
    )
    store = FeatureStore(repo_path=folder)
    store.apply([person, view])
    store.write_to_online_store("bench", rows)
    print("ready", flush=True)
    store.serve(host="127.0.0.1", port=int(port), type_="http", no_access_log=True, workers=1,
                worker_connections=1000, max_requests=0, max_requests_jitter=0, metrics=False,
                keep_alive_timeout=60, registry_ttl_sec=60, tls_key_path="", tls_cert_path="")


main(sys.argv[1], sys.argv[2])
