#!/bin/busybox sh
echo "${REQUEST_METHOD:-GET} ${REQUEST_URI:-/}" >&2
printf 'Content-Type: text/plain; charset=utf-8\r\n'
printf 'X-Obiente-Revision: %s\r\n' "${OBIENTE_REVISION:-0}"
printf 'X-Obiente-Replica: %s\r\n\r\n' "${OBIENTE_REPLICA:-none}"
printf 'Hello from Obiente Cloud: revision %s, replica %s.\n' "${OBIENTE_REVISION:-0}" "${OBIENTE_REPLICA:-none}"
