# Process 1 gets no default action for SIGTERM: it says itself that it ends.
trap 'kill "$server"; exit 0' TERM INT
echo "hello listens on port $PORT as revision ${OBIENTE_REVISION:-0}, replica ${OBIENTE_REPLICA:-none}"
/bin/busybox httpd -f -p "$PORT" -h /www &
server=$!
wait "$server"
