#!/bin/busybox sh
echo "Content-Type: text/plain"
echo
if [ -z "$BEHIND" ]; then
  echo "12 in stock."
else
  echo "A pear is 40 cents, $(/bin/busybox wget -q -O - "http://$BEHIND:8080/")"
fi
