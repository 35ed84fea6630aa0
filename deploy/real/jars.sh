#!/usr/bin/env bash
# Puts the jars of pom.xml into a folder outside the tree, once for each version of pom.xml, and prints that folder: Kafka and
# Kafka Connect in libs, Debezium's connectors in plugins. Maven gets them from where it is configured to.
set -euo pipefail
cd "$(dirname "$0")"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vantage
folder=$cache/jars-$(sha256sum pom.xml | cut -c1-12)
if [ ! -e "$folder/complete" ]; then
    mkdir -p "$cache"
    made=$(mktemp -d "$cache/jars.XXXXXX")
    trap 'rm -rf "$made"' EXIT
    copy() { mvn -B -q -f pom.xml -P "$1" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$2" >&2; }
    echo "getting the jars of Kafka and Debezium into $folder" >&2
    copy kafka "$made/libs"
    copy debezium "$made/plugins/debezium"
    # Connect has these itself, and a connector may not bring its own.
    rm -f "$made"/plugins/debezium/{kafka-clients,connect-api,slf4j-api}-*.jar
    touch "$made/complete"
    chmod 755 "$made"
    # Whoever else came first has put the same there.
    mv -T "$made" "$folder" 2>/dev/null || [ -e "$folder/complete" ]
fi
echo "$folder"
