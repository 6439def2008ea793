#!/bin/sh
# Runs BIRD as the router of a continent. GATEWAYS: the addresses that Docker gives to the containers of a network as their
# way out, with prefix length; the router takes them, so that no container needs a route of its own.
set -eu
for address in $GATEWAYS; do
  network=${address%.*}.
  link=$(ip -o -4 address show | awk -v network="$network" 'index($4, network) == 1 { print $2; exit }')
  ip address replace "$address" dev "$link"
done
ip route del default 2>/dev/null || true
exec bird -f -s /run/bird/bird.ctl "$@"
