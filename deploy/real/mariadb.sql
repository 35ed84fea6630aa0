-- The user of Debezium and of the demo's services.
CREATE USER IF NOT EXISTS debezium@'%' IDENTIFIED BY 'secret';
GRANT ALL ON *.* TO debezium@'%';
