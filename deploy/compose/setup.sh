#!/bin/sh
# Runs once before all else: fills the volume /stage with what every container reads. Keys, tokens and certificates are
# made where there are none and kept; the files of deploy/compose/files are written anew each time, with the words
# between @ replaced. NET: the first two numbers of all addresses. TTL, INTERVAL, CAPACITY: of the world, docs/compose.md.
set -eu
umask 077
cd /stage
: "${NET:=10.66}" "${TTL:=5s}" "${TTL_MIN:=1s}" "${INTERVAL:=5s}" "${CAPACITY:=1000rps}" "${VIP:=203.0.113.1}"

mkdir -p keys
secret() { [ -s "keys/$1" ] || openssl rand -hex 24 >"keys/$1"; }
secret token
secret redis-password

# One authority for the control APIs and Redis, one certificate for all of them: whoever is in the stage is trusted there.
names="subjectAltName=DNS:localhost,IP:127.0.0.1"
for last in 1.11 1.20 1.30 2.11 2.20 3.20 9.11 9.12 9.21 9.22 9.23; do names="$names,IP:$NET.$last"; done
if [ "$(cat keys/names 2>/dev/null)" != "$names" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=stage authority" \
    -addext "basicConstraints=critical,CA:TRUE" -keyout keys/ca.key -out keys/ca.pem 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=stage" \
    -keyout keys/tls.key -out keys/tls.csr 2>/dev/null
  printf '%s\nbasicConstraints=CA:FALSE\n' "$names" >keys/extensions
  openssl x509 -req -in keys/tls.csr -CA keys/ca.pem -CAkey keys/ca.key -CAcreateserial -days 3650 \
    -extfile keys/extensions -out keys/tls.pem 2>/dev/null
  printf '%s' "$names" >keys/names
fi

# fill FROM TO WORD=VALUE...: copies a file or a folder, with @WORD@ replaced by its value.
fill() {
  from=/opt/rhumb/deploy/compose/files/$1 to=$2
  shift 2
  script="s|@NET@|$NET|g;s|@VIP@|$VIP|g;s|@TTL@|$TTL|g;s|@TTL_MIN@|$TTL_MIN|g;s|@INTERVAL@|$INTERVAL|g;s|@CAPACITY@|$CAPACITY|g"
  for pair in "$@"; do script="$script;s|@${pair%%=*}@|${pair#*=}|g"; done
  if [ -f "$from" ]; then
    mkdir -p "$(dirname "$to")"
    sed "$script" "$from" >"$to.next" && mv "$to.next" "$to"
    return
  fi
  (cd "$from" && find . -type f) | while read -r file; do
    mkdir -p "$to/$(dirname "$file")"
    sed "$script" "$from/$file" >"$to/$file.next" && mv "$to/$file.next" "$to/$file"
  done
}

# Everybody has to know everybody's key before the first of them starts.
enrolled=
for place in ns1:ns1 ns2:ns2 us-east:lb-us-east eu-west:lb-eu-west ap-south:lb-ap-south; do
  folder=${place%:*}
  mkdir -p "$folder/state"
  printf 'version: 1\nnode: %s\ncluster: { state: state/ }\n' "${place#*:}" >"$folder/key.yaml"
  enrolled="$enrolled    $(rhumb cluster key -c "$folder/key.yaml")\\n"
  rm "$folder/key.yaml"
done

for place in ns1:1 ns2:2; do
  fill ns "${place%:*}" "NODE=${place%:*}" "NODES=$enrolled"
done
for place in us-east:1 eu-west:2 ap-south:3; do
  region=${place%:*} number=${place#*:}
  fill balancer "$region" "REGION=$region" "N=$number" "NODES=$enrolled"
  fill exabgp.conf "exabgp-$region.conf" "N=$number"
done
for place in na:1 eu:2 as:3; do
  number=${place#*:} peers=
  for other in 1 2 3; do
    [ "$other" = "$number" ] || peers="$peers$(sed "s|@NET@|$NET|g;s|@PEER@|$other|g" /opt/rhumb/deploy/compose/files/bird-peer.conf | tr '\n' '%')"
  done
  fill bird.conf "bird-${place%:*}.conf" "N=$number" "PEERS=$peers"
  tr '%' '\n' <"bird-${place%:*}.conf" >next && mv next "bird-${place%:*}.conf"
done
fill unbound.conf unbound.conf
fill redis.conf redis.conf "PASSWORD=$(cat keys/redis-password)"
fill prometheus.yml prometheus.yml
echo "The stage is laid: $NET.0.0/16, anycast $VIP"
