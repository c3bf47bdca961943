#!/bin/busybox sh
echo "Content-Type: text/plain"
echo
echo "$GREETING. $(/bin/busybox wget -q -O - http://prices:8080/)"
