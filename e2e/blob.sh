#!/usr/bin/env bash
# Blobs with an unmodified azure-cli (Debian's 2.45): upload, upload-batch,
# download, list, generate-sas. Argument: the path of endpoints.json.
set -euo pipefail
value() { python3 -c 'import json,sys; v = json.load(open(sys.argv[1]))[sys.argv[2]]; print(v[0] if isinstance(v, list) else v)' "$1" "$2"; }

AZURE_CONFIG_DIR=$(mktemp -d) work=$(mktemp -d)
trap 'rm -rf "$AZURE_CONFIG_DIR" "$work"' EXIT
export AZURE_CONFIG_DIR AZURE_CORE_COLLECT_TELEMETRY=false AZURE_CORE_ONLY_SHOW_ERRORS=true
AZURE_STORAGE_CONNECTION_STRING="DefaultEndpointsProtocol=http;AccountName=$(value "$1" storageAccountName);AccountKey=$(value "$1" storageKeys);BlobEndpoint=$(value "$1" blobEndpoint);"
export AZURE_STORAGE_CONNECTION_STRING

mkdir -p "$work/in/deep" "$work/out"
head -c 3000000 /dev/urandom >"$work/in/a film.mp4"
head -c 70000000 /dev/urandom >"$work/in/deep/long.mp4" # more than 64 MiB: in blocks
echo text >"$work/in/notes.txt"

az storage container create -n cli --query created -o tsv
az storage blob upload -c cli -f "$work/in/a film.mp4" -n "a film.mp4" --validate-content --no-progress >/dev/null
if az storage blob upload -c cli -f "$work/in/notes.txt" -n "a film.mp4" --no-progress 2>"$work/err"; then
  echo 'an upload without --overwrite replaced a blob' >&2
  exit 1
fi
grep -q 'already exists' "$work/err"
az storage blob upload-batch -d cli -s "$work/in" --destination-path all --no-progress >/dev/null
az storage blob list -c cli --query '[].[name, properties.contentLength]' -o tsv
az storage blob download -c cli -n all/deep/long.mp4 -f "$work/out/long.mp4" --no-progress >/dev/null
cmp "$work/in/deep/long.mp4" "$work/out/long.mp4"

signed=$(az storage blob generate-sas -c cli -n "all/notes.txt" --permissions r --expiry "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%MZ)" --full-uri -o tsv)
curl -fsS "$signed" | cmp - "$work/in/notes.txt"
sas=$(az storage container generate-sas -n cli --permissions rl --expiry "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%MZ)" -o tsv)
curl -fsS "$(value "$1" blobEndpoint)/cli?restype=container&comp=list&prefix=all/&$sas" | grep -o '<Name>[^<]*'
az storage blob copy start --destination-container cli --destination-blob copied --source-uri "$signed" --query copy_status -o tsv
snapshot=$(az storage blob snapshot -c cli -n copied --query snapshot -o tsv)
test -n "$snapshot"
lease=$(az storage blob lease acquire -c cli -b copied --lease-duration 60 -o tsv)
if az storage blob delete -c cli -n copied --delete-snapshots include 2>"$work/err"; then
  echo 'a leased blob was deleted' >&2
  exit 1
fi
grep -q 'LeaseIdMissing\|lease' "$work/err"
az storage blob delete -c cli -n copied --delete-snapshots include --lease-id "$lease"
az storage container delete -n cli --query deleted -o tsv
