#!/usr/bin/env bash
# The shop over Kafka with processes of this machine: starts PostgreSQL, MariaDB, Kafka and Kafka Connect with Debezium on free
# ports of 127.0.0.1, with all they keep in a temporary folder, and then `vantage demo` over them. Ctrl-C ends all of it.
#
#   demo.sh VANTAGE [OPTIONS OF VANTAGE DEMO]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
vantage=$1
shift
JARS=$("$here/jars.sh")
export JARS POSTGRES_PASSWORD=secret MARIADB_PASSWORD=secret

folder=$(mktemp -d /tmp/vantage-shop.XXXXXX)
chmod 755 "$folder"
servers=()
end() {
    # Each server leads a process group of its own.
    for server in "${servers[@]}"; do kill -KILL -- "-$server" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
# The demo ends itself at Ctrl-C, and so this script with it.
trap : INT
trap 'exit 143' TERM

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Ports below those of outgoing connections, so that nobody takes them while a server starts.
next=$((12000 + $$ % 18000))
free_port() {
    while next=$((next + 1)) && listens "$next"; do :; done
    port=$next
}

start() {
    local name=$1
    setsid "$here/server.sh" "$name" "$folder/$name" "${@:2}" >"$folder/$name.log" 2>&1 </dev/null &
    servers+=($!)
}

wait_for() {
    local name=$1 deadline=$((SECONDS + 120))
    shift
    until "$@"; do
        if [ $SECONDS -ge $deadline ] || ! kill -0 "${servers[-1]}" 2>/dev/null; then
            echo "$name does not start; it said:" >&2
            tail -20 "$folder/$name.log" >&2
            exit 1
        fi
        sleep 0.2
    done
}

answers() { curl -sf "http://127.0.0.1:$1/connectors" >/dev/null; }

free_port; postgres=$port
free_port; mariadb=$port
free_port; kafka=$port
free_port; controller=$port
free_port; connect=$port

echo "starting PostgreSQL, MariaDB, Kafka and Kafka Connect with Debezium in $folder"
start postgres "$postgres"
wait_for postgres listens "$postgres"
start mariadb "$mariadb"
wait_for mariadb listens "$mariadb"
start kafka "$kafka" "$controller"
wait_for kafka listens "$kafka"
start connect "$connect" "$kafka"
wait_for connect answers "$connect"

kafka_tools="java -cp '$JARS/libs/*' org.apache.kafka.tools"
cat <<TABLE

  service     keeps its rows in           which Vantage follows by             look at it
  catalog     PostgreSQL                  Debezium, Kafka                      PGPASSWORD=secret psql -h 127.0.0.1 -p $postgres -U postgres catalog
  orders      PostgreSQL                  PostgreSQL's logical replication     PGPASSWORD=secret psql -h 127.0.0.1 -p $postgres -U postgres orders
  pricing     MariaDB                     Debezium, Kafka                      mariadb --skip-ssl -h 127.0.0.1 -P $mariadb -u debezium -psecret pricing
  reviews     a file of its own           CloudEvents, Kafka                   $kafka_tools.consumer.ConsoleConsumer --bootstrap-server 127.0.0.1:$kafka --topic shop.reviews --from-beginning
  inventory   a SQLite file               its log of changes                   sqlite3 /tmp/vantage-demo-*/services/inventory.db

  Kafka       127.0.0.1:$kafka             $kafka_tools.TopicCommand --bootstrap-server 127.0.0.1:$kafka --list
  Connect     http://127.0.0.1:$connect     curl -s http://127.0.0.1:$connect/connectors/catalog/status
  in the commands below MARIADB_PASSWORD is secret

TABLE

# Every change goes through the client program of its database, one after another.
VANTAGE_DEMO_KAFKA=127.0.0.1:$kafka VANTAGE_DEMO_CONNECT=127.0.0.1:$connect VANTAGE_DEMO_POSTGRES=127.0.0.1:$postgres \
    VANTAGE_DEMO_MARIADB=127.0.0.1:$mariadb "$vantage" demo --products 2000 --rate 100 "$@"
