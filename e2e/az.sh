#!/usr/bin/env bash
# The main job with an unmodified azure-cli (Debian's 2.45). Arguments: the
# path of endpoints.json and a video file. Prints the streaming paths.
set -euo pipefail
endpoints=$1 video=$2
value() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$endpoints" "$1"; }

# A configuration folder of its own: the user's clouds and sign-ins stay as they are.
AZURE_CONFIG_DIR=$(mktemp -d)
trap 'rm -rf "$AZURE_CONFIG_DIR"' EXIT
export AZURE_CONFIG_DIR AZURE_CORE_COLLECT_TELEMETRY=false AZURE_CORE_ONLY_SHOW_ERRORS=true
REQUESTS_CA_BUNDLE=$(value caFile)
export REQUESTS_CA_BUNDLE

az cloud register -n openams --endpoint-resource-manager "$(value management)" >/dev/null
az cloud set -n openams
az login --service-principal -u "$(value clientId)" -p "$(value clientSecret)" --tenant "$(value tenantId)" >/dev/null
account=(-g "$(value resourceGroup)" -a "$(value accountName)")

az ams account show -g "$(value resourceGroup)" -n "$(value accountName)" --query name -o tsv
az ams asset create "${account[@]}" -n az-input --description 'from azure-cli' >/dev/null
az ams asset create "${account[@]}" -n az-output >/dev/null

sas=$(az ams asset get-sas-urls "${account[@]}" -n az-input --permissions ReadWrite \
  --expiry "$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)" --query '[0]' -o tsv)
container=$(az ams asset show "${account[@]}" -n az-input --query container -o tsv)
az storage blob upload --blob-url "${sas%%\?*}/$(basename "$video")?${sas#*\?}" -f "$video" --no-progress >/dev/null
# and with the account key, as an operator would
connection="DefaultEndpointsProtocol=http;AccountName=$(value storageAccountName);AccountKey=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["storageKeys"][0])' "$endpoints");BlobEndpoint=$(value blobEndpoint);"
az storage blob list --connection-string "$connection" -c "$container" --query '[].name' -o tsv
az storage blob upload --connection-string "$connection" -c "$container" -f "$video" -n "$(basename "$video")" --overwrite --no-progress >/dev/null

az ams transform create "${account[@]}" -n az-transform --preset AdaptiveStreaming >/dev/null
az ams job start "${account[@]}" -t az-transform -n az-job --input-asset-name az-input --output-assets az-output= >/dev/null
for _ in $(seq 240); do
  state=$(az ams job show "${account[@]}" -t az-transform -n az-job --query state -o tsv)
  case $state in
    Finished) break ;;
    Error | Canceled) az ams job show "${account[@]}" -t az-transform -n az-job >&2; exit 1 ;;
  esac
done
echo "job $state"

az ams streaming-locator create "${account[@]}" -n az-locator --asset-name az-output --streaming-policy-name Predefined_ClearStreamingOnly >/dev/null
az ams streaming-endpoint stop "${account[@]}" -n default >/dev/null
az ams streaming-endpoint start "${account[@]}" -n default >/dev/null
az ams streaming-endpoint show "${account[@]}" -n default --query resourceState -o tsv
az ams streaming-locator get-paths "${account[@]}" -n az-locator --query 'streamingPaths[].paths[]' -o tsv
# Policies, filters and a second endpoint.
az ams account-filter create "${account[@]}" -n af --first-quality 720000 >/dev/null
echo "account-filter af $(az ams account-filter show "${account[@]}" -n af --query firstQuality.bitrate -o tsv)"
az ams asset-filter create "${account[@]}" --asset-name az-output -n sf --start-timestamp 0 --end-timestamp 60000000 --timescale 10000000 >/dev/null
az ams asset-filter list "${account[@]}" --asset-name az-output --query "[].join(' ', ['asset-filter', name])" -o tsv
az ams content-key-policy create "${account[@]}" -n ckp --policy-option-name open --open-restriction --clear-key-configuration >/dev/null
az ams content-key-policy show "${account[@]}" -n ckp -o json | grep -q ContentKeyPolicyClearKeyConfiguration && echo "content-key-policy ckp ClearKey"
az ams streaming-policy create "${account[@]}" -n sp --no-encryption-protocols HLS >/dev/null
az ams streaming-policy show "${account[@]}" -n sp --query "join(' ', ['streaming-policy', name, (noEncryption.enabledProtocols.hls && 'Hls') || 'none'])" -o tsv
az ams streaming-endpoint create "${account[@]}" -n ep2 --scale-units 1 --auto-start >/dev/null
az ams streaming-endpoint show "${account[@]}" -n ep2 --query "join(' ', ['streaming-endpoint', name, resourceState])" -o tsv
az ams streaming-endpoint stop "${account[@]}" -n ep2 >/dev/null
az ams streaming-endpoint delete "${account[@]}" -n ep2 >/dev/null
az ams streaming-policy delete "${account[@]}" -n sp
az ams content-key-policy delete "${account[@]}" -n ckp
az ams asset-filter delete "${account[@]}" --asset-name az-output -n sf
az ams account-filter delete "${account[@]}" -n af
az ams job delete "${account[@]}" -t az-transform -n az-job
az ams transform delete "${account[@]}" -n az-transform
az ams asset delete "${account[@]}" -n az-input
