# Starts a PostgreSQL of its own in a private folder, says "ready", and lives as long as whoever
# started it keeps this script's standard input open: however that ends, nothing stays behind.
#
# Given: BIN (where initdb and postgres are), RUN (the folder), ROOT (a root to change into, or
# nothing), PRELOAD (libraries, or nothing).
set -eu

as_postgres() {
    if [ -n "$ROOT" ]; then
        chroot --userspec=postgres:postgres "$ROOT" \
            env -i HOME=/tmp PATH="$BIN:/usr/bin:/bin" LC_ALL=C.UTF-8 TZ=UTC "$@"
    elif [ "$(id -u)" = 0 ]; then
        cd / && runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

stop() {
    trap - EXIT
    if [ -f "$RUN/data/postmaster.pid" ]; then
        as_postgres "$BIN/pg_ctl" -D "$DATA" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf -- "$RUN" "$RUN.lock"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

INSIDE=${RUN#"$ROOT"}
DATA=$INSIDE/data
if [ -n "$ROOT" ]; then
    chroot "$ROOT" chown postgres:postgres "$INSIDE"
elif [ "$(id -u)" = 0 ]; then
    chown postgres:postgres "$RUN"
fi
chmod 755 "$RUN"

as_postgres "$BIN/initdb" -D "$DATA" -U attune -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
    >"$RUN/initdb.log" 2>&1 || { cat "$RUN/initdb.log" >&2; exit 1; }
# Reached through a socket in the folder alone. No sync: tests end processes, not machines.
cat >>"$RUN/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$INSIDE'
shared_preload_libraries = '$PRELOAD'
dynamic_shared_memory_type = mmap
max_connections = 300
fsync = off
full_page_writes = off
autovacuum = off
CONF
as_postgres "$BIN/pg_ctl" -D "$DATA" -l "$INSIDE/log" -w -t 60 start >/dev/null ||
    { cat "$RUN/log" >&2; exit 1; }
echo ready
cat >/dev/null
