#!/bin/sh
# Makes the secrets of compose.yaml in the folder `secrets` beside it, or in FOLDER: make-secrets.sh [FOLDER].
# It keeps a folder that exists, because the database has its password.
set -eu
folder=${1:-$(dirname "$0")/secrets}
if [ -e "$folder" ]; then
  echo "$folder exists already and is kept"
  exit 0
fi
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# Others cannot enter the folder. The files are readable, because each container reads its own as another user.
umask 022
mkdir -m 700 "$folder"
password=$(random)
token=$(random)
printf %s "$password" >"$folder/postgres-password"
printf %s "$token" >"$folder/spool-token"
printf %s "$(random)" >"$folder/grafana-password"
printf '{"token": "%s", "databaseUrl": "postgres://spool:%s@postgres:5432/spool"}\n' "$token" "$password" \
  >"$folder/spool.json"
echo "made $folder; callers need SPOOL_TOKEN=\$(cat $folder/spool-token)"
