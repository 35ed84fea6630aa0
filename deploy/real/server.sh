#!/usr/bin/env bash
# Runs one server in the foreground, as this very process, with all it keeps in FOLDER and listening on 127.0.0.1 only:
#
#   server.sh kafka FOLDER PORT CONTROLLER_PORT     Apache Kafka, one node in KRaft mode
#   server.sh connect FOLDER PORT BROKER_PORT       Kafka Connect, distributed, with Debezium's connectors; PORT is REST
#   server.sh postgres FOLDER PORT                  PostgreSQL with logical replication; user postgres, password secret
#   server.sh mariadb FOLDER PORT                   MariaDB with a binary log by rows; user debezium, password secret
#
# JARS is the folder that jars.sh printed. FOLDER is made when it is not there; a server that is started over it again goes on
# where it was ended, however that was. The databases refuse to run as root and run as the users of their packages then.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
server=$1 folder=$2 port=$3
mkdir -p "$folder"

# The command of another user, when this one is root.
as() {
    local user=$1
    shift
    if [ "$(id -u)" -eq 0 ]; then
        exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@"
    fi
    exec "$@"
}

owned_by() { [ "$(id -u)" -ne 0 ] || chown -R "$1:" "$folder"; }

# A JVM of a test need not be fast at its best: compiled little, it starts sooner and leaves the cores to others.
jvm=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -Xshare:auto -Dorg.slf4j.simpleLogger.defaultLogLevel=warn)

kafka() {
    local controller=$1
    [ -e "$folder/server.properties" ] || {
        cat >"$folder/server.properties.new" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$folder/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=1
PROPERTIES
        id=$(java "${jvm[@]}" -cp "$JARS/libs/*" kafka.tools.StorageTool random-uuid)
        java "${jvm[@]}" -cp "$JARS/libs/*" kafka.tools.StorageTool format --standalone -t "$id" -c "$folder/server.properties.new"
        mv "$folder/server.properties.new" "$folder/server.properties"
    }
    exec java "${jvm[@]}" -Xmx512m -cp "$JARS/libs/*" kafka.Kafka "$folder/server.properties"
}

connect() {
    cat >"$folder/connect.properties" <<PROPERTIES
bootstrap.servers=127.0.0.1:$1
group.id=connect
listeners=http://127.0.0.1:$port
plugin.path=$JARS/plugins
plugin.discovery=service_load
key.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
config.storage.topic=connect-configs
config.storage.replication.factor=1
offset.storage.topic=connect-offsets
offset.storage.replication.factor=1
offset.storage.partitions=1
status.storage.topic=connect-status
status.storage.replication.factor=1
status.storage.partitions=1
offset.flush.interval.ms=1000
exactly.once.source.support=disabled
scheduled.rebalance.max.delay.ms=0
session.timeout.ms=6000
heartbeat.interval.ms=2000
PROPERTIES
    exec java "${jvm[@]}" -Xmx512m -cp "$JARS/libs/*" org.apache.kafka.connect.cli.ConnectDistributed "$folder/connect.properties"
}

postgres() {
    local programs
    programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
    if [ ! -e "$folder/data/PG_VERSION" ]; then
        echo secret >"$folder/password"
        owned_by postgres
        (as postgres "$programs/initdb" --pgdata "$folder/data" --username postgres --pwfile "$folder/password" \
            --auth scram-sha-256 --encoding UTF8 --locale C --lc-ctype C.UTF-8 --no-sync --no-instructions)
    fi
    cd "$folder"
    as postgres "$programs/postgres" -D "$folder/data" -k "$folder" -p "$port" -c listen_addresses=127.0.0.1 -c wal_level=logical
}

mariadb() {
    if [ ! -e "$folder/data/mysql" ]; then
        mkdir -p "$folder/data" "$folder/tmp"
        cp "$here/mariadb.sql" "$folder/init.sql"
        owned_by mysql
        (as mysql mariadb-install-db --no-defaults --datadir="$folder/data" --tmpdir="$folder/tmp" \
            --auth-root-authentication-method=normal --skip-test-db)
    fi
    cd "$folder"
    as mysql mariadbd --no-defaults --datadir="$folder/data" --tmpdir="$folder/tmp" --socket="$folder/socket" \
        --pid-file="$folder/pid" --bind-address=127.0.0.1 --port="$port" --init-file="$folder/init.sql" --server-id=7 \
        --log-bin=binlog --binlog-format=ROW --binlog-row-image=FULL --character-set-server=utf8mb4 \
        --innodb-buffer-pool-size=64M --skip-name-resolve
}

shift 3
case $server in
    kafka | connect | postgres | mariadb) "$server" "$@" ;;
    *) echo "no such server: $server" >&2; exit 2 ;;
esac
